/* SPDX-License-Identifier: Apache-2.0
 * One pass over the text. Where it looks for the key inside a literal, the whole literal becomes a
 * parameter. */
#include "shared/sqlquery.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct compiler {
	const struct ost_host *host;
	enum sql_dialect dialect;
	const char *start, *at;
	struct sql_query *q;
	struct text_buf out;
	bool awkward; /* a literal with the key in it that no parameter can stand for */
	struct ost_why *why;
};

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80);
}

/* Does the text hold a part of the key? "%%" is none. */
static bool varies(const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (text[i] != '%')
			continue;
		if (text[++i] != '%')
			return true;
	}
	return false;
}

static void add_fixed(struct compiler *c, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		text_buf_add(&c->out, &text[i], 1);
		i += text[i] == '%'; /* of which there are two */
	}
}

/* ---- parameters ------------------------------------------------------------------------------------------------------ */

static bool add_param(struct compiler *c, const char *pattern)
{
	char number[24] = "";
	struct expansion_needs noted = { 0 }; /* with those of the whole text */
	struct expansion_flaw flaw;
	if (c->q->count == SQL_PARAMS_MAX)
		return c->host->why(c->why, "query: the key stands in more than %d places", SQL_PARAMS_MAX);
	struct expansion *param = expansion_parse("query", pattern, EXPANSION_OF_KEYS, &noted, &flaw);
	if (!param)
		return c->host->why(c->why, "%s", flaw.text);
	c->q->param[c->q->count++] = param;
	if (c->dialect != SQL_MYSQL)
		snprintf(number, sizeof number, "%zu", c->q->count);
	text_buf_puts(&c->out, c->dialect == SQL_PGSQL ? "$" : "?");
	text_buf_puts(&c->out, number);
	return true;
}

/* A literal's content as it is meant: doubled quotes are one. */
static bool add_literal(struct compiler *c, const char *text, size_t len, char quote)
{
	struct text_buf content = { 0 };
	for (size_t i = 0; i < len; i++) {
		text_buf_add(&content, &text[i], 1);
		i += text[i] == quote;
	}
	bool ok = content.spoilt ? c->host->why(c->why, "out of memory")
				 : add_param(c, text_buf_text(&content));
	text_buf_free(&content);
	return ok;
}

/* ---- literals, names, comments --------------------------------------------------------------------------------------- */

/* What a letter or a word just in front of a literal makes of it. */
enum prefix {
	PREFIX_NONE,
	PREFIX_ESCAPES, /* PostgreSQL's E'': backslashes count */
	PREFIX_UNICODE, /* its U&'': so do they, and differently */
	PREFIX_OTHER,   /* N'', X'', _utf8'' */
};

static enum prefix prefix_of(const struct compiler *c)
{
	size_t before = (size_t)(c->at - c->start);
	if (before >= 2 && c->at[-1] == '&' && strchr("uU", c->at[-2]))
		return PREFIX_UNICODE;
	if (before == 0 || !is_word(c->at[-1]))
		return PREFIX_NONE;
	bool alone = before < 2 || !is_word(c->at[-2]);
	return c->dialect == SQL_PGSQL && alone && strchr("eE", c->at[-1]) ? PREFIX_ESCAPES : PREFIX_OTHER;
}

/* The end of what starts with the quote at c->at: the closing quote, NULL when there is none. */
static const char *closing(const struct compiler *c, bool backslashes)
{
	char quote = c->at[0] == '[' ? ']' : c->at[0];
	for (const char *p = c->at + 1; *p; p++) {
		if (backslashes && *p == '\\' && p[1])
			p++;
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p;
	}
	return NULL;
}

static bool no_end(struct compiler *c)
{
	return c->host->why(c->why, "query: no end of what starts at: %.40s", c->at);
}

/* A string: as it is, or a parameter in its place. */
static bool take_string(struct compiler *c)
{
	enum prefix prefix = prefix_of(c);
	bool backslashes = c->dialect == SQL_MYSQL || prefix == PREFIX_ESCAPES;
	const char *end = closing(c, backslashes), *content = c->at + 1;
	if (!end)
		return no_end(c);
	size_t len = (size_t)(end - content);
	if (!varies(content, len)) {
		add_fixed(c, c->at, len + 2);
		c->at = end + 1;
		return true;
	}
	/* What a library escapes is fit for '…' alone. */
	c->q->escapable =
		c->q->escapable && *c->at == '\'' && (prefix == PREFIX_NONE || prefix == PREFIX_OTHER);
	if (prefix == PREFIX_OTHER || prefix == PREFIX_UNICODE ||
	    (backslashes && memchr(content, '\\', len))) {
		c->awkward = true;
	} else {
		c->out.len -= prefix == PREFIX_ESCAPES; /* the E */
		if (!add_literal(c, content, len, *c->at))
			return false;
	}
	c->at = end + 1;
	return true;
}

/* What is copied and must not hold a part of the key. */
static bool take_fixed(struct compiler *c, const char *end, const char *what)
{
	if (!end)
		return no_end(c);
	if (varies(c->at, (size_t)(end - c->at)))
		return c->host->why(c->why, "query: the key cannot stand in %s: %.*s", what,
				    (int)(end - c->at), c->at);
	add_fixed(c, c->at, (size_t)(end - c->at));
	c->at = end;
	return true;
}

static bool take_name(struct compiler *c)
{
	const char *end = closing(c, false);
	return take_fixed(c, end ? end + 1 : NULL, "a name");
}

static bool take_block_comment(struct compiler *c)
{
	const char *end = strstr(c->at + 2, "*/");
	return take_fixed(c, end ? end + 2 : NULL, "a comment");
}

static bool take_line_comment(struct compiler *c)
{
	size_t len = strcspn(c->at, "\n");
	return take_fixed(c, c->at + len, "a comment");
}

/* PostgreSQL's $tag$ text $tag$. Answers its end; NULL: it does not start here. */
static const char *dollar_quoted(const struct compiler *c)
{
	size_t len = 1;
	while (is_word(c->at[len]))
		len++;
	if (c->at[len++] != '$' || isdigit((unsigned char)c->at[1]) ||
	    (c->at > c->start && is_word(c->at[-1])))
		return NULL;
	for (const char *p = c->at + len; (p = strchr(p, '$')) != NULL; p++)
		if (strncmp(p, c->at, len) == 0)
			return p + len;
	return NULL;
}

/* ---- plain text ------------------------------------------------------------------------------------------------------- */

static bool take_percent(struct compiler *c)
{
	const char pattern[3] = { c->at[0], c->at[1] };
	c->at += 2;
	if (pattern[1] == '%') {
		text_buf_puts(&c->out, "%");
		return true;
	}
	c->q->escapable = false; /* a value without quotes: only a parameter is one */
	return add_param(c, pattern);
}

static bool take_one(struct compiler *c)
{
	if (*c->at == '?' && c->dialect == SQL_MYSQL)
		c->awkward = true; /* it would count as a parameter */
	text_buf_add(&c->out, c->at++, 1);
	return true;
}

static bool take_next(struct compiler *c)
{
	const char *p = c->at;
	const char *dollar = *p == '$' && c->dialect == SQL_PGSQL ? dollar_quoted(c) : NULL;
	if (*p == '\'' || (*p == '"' && c->dialect != SQL_PGSQL))
		return take_string(c);
	if (*p == '"' || (*p == '`' && c->dialect != SQL_PGSQL) || (*p == '[' && c->dialect == SQL_SQLITE))
		return take_name(c);
	if (p[0] == '/' && p[1] == '*')
		return take_block_comment(c);
	if ((p[0] == '-' && p[1] == '-') || (*p == '#' && c->dialect == SQL_MYSQL))
		return take_line_comment(c);
	if (dollar)
		return take_fixed(c, dollar, "a quoted text");
	return *p == '%' ? take_percent(c) : take_one(c);
}

static bool compile(struct compiler *c, struct expansion_needs *needs)
{
	struct expansion_flaw flaw;
	c->q->text = expansion_parse("query", c->start, EXPANSION_OF_KEYS, needs, &flaw);
	if (!c->q->text)
		return c->host->why(c->why, "%s", flaw.text);
	while (*c->at)
		if (!take_next(c))
			return false;
	if (c->awkward && !c->q->escapable)
		return c->host->why(c->why, "query: the key cannot be bound or escaped where it stands: %s",
				    c->start);
	text_buf_puts(&c->out, ""); /* there is a text, even if it is empty */
	if (c->out.spoilt)
		return c->host->why(c->why, "out of memory");
	if (!c->awkward) {
		c->q->bound = c->out.text;
		c->out = (struct text_buf){ 0 };
	}
	return true;
}

struct sql_query *sql_query_compile(const struct ost_host *host, const char *text, enum sql_dialect dialect,
				    struct expansion_needs *needs, struct ost_why *why)
{
	struct sql_query *q = calloc(1, sizeof *q);
	struct compiler c = {
		.host = host, .dialect = dialect, .start = text, .at = text, .q = q, .why = why
	};
	if (!q) {
		host->why(why, "out of memory");
		return NULL;
	}
	q->escapable = dialect != SQL_SQLITE;
	bool ok = compile(&c, needs);
	text_buf_free(&c.out);
	if (ok)
		return q;
	sql_query_free(q);
	return NULL;
}

void sql_query_free(struct sql_query *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->count; i++)
		expansion_free(q->param[i]);
	expansion_free(q->text);
	free(q->bound);
	free(q);
}
