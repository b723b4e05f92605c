/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/addrlist.h"

#include <string.h>

#include "base/buf.h"
#include "mail/ascii.h"

/* One item while it is read. */
struct item {
	struct buf text;  /* words outside brackets, internal form */
	struct buf angle; /* what stood in <…> */
	bool in_angle, has_angle;
};

/* Skips a (comment), which may nest; answers the position behind it. */
static size_t skip_comment(const char *s, size_t len, size_t at)
{
	unsigned depth = 0;
	for (; at < len; at++) {
		if (s[at] == '\\')
			at++;
		else if (s[at] == '(')
			depth++;
		else if (s[at] == ')' && --depth == 0)
			return at + 1;
	}
	return len;
}

/* Unquotes "…" into out; answers the position behind it. */
static size_t take_quoted(const char *s, size_t len, size_t at, struct buf *out)
{
	for (at++; at < len && s[at] != '"'; at++) {
		if (s[at] == '\\' && at + 1 < len)
			at++;
		buf_putc(out, s[at]);
	}
	return at < len ? at + 1 : len;
}

/* Ends an item: its address goes to the list. */
static void finish(struct arena *a, struct item *it, struct addrlist *out, size_t *cap, size_t max)
{
	struct buf *from = it->has_angle ? &it->angle : &it->text;
	const char *route;
	if (it->has_angle && from->len > 0 && from->data[0] == '@' && (route = strchr(from->data, ':')))
		buf_consume(from, (size_t)(route - from->data) + 1);
	if (from->len > 0 && out->count >= max) {
		out->truncated = true;
	} else if (from->len > 0) {
		if (out->count == *cap) {
			size_t more = *cap ? *cap * 2 : 8;
			const char **bigger = arena_alloc(a, more * sizeof *bigger);
			if (out->count)
				memcpy(bigger, out->list, out->count * sizeof *bigger);
			out->list = bigger;
			*cap = more;
		}
		out->list[out->count++] = arena_strndup(a, from->data, from->len);
	}
	buf_reset(&it->text);
	buf_reset(&it->angle);
	it->in_angle = it->has_angle = false;
}

/* Takes one byte or one quoted piece; answers the position behind it. */
static size_t take_piece(const char *s, size_t len, size_t at, struct item *it)
{
	struct buf *to = it->in_angle ? &it->angle : &it->text;
	char c = s[at];
	if (c == '"')
		return take_quoted(s, len, at, to);
	if (c == '<' && !it->has_angle)
		it->in_angle = it->has_angle = true;
	else if (c == '>')
		it->in_angle = false;
	else if (c == '\\' && at + 1 < len)
		buf_putc(to, s[++at]);
	else if (!ascii_space((unsigned char)c) && c != '\0')
		buf_putc(to, c);
	return at + 1;
}

struct addrlist addrlist_parse(struct arena *a, const char *text, size_t len, size_t max)
{
	struct addrlist out = { 0 };
	struct item it = { 0 };
	size_t cap = 0, literal = 0;
	for (size_t at = 0; at < len;) {
		char c = text[at];
		if (c == '(') {
			at = skip_comment(text, len, at);
		} else if (!it.in_angle && !literal && (c == ',' || c == ';')) {
			finish(a, &it, &out, &cap, max);
			at++;
		} else if (!it.in_angle && !literal && c == ':' && !(it.text.len && strchr(it.text.data, '@'))) {
			buf_reset(&it.text); /* "group:" */
			at++;
		} else {
			literal = c == '[' ? 1 : c == ']' ? 0 : literal;
			at = take_piece(text, len, at, &it);
		}
	}
	finish(a, &it, &out, &cap, max);
	buf_free(&it.text);
	buf_free(&it.angle);
	return out;
}
