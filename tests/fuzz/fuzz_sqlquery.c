/* SPDX-License-Identifier: Apache-2.0
 * Queries as administrators write them, and keys as strangers do: a line of the query, a line of the hosts,
 * then the key. What is bound has as many places as parameters, and in what is written out the key stays
 * inside its literals. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/sqlquery.h"
#include "shared/sqlserver.h"
#include "shared/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool set_why(struct ost_why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool set_why(struct ost_why *why, const char *fmt, ...)
{
	(void)why;
	(void)fmt;
	return false;
}
static const struct ost_host host = { .size = sizeof host, .why = set_why };

/* What libraries do: quotes are doubled, and backslashes where they count. */
static void quote(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	const enum sql_dialect *dialect = ctx;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\'' || (text[i] == '\\' && *dialect == SQL_MYSQL))
			text_buf_add(out, text + i, 1);
		text_buf_add(out, text + i, 1);
	}
}

/* In the place of a key that has no letters that mean anything. */
static void quote_as_word(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	(void)ctx;
	(void)text;
	(void)len;
	text_buf_add(out, "x", 1);
}

/* The text without what stands in single quotes, which is all that a key may change. */
static char *skeleton(const char *text, bool backslashes)
{
	char *out = malloc(strlen(text) + 1), *to = out;
	bool inside = false;
	if (!out)
		abort();
	for (; *text; text++) {
		if (inside && backslashes && *text == '\\' && text[1])
			text++;
		else if (*text == '\'' && inside && text[1] == '\'')
			text++;
		else if (*text == '\'')
			inside = !inside;
		if (!inside)
			*to++ = *text;
	}
	*to = '\0';
	return out;
}

/* Simple texts alone: with comments, names and other quotes the skeleton would have to know as much as what
 * it tests. */
static bool is_simple(const char *text)
{
	return !strpbrk(text, "\"`[$#-/\\&") && !strstr(text, "E'") && !strstr(text, "e'");
}

static void try_text(const struct sql_query *q, const char *text, const struct expansion_key *key,
		     enum sql_dialect dialect)
{
	struct text_buf out = { 0 }, word = { 0 };
	expansion_of_key(q->text, key, quote, &dialect, &out);
	expansion_of_key(q->text, key, quote_as_word, NULL, &word);
	if (is_simple(text) && out.text && word.text && !memchr(out.text, '\0', out.len)) {
		char *one = skeleton(out.text, dialect == SQL_MYSQL),
		     *other = skeleton(word.text, dialect == SQL_MYSQL);
		assert(strcmp(one, other) == 0);
		free(one);
		free(other);
	}
	text_buf_free(&out);
	text_buf_free(&word);
}

static void try_params(const struct sql_query *q, const struct expansion_key *key)
{
	for (size_t i = 0; i < q->count; i++) {
		struct text_buf out = { 0 };
		expansion_of_key(q->param[i], key, NULL, NULL, &out);
		assert(!out.spoilt);
		text_buf_free(&out);
	}
}

static void try_query(const char *text, const char *key, size_t klen, enum sql_dialect dialect)
{
	struct ost_why why;
	struct expansion_needs needs = { 0 };
	struct expansion_key parts;
	struct sql_query *q = sql_query_compile(&host, text, dialect, &needs, &why);
	if (!q)
		return;
	assert(q->bound || q->escapable);
	if (expansion_split(&needs, key, klen, &parts)) {
		try_params(q, &parts);
		if (q->escapable)
			try_text(q, text, &parts, dialect);
	}
	sql_query_free(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	char *hosts = strchr(text, '\n'), *key = hosts ? strchr(hosts + 1, '\n') : NULL;
	if (key) {
		struct sql_servers servers;
		struct ost_why why;
		*hosts++ = '\0';
		*key++ = '\0';
		size_t klen = size - (size_t)(key - text);
		for (int d = SQL_PGSQL; d <= SQL_SQLITE; d++)
			try_query(text, key, klen, (enum sql_dialect)d);
		utf8_well_formed(key, klen);
		sql_servers_parse(&host, hosts, true, &servers, &why);
		sql_servers_free(&servers);
	}
	free(text);
	return 0;
}
