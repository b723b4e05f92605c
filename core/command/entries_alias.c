/* SPDX-License-Identifier: Apache-2.0
 * Lines of alias files, `name: value, value …`: both sides are read as the words of a mail header (RFC 822)
 * and written anew, with white space where two words meet and behind commas. */
#include <string.h>

#include "command/entries.h"
#include "mail/ascii.h"

enum kind { END, WORD, QUOTED, COMMENT, LITERAL, SPECIAL };

/* One token. Its text: of a WORD without its backslashes, of a QUOTED without the quotes around it, of others
 * as it was. */
struct token {
	enum kind kind;
	const char *text;
	size_t len;
	char special;
};

static bool is_special(char c)
{
	return c && strchr("()<>@,;:\\\".[]", c);
}

static bool ends_word(char c)
{
	return !c || ascii_space(c) || (is_special(c) && c != '\\');
}

/* Up to and with the closing character; one that is missing is nobody's fault. Backslashes protect; comments
 * nest. */
static const char *skip_enclosed(const char *s, char open, char close)
{
	int depth = 0;
	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (*s == close && --depth <= 0)
			return s + 1;
		else if (*s == open)
			depth++;
	}
	return s;
}

static const char *take_word(const char *s, struct buf *text)
{
	for (; !ends_word(*s); s++) {
		if (*s == '\\' && *++s == '\0')
			break;
		buf_putc(text, *s);
	}
	return s;
}

/* Between quotes: white space is a blank, backslashes stay. */
static const char *take_quoted(const char *s, struct buf *text)
{
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			buf_putc(text, *s++);
		buf_putc(text, ascii_space(*s) ? ' ' : *s);
	}
	return *s ? s + 1 : s;
}

/* Takes the token at s; text is where it is put together. Answers what follows. */
static const char *next_token(const char *s, struct buf *text, struct token *t)
{
	while (ascii_space(*s))
		s++;
	const char *start = s;
	buf_reset(text);
	*t = (struct token){ .kind = SPECIAL, .special = *s };
	if (!*s) {
		t->kind = END;
	} else if (*s == '"') {
		t->kind = QUOTED;
		s = take_quoted(s, text);
	} else if (*s == '(' || *s == '[') {
		t->kind = *s == '(' ? COMMENT : LITERAL;
		s = *s == '(' ? skip_enclosed(s, '(', ')') : skip_enclosed(s, '\0', ']');
		buf_add(text, start, (size_t)(s - start));
	} else if (is_special(*s) && *s != '\\') {
		buf_putc(text, *s++);
	} else {
		t->kind = WORD;
		s = take_word(s, text);
	}
	t->text = buf_str(text);
	t->len = text->len;
	return s;
}

/* What stands between two tokens. */
static void separate(struct buf *out, const struct token *last, const struct token *t)
{
	bool words = last->kind != END && last->kind != SPECIAL && t->kind != SPECIAL;
	bool bracket = last->kind != END && last->kind != SPECIAL && t->kind == SPECIAL && t->special == '<';
	if (words || bracket)
		buf_putc(out, ' ');
}

static bool needs_quotes(const struct token *t)
{
	bool needs = false;
	for (size_t i = 0; i < t->len; i++)
		needs = needs || ascii_space(t->text[i]) || is_special(t->text[i]);
	return needs;
}

/* A token as a header has it. */
static void put_external(struct buf *out, const struct token *t)
{
	bool quote = t->kind == QUOTED || (t->kind == WORD && needs_quotes(t));
	if (quote)
		buf_putc(out, '"');
	for (size_t i = 0; i < t->len; i++) {
		if (t->kind == WORD && quote && (t->text[i] == '"' || t->text[i] == '\\'))
			buf_putc(out, '\\');
		buf_putc(out, t->text[i]);
	}
	if (quote)
		buf_putc(out, '"');
	if (t->kind == SPECIAL && t->special == ',')
		buf_putc(out, ' ');
}

/* A token as the name that it means. */
static void put_internal(struct buf *out, const struct token *t)
{
	for (size_t i = 0; i < t->len; i++) {
		if (t->kind == QUOTED && t->text[i] == '\\' && i + 1 < t->len)
			i++;
		buf_putc(out, t->text[i]);
	}
	if (t->kind == SPECIAL && t->special == ',')
		buf_putc(out, ' ');
}

const char *entries_alias_name(const char *s, struct buf *name, bool *remote)
{
	struct buf text = BUF_INIT;
	struct token t, last = { .kind = END };
	for (;;) {
		s = next_token(s, &text, &t);
		if (t.kind == END || (t.kind == SPECIAL && t.special == ':'))
			break;
		*remote |= t.kind == SPECIAL && t.special == '@';
		separate(name, &last, &t);
		put_internal(name, &t);
		last = t;
	}
	buf_free(&text);
	return t.kind == END ? NULL : s;
}

void entries_alias_value(const char *s, struct buf *value)
{
	struct buf text = BUF_INIT;
	struct token t, last = { .kind = END };
	for (s = next_token(s, &text, &t); t.kind != END; s = next_token(s, &text, &t)) {
		separate(value, &last, &t);
		put_external(value, &t);
		last = t;
	}
	buf_free(&text);
}
