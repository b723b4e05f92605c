/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/dnsbl/template.h"

#include <ctype.h>
#include <string.h>

enum { DEPTH_MAX = 10, NAME_SIZE = 64 };

struct expansion {
	struct text_buf *out;
	dnsbl_template_value_fn *value;
	void *ctx;
	unsigned depth;
};

static bool expand(struct expansion *, const char *text, size_t len);

/* The length of what the bracket at text opens, with both brackets; 0: it is not closed. */
static size_t group_length(const char *text, size_t len)
{
	char open = text[0], close = open == '{' ? '}' : ')';
	int level = 0;
	for (size_t i = 0; i < len; i++) {
		level += text[i] == open ? 1 : text[i] == close ? -1 : 0;
		if (level == 0)
			return i + 1;
	}
	return 0;
}

static void add_value(struct text_buf *out, const char *value)
{
	for (; value && *value; value++)
		text_buf_add(out, *value >= ' ' && *value < 0x7f ? value : "_", 1);
}

/* "{text}" without its braces; else the whole. */
static bool expand_branch(struct expansion *e, const char *text, size_t len)
{
	if (len > 0 && *text == '{' && group_length(text, len) == len)
		return expand(e, text + 1, len - 2);
	return expand(e, text, len);
}

/* "?text", "?{text}:{text}", ":text" behind a name that has a value, or not. */
static bool expand_choice(struct expansion *e, const char *text, size_t len, bool set)
{
	bool wanted = *text == '?' ? set : !set;
	text++;
	len--;
	size_t group = len > 0 && *text == '{' ? group_length(text, len) : 0;
	if (group > 0 && group < len && text[group] == ':')
		return wanted ? expand_branch(e, text, group) : expand_branch(e, text + group + 1, len - group - 1);
	return !wanted || expand_branch(e, text, len);
}

static bool named(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* "name", or "name" with a choice. */
static bool expand_macro(struct expansion *e, const char *text, size_t len)
{
	char name[NAME_SIZE];
	size_t n = 0;
	while (n < len && named(text[n]))
		n++;
	if (n == 0 || n >= sizeof name)
		return false;
	memcpy(name, text, n);
	name[n] = '\0';
	const char *value = e->value(e->ctx, name);
	if (n == len) {
		add_value(e->out, value);
		return value;
	}
	return (text[n] == '?' || text[n] == ':') && expand_choice(e, text + n, len - n, value && *value);
}

/* What follows a dollar sign; answers its length, 0: it makes no sense. */
static size_t expand_dollar(struct expansion *e, const char *text, size_t len)
{
	if (len == 0)
		return 0;
	if (*text == '$') {
		text_buf_puts(e->out, "$");
		return 1;
	}
	if (*text == '{' || *text == '(') {
		size_t group = group_length(text, len);
		return group > 2 && expand_macro(e, text + 1, group - 2) ? group : 0;
	}
	size_t n = 0;
	while (n < len && named(text[n]))
		n++;
	return n > 0 && expand_macro(e, text, n) ? n : 0;
}

static bool expand(struct expansion *e, const char *text, size_t len)
{
	if (e->depth++ > DEPTH_MAX)
		return false;
	for (size_t i = 0; i < len;) {
		if (text[i] != '$') {
			text_buf_add(e->out, text + i++, 1);
			continue;
		}
		size_t used = expand_dollar(e, text + i + 1, len - i - 1);
		if (used == 0)
			return false;
		i += 1 + used;
	}
	e->depth--;
	return true;
}

bool dnsbl_template_expand(struct text_buf *out, const char *text, dnsbl_template_value_fn *value, void *ctx)
{
	struct expansion e = { .out = out, .value = value, .ctx = ctx };
	return expand(&e, text, strlen(text)) && !out->spoilt;
}
