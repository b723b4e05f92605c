/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/sqltable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shared/utf8.h"

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

/* The older ways to say what is asked, as a query. */
static bool build_query(const struct sql_table *t, const struct sql_common *c, struct text_buf *text,
			struct ost_why *why)
{
	const struct {
		const char *name, *value;
	} needed[] = { { "table", c->table },
		       { "select_field", c->select_field },
		       { "where_field", c->where_field } };
	if (c->select_function && *c->select_function) {
		text_buf_puts(text, "SELECT ");
		text_buf_puts(text, c->select_function);
		text_buf_puts(text, "('%s')");
		return true;
	}
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!needed[i].value || !*needed[i].value)
			return t->host->why(why, "parameter query is not set, and neither is %s",
					    needed[i].name);
	text_buf_puts(text, "SELECT ");
	text_buf_puts(text, c->select_field);
	text_buf_puts(text, " FROM ");
	text_buf_puts(text, c->table);
	text_buf_puts(text, " WHERE ");
	text_buf_puts(text, c->where_field);
	text_buf_puts(text, " = '%s' ");
	text_buf_puts(text, c->additional_conditions ? c->additional_conditions : "");
	return true;
}

static bool parse_format(struct sql_table *t, const char *text, struct ost_why *why)
{
	struct expansion_flaw flaw;
	t->result_format = expansion_parse("result_format", text, EXPANSION_OF_VALUES, &t->needs, &flaw);
	return t->result_format || t->host->why(why, "%s", flaw.text);
}

bool sql_table_open(struct sql_table *t, const struct ost_host *host, struct ost_instance *instance,
		    enum sql_dialect dialect, const struct sql_common *c, struct ost_why *why)
{
	*t = (struct sql_table){ .host = host, .instance = instance, .limit = c->expansion_limit };
	struct text_buf text = { 0 };
	bool ok = true;
	if (c->query && *c->query)
		text_buf_puts(&text, c->query);
	else
		ok = build_query(t, c, &text, why);
	if (ok && text.spoilt)
		ok = host->why(why, "out of memory");
	if (ok)
		t->query = sql_query_compile(host, text_buf_text(&text), dialect, &t->needs, why);
	text_buf_free(&text);
	return t->query && parse_format(t, c->result_format, why) &&
	       domain_list_open(host, instance, c->domain ? c->domain : "", &t->domains, why);
}

void sql_table_close(struct sql_table *t)
{
	sql_query_free(t->query);
	expansion_free(t->result_format);
	domain_list_close(t->domains);
}

/* ---- a lookup ------------------------------------------------------------------------------------------------------------ */

static bool fill_params(struct sql_lookup *l)
{
	const struct sql_query *q = l->table->query;
	size_t start[SQL_PARAMS_MAX];
	for (size_t i = 0; i < q->count; i++) {
		start[i] = l->params.len;
		expansion_of_key(q->param[i], &l->key, NULL, NULL, &l->params);
		l->param[i].len = l->params.len - start[i];
		text_buf_add(&l->params, "", 1);
	}
	for (size_t i = 0; i < q->count && !l->params.spoilt; i++)
		l->param[i].text = l->params.text + start[i];
	return !l->params.spoilt;
}

static enum ost_found too_long(const struct sql_lookup *l, const char *what, struct ost_answer *answer)
{
	l->table->host->answer_why(answer, "the %s is too long", what);
	return OST_TEMPFAIL;
}

enum ost_found sql_lookup_start(struct sql_lookup *l, const struct sql_table *t,
				const struct ost_query *asked, struct ost_answer *answer)
{
	*l = (struct sql_lookup){ .table = t, .asked = asked, .result = { .limit = t->limit } };
	/* No text in a database has these. */
	if (memchr(asked->key, '\0', asked->klen) || !utf8_well_formed(asked->key, asked->klen))
		return OST_NOTFOUND;
	if (!expansion_split(&t->needs, asked->key, asked->klen, &l->key))
		return OST_NOTFOUND;
	enum ost_found in = domain_list_has(t->host, t->domains, &l->key, asked->deadline, answer);
	if (in != OST_FOUND)
		return in;
	return fill_params(l) ? OST_FOUND : too_long(l, "query", answer);
}

void sql_lookup_value(struct sql_lookup *l, const char *value, size_t len)
{
	const struct sql_table *t = l->table;
	enum expansion_added added = expansion_add(t->result_format, &l->key, value, len, &l->result);
	if (added == EXPANSION_EMPTY)
		t->host->log(t->instance, OST_LOG_WARNING, "empty lookup result for: \"%.100s\" -- ignored",
			     l->asked->key);
	l->too_many = l->too_many || added == EXPANSION_TOO_MANY;
}

void sql_lookup_again(struct sql_lookup *l)
{
	text_buf_clear(&l->result.text);
	l->result.count = 0;
	l->too_many = false;
}

enum ost_found sql_lookup_answer(struct sql_lookup *l, struct ost_answer *answer)
{
	const struct sql_table *t = l->table;
	const struct text_buf *text = &l->result.text;
	if (text->spoilt)
		return too_long(l, "answer", answer);
	if (l->too_many) {
		t->host->answer_why(answer, "Expansion limit exceeded: more than %" PRId64 " values",
				    t->limit);
		return OST_TEMPFAIL;
	}
	if (text->len == 0)
		return OST_NOTFOUND;
	t->host->answer(answer, text->text, text->len);
	return OST_FOUND;
}

void sql_lookup_end(struct sql_lookup *l)
{
	text_buf_free(&l->params);
	text_buf_free(&l->result.text);
}

void sql_lookup_text(const struct sql_lookup *l, expansion_quote_fn *quote, void *ctx, struct text_buf *out)
{
	expansion_of_key(l->table->query->text, &l->key, quote, ctx, out);
}
