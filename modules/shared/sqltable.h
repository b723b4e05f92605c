/* SPDX-License-Identifier: Apache-2.0
 * What the SQL tables have in common: their parameters, which keys are asked for, and how rows become one
 * value. */
#ifndef SHARED_SQLTABLE_H
#define SHARED_SQLTABLE_H

#include "shared/domain_list.h"
#include "shared/sqlquery.h"

struct sql_common { /* in the config struct of each module, as `common` */
	const char *query, *result_format, *domain;
	const char *select_function, *select_field, *table, *where_field, *additional_conditions;
	int64_t expansion_limit;
};

/* The lines for its parameters; select_function is pgsql's alone. */
#define SQL_COMMON_STRING(conf, member, text)                                                                \
	{                                                                                                    \
		.name = #member, OST_PARAM_AT(conf, common.member, OST_PARAM_STRING), .help = text           \
	}
#define SQL_COMMON_PARAMS(conf)                                                                              \
	SQL_COMMON_STRING(conf, query, "What is asked, with %s, %u, %d … for parts of the key."),            \
		{ .name = "result_format",                                                                   \
		  OST_PARAM_AT(conf, common.result_format, OST_PARAM_STRING),                                \
		  .defval = "%s",                                                                            \
		  .help = "What becomes of each value that was found." },                                    \
		SQL_COMMON_STRING(                                                                           \
			conf, domain,                                                                        \
			"Only addresses in these domains are asked for (a list; names, files, tables)."),    \
		{ .name = "expansion_limit",                                                                 \
		  OST_PARAM_AT(conf, common.expansion_limit, OST_PARAM_INT),                                 \
		  .defval = "0",                                                                             \
		  .min = 0,                                                                                  \
		  .max = INT32_MAX,                                                                          \
		  .help = "More values than this are a temporary error; 0: any number." },                   \
		SQL_COMMON_STRING(conf, select_field, "Without `query`: the column that is asked for."),     \
		SQL_COMMON_STRING(conf, table, "Without `query`: the table that is asked."),                 \
		SQL_COMMON_STRING(conf, where_field, "Without `query`: the column that has the key."),       \
		SQL_COMMON_STRING(conf, additional_conditions,                                               \
				  "Without `query`: text behind the WHERE clause.")

struct sql_table {
	const struct ost_host *host;
	struct ost_instance *instance;
	struct sql_query *query;
	struct expansion *result_format;
	struct expansion_needs needs;
	struct domain_list *domains;
	int64_t limit;
};

/* From open(). The config must stay. Call sql_table_close() in any case. */
bool sql_table_open(struct sql_table *, const struct ost_host *, struct ost_instance *, enum sql_dialect,
		    const struct sql_common *, struct ost_why *);
void sql_table_close(struct sql_table *);

/* One lookup. */
struct sql_lookup {
	const struct sql_table *table;
	const struct ost_query *asked;
	struct expansion_key key;
	struct text_buf
		params; /* the values of the query's parameters, one behind the other, each with a NUL */
	struct expansion_span param[SQL_PARAMS_MAX];
	struct expansion_result result;
	bool too_many; /* values */
};

/* OST_FOUND: ask the database. Anything else is the answer. Call sql_lookup_end() in any case. */
enum ost_found sql_lookup_start(struct sql_lookup *, const struct sql_table *, const struct ost_query *,
				struct ost_answer *);
void sql_lookup_value(struct sql_lookup *, const char *value,
		      size_t len);          /* a column of a row that is not NULL */
void sql_lookup_again(struct sql_lookup *); /* forgets them: another try */
/* The answer of a database that was asked. */
enum ost_found sql_lookup_answer(struct sql_lookup *, struct ost_answer *);
void sql_lookup_end(struct sql_lookup *);
/* The query as text, the key's parts quoted by the function; for queries that are escapable. */
void sql_lookup_text(const struct sql_lookup *, expansion_quote_fn *, void *ctx, struct text_buf *out);

#endif
