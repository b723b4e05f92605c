/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/sqltable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shared/utf8.h"

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

/* The older ways to say what is asked, as a query. */
static bool build_query(const struct sql_table *t, const struct sql_common *c, struct bytes *text,
			struct ost_why *why)
{
	const struct {
		const char *name, *value;
	} needed[] = { { "table", c->table },
		       { "select_field", c->select_field },
		       { "where_field", c->where_field } };
	if (c->select_function && *c->select_function) {
		bytes_puts(text, "SELECT ");
		bytes_puts(text, c->select_function);
		bytes_puts(text, "('%s')");
		return true;
	}
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!needed[i].value || !*needed[i].value)
			return t->host->why(why, "parameter query is not set, and neither is %s",
					    needed[i].name);
	bytes_puts(text, "SELECT ");
	bytes_puts(text, c->select_field);
	bytes_puts(text, " FROM ");
	bytes_puts(text, c->table);
	bytes_puts(text, " WHERE ");
	bytes_puts(text, c->where_field);
	bytes_puts(text, " = '%s' ");
	bytes_puts(text, c->additional_conditions ? c->additional_conditions : "");
	return true;
}

bool sql_table_open(struct sql_table *t, const struct ost_host *host, struct ost_instance *instance,
		    enum sql_dialect dialect, const struct sql_common *c, struct ost_why *why)
{
	*t = (struct sql_table){ .host = host,
				 .instance = instance,
				 .result_format = c->result_format,
				 .limit = c->expansion_limit };
	struct bytes text = { 0 };
	bool ok = true;
	if (c->query && *c->query)
		bytes_puts(&text, c->query);
	else
		ok = build_query(t, c, &text, why);
	if (ok && text.failed)
		ok = host->why(why, "out of memory");
	ok = ok && template_scan(host, text.data, TEMPLATE_QUERY, &t->needs, NULL, why) &&
	     template_scan(host, t->result_format, TEMPLATE_RESULT, &t->needs, NULL, why) &&
	     (t->query = sql_query_compile(host, text.data, dialect, why)) != NULL &&
	     domainlist_open(host, instance, c->domain, &t->domains, why);
	bytes_free(&text);
	return ok;
}

void sql_table_close(struct sql_table *t)
{
	sql_query_free(t->query);
	domainlist_free(t->domains);
}

/* ---- a lookup ------------------------------------------------------------------------------------------------------------ */

static bool fill_params(struct sql_lookup *l)
{
	const struct sql_query *q = l->table->query;
	size_t start[SQL_PARAMS_MAX];
	for (size_t i = 0; i < q->count; i++) {
		start[i] = l->params.len;
		template_expand(q->param[i], strlen(q->param[i]), &l->key, NULL, NULL, NULL, &l->params);
		l->param[i].len = l->params.len - start[i];
		bytes_add(&l->params, "", 1);
	}
	for (size_t i = 0; i < q->count && !l->params.failed; i++)
		l->param[i].at = l->params.data + start[i];
	return !l->params.failed;
}

static enum ost_found no_memory(const struct sql_lookup *l, struct ost_answer *answer)
{
	l->table->host->answer_why(answer, "out of memory");
	return OST_TEMPFAIL;
}

enum ost_found sql_lookup_start(struct sql_lookup *l, const struct sql_table *t,
				const struct ost_query *asked, struct ost_answer *answer)
{
	*l = (struct sql_lookup){ .table = t, .asked = asked };
	/* No text in a database has these. */
	if (memchr(asked->key, '\0', asked->klen) || !utf8_well_formed(asked->key, asked->klen))
		return OST_NOTFOUND;
	template_split(&l->key, asked->key, asked->klen);
	if (t->domains) {
		if (l->key.domain.len == 0 || l->key.user.len == 0)
			return OST_NOTFOUND;
		enum ost_found in = domainlist_match(t->host, t->domains, l->key.domain.at, l->key.domain.len,
						     asked->deadline, answer);
		if (in != OST_FOUND)
			return in;
	}
	if (!template_fits_key(&t->needs, &l->key))
		return OST_NOTFOUND;
	return fill_params(l) ? OST_FOUND : no_memory(l, answer);
}

void sql_lookup_value(struct sql_lookup *l, const char *value, size_t len)
{
	const struct sql_table *t = l->table;
	struct template_parts parts;
	template_split(&parts, value, len);
	if (len == 0)
		t->host->log(t->instance, OST_LOG_WARNING, "empty lookup result for: \"%.100s\" -- ignored",
			     l->asked->key);
	if (!template_fits_value(&t->needs, &parts))
		return;
	l->values++;
	if (t->limit > 0 && l->values > t->limit)
		return;
	if (l->result.len > 0)
		bytes_add(&l->result, ",", 1);
	template_expand(t->result_format, strlen(t->result_format), &l->key, &parts, NULL, NULL, &l->result);
}

void sql_lookup_again(struct sql_lookup *l)
{
	bytes_reset(&l->result);
	l->values = 0;
}

enum ost_found sql_lookup_answer(struct sql_lookup *l, struct ost_answer *answer)
{
	const struct sql_table *t = l->table;
	if (l->result.failed)
		return no_memory(l, answer);
	if (t->limit > 0 && l->values > t->limit) {
		t->host->answer_why(answer, "Expansion limit exceeded: more than %" PRId64 " values",
				    t->limit);
		return OST_TEMPFAIL;
	}
	if (l->result.len == 0)
		return OST_NOTFOUND;
	t->host->answer(answer, l->result.data, l->result.len);
	return OST_FOUND;
}

void sql_lookup_end(struct sql_lookup *l)
{
	bytes_free(&l->params);
	bytes_free(&l->result);
}

void sql_lookup_text(const struct sql_lookup *l, template_quote_fn *quote, void *ctx, struct bytes *out)
{
	template_expand(l->table->query->text, strlen(l->table->query->text), &l->key, NULL, quote, ctx, out);
}
