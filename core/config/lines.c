/* SPDX-License-Identifier: Apache-2.0 */
#include "config/lines.h"

#include <string.h>

/* One physical line, its newline not included. */
struct physical {
	const char *text;
	size_t len;
};

/* White space as the configuration grammar has it. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

void lines_open(struct lines *l, const char *text, size_t len)
{
	*l = (struct lines){ .at = text, .end = text + len, .line = 1 };
}

void lines_close(struct lines *l)
{
	buf_free(&l->text);
}

/* Looks at the physical line at l->at without taking it. */
static struct physical peek(const struct lines *l)
{
	size_t left = (size_t)(l->end - l->at);
	const char *nl = memchr(l->at, '\n', left);
	return (struct physical){ .text = l->at, .len = nl ? (size_t)(nl - l->at) : left };
}

/* Takes the physical line that peek() answered. */
static void take(struct lines *l, struct physical p)
{
	l->at = p.text + p.len;
	if (l->at < l->end)
		l->at++;
	l->line++;
}

/* Nothing but white space, or a comment? */
static bool is_nothing(struct physical p)
{
	size_t i = 0;
	while (i < p.len && is_blank(p.text[i]))
		i++;
	return i == p.len || p.text[i] == '#';
}

bool lines_next(struct lines *l, struct logical_line *out)
{
	buf_reset(&l->text);
	bool have = false;
	while (l->at < l->end) {
		struct physical p = peek(l);
		if (!is_nothing(p)) {
			if (have && !is_blank(p.text[0]))
				break;
			if (!have)
				*out = (struct logical_line){ .line = l->line,
							      .orphan = is_blank(p.text[0]) };
			have = true;
			buf_add(&l->text, p.text, p.len);
		}
		take(l, p);
	}
	if (!have)
		return false;
	while (l->text.len && is_blank(l->text.data[l->text.len - 1]))
		buf_truncate(&l->text, l->text.len - 1);
	out->text = buf_str(&l->text);
	return true;
}
