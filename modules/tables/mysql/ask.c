/* SPDX-License-Identifier: Apache-2.0
 * One question: by a prepared statement, or as text with quoted keys where the server cannot bind. */
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#include "mysqltable.h"

enum { COLUMNS_MAX = 64 };

/* What a question carries along. */
struct asking {
	struct mysql_table *t;
	struct connection *k;
	struct sql_lookup *l;
	struct ost_why *why;
	unsigned sets; /* result sets that have come */
};

/* Waits for `call`, which has said what it wants. */
#define FINISH(q, wants, call_cont, result, of)                                                              \
	do                                                                                                   \
		while (wants)                                                                                \
			wants = call_cont(                                                                   \
				result, of,                                                                  \
				mysql_await((q)->t->host, (q)->k->db, wants, (q)->l->asked->deadline));      \
	while (0)

/* ---- errors --------------------------------------------------------------------------------------------------------------- */

/* What says that the server, not the question, is the matter. */
static bool is_lost(unsigned error)
{
	static const unsigned of_server[] = { ER_SERVER_SHUTDOWN, ER_NORMAL_SHUTDOWN, ER_CONNECTION_KILLED,
					      ER_NEW_ABORTING_CONNECTION };
	bool lost = error >= CR_MIN_ERROR && error <= CR_MAX_ERROR && error != CR_NO_PREPARE_STMT &&
		    error != CR_COMMANDS_OUT_OF_SYNC;
	for (size_t i = 0; i < sizeof of_server / sizeof *of_server; i++)
		lost = lost || error == of_server[i];
	return lost;
}

static enum sql_outcome failed(struct asking *q, unsigned error, const char *text)
{
	const struct ost_host *host = q->t->host;
	bool lost = is_lost(error);
	if (lost && host->now() >= q->l->asked->deadline) {
		host->why(q->why, "no answer in time");
		return SQL_SILENT;
	}
	host->why(q->why, "mysql query failed: %.*s", sql_first_line(text), text);
	return lost ? SQL_LOST : SQL_REFUSED;
}

static enum sql_outcome failed_text(struct asking *q)
{
	return failed(q, mysql_errno(q->k->db), mysql_error(q->k->db));
}

static enum sql_outcome failed_statement(struct asking *q)
{
	return failed(q, mysql_stmt_errno(q->k->statement), mysql_stmt_error(q->k->statement));
}

/* All results have come: is that what was asked for? */
static enum sql_outcome judge_sets(struct asking *q)
{
	if (q->sets == 1 || (q->sets == 0 && !q->t->config->require_result_set))
		return SQL_ANSWERED;
	q->t->host->why(q->why,
			q->sets ? "the query has more than one result set" : "the query has no result set");
	return SQL_REFUSED;
}

/* ---- as text ---------------------------------------------------------------------------------------------------------------- */

static void quote(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	if (text_buf_reserve(out, 2 * len))
		out->len += mysql_real_escape_string(ctx, out->text + out->len, text, len);
}

static void take_text_rows(struct asking *q, MYSQL_RES *r)
{
	MYSQL_ROW row;
	unsigned columns = mysql_num_fields(r);
	while ((row = mysql_fetch_row(r)) != NULL) {
		const unsigned long *lengths = mysql_fetch_lengths(r);
		for (unsigned i = 0; i < columns; i++)
			if (row[i])
				sql_lookup_value(q->l, row[i], lengths[i]);
	}
}

/* One result of several; false: an error. */
static bool take_text_set(struct asking *q)
{
	MYSQL_RES *r = NULL;
	int wants = mysql_store_result_start(&r, q->k->db);
	FINISH(q, wants, mysql_store_result_cont, &r, q->k->db);
	if (!r)
		return mysql_field_count(q->k->db) == 0;
	if (q->sets++ == 0)
		take_text_rows(q, r);
	mysql_free_result(r);
	return true;
}

static enum sql_outcome ask_as_text(struct asking *q)
{
	struct text_buf text = { 0 };
	int error = 0, wants;
	sql_lookup_text(q->l, quote, q->k->db, &text);
	if (text.spoilt) {
		text_buf_free(&text);
		q->t->host->why(q->why, "the query is too long");
		return SQL_REFUSED;
	}
	wants = mysql_real_query_start(&error, q->k->db, text_buf_text(&text), text.len);
	FINISH(q, wants, mysql_real_query_cont, &error, q->k->db);
	while (!error && take_text_set(q)) {
		wants = mysql_next_result_start(&error, q->k->db);
		FINISH(q, wants, mysql_next_result_cont, &error, q->k->db);
	}
	text_buf_free(&text);
	return error >= 0 ? failed_text(q) : judge_sets(q); /* -1: no more results */
}

/* ---- by a statement --------------------------------------------------------------------------------------------------------- */

/* Values of any length: each column's place is as large as its longest value. The places, for free(); NULL:
 * there are none. */
static char *bind_columns(struct asking *q, MYSQL_RES *columns, MYSQL_BIND *bind, unsigned n)
{
	size_t total = 0;
	for (unsigned i = 0; i < n; i++) {
		const MYSQL_FIELD *field = mysql_fetch_field_direct(columns, i);
		/* Numbers and dates become text here, which is no longer than this. */
		unsigned long room = field->max_length > 64 ? field->max_length : 64;
		bind[i] = (MYSQL_BIND){ .buffer_type = MYSQL_TYPE_STRING, .buffer_length = room };
		bind[i].length = &bind[i].length_value;
		bind[i].is_null = &bind[i].is_null_value;
		total += room;
	}
	char *space = malloc(total), *at = space;
	for (unsigned i = 0; i < n && space; at += bind[i++].buffer_length)
		bind[i].buffer = at;
	if (space && mysql_stmt_bind_result(q->k->statement, bind) == 0)
		return space;
	free(space);
	return NULL;
}

static bool take_rows(struct asking *q, MYSQL_RES *columns)
{
	MYSQL_STMT *s = q->k->statement;
	MYSQL_BIND bind[COLUMNS_MAX];
	unsigned n = mysql_num_fields(columns);
	char *space = n <= COLUMNS_MAX ? bind_columns(q, columns, bind, n) : NULL;
	int result = 0;
	while (space && (result = mysql_stmt_fetch(s)) == 0)
		for (unsigned i = 0; i < n; i++)
			if (!bind[i].is_null_value)
				sql_lookup_value(q->l, bind[i].buffer, bind[i].length_value);
	bool ok = space && result == MYSQL_NO_DATA;
	free(space);
	return ok;
}

/* One result of several; false: an error. */
static bool take_set(struct asking *q)
{
	MYSQL_STMT *s = q->k->statement;
	int error = 0;
	bool ok = true;
	if (mysql_stmt_field_count(s) == 0)
		return true;
	int wants = mysql_stmt_store_result_start(&error, s);
	FINISH(q, wants, mysql_stmt_store_result_cont, &error, s);
	MYSQL_RES *columns = error ? NULL : mysql_stmt_result_metadata(s);
	/* The parameters that a procedure gives back (OUT) are none of its result sets. */
	bool counts = columns && !(q->k->db->server_status & SERVER_PS_OUT_PARAMS);
	if (counts && q->sets++ == 0)
		ok = take_rows(q, columns);
	if (columns)
		mysql_free_result(columns);
	return ok && columns;
}

static enum sql_outcome read_sets(struct asking *q)
{
	int more = 0, wants;
	while (more == 0 && take_set(q)) {
		wants = mysql_stmt_next_result_start(&more, q->k->statement);
		FINISH(q, wants, mysql_stmt_next_result_cont, &more, q->k->statement);
	}
	if (more < 0) /* no more */
		return judge_sets(q);
	return mysql_stmt_errno(q->k->statement) ? failed_statement(q)
						 : failed(q, CR_UNKNOWN_ERROR, "rows that cannot be read");
}

/* Errors that say that a parameter cannot stand where a literal can. */
static bool may_be_text(const struct mysql_table *t, unsigned error)
{
	static const unsigned not_bindable[] = { ER_PARSE_ERROR, ER_UNSUPPORTED_PS, ER_WRONG_ARGUMENTS };
	for (size_t i = 0; t->table.query->escapable && i < sizeof not_bindable / sizeof *not_bindable; i++)
		if (error == not_bindable[i])
			return true;
	return false;
}

/* The connection's statement, once. */
static enum sql_outcome prepare(struct asking *q)
{
	const char *text = q->t->table.query->bound;
	const my_bool lengths = 1;
	int error = 0;
	q->k->statement = mysql_stmt_init(q->k->db);
	if (!q->k->statement) {
		q->t->host->why(q->why, "out of memory");
		return SQL_REFUSED;
	}
	mysql_stmt_attr_set(q->k->statement, STMT_ATTR_UPDATE_MAX_LENGTH, &lengths);
	int wants = mysql_stmt_prepare_start(&error, q->k->statement, text, strlen(text));
	FINISH(q, wants, mysql_stmt_prepare_cont, &error, q->k->statement);
	if (!error)
		return SQL_ANSWERED;
	enum sql_outcome outcome = failed_statement(q);
	if (outcome == SQL_REFUSED && may_be_text(q->t, mysql_stmt_errno(q->k->statement)))
		atomic_store(&q->t->as_text, true);
	if (outcome ==
	    SQL_REFUSED) { /* the server has none: nothing is told to it, so nothing is waited for */
		mysql_stmt_close(q->k->statement);
		q->k->statement = NULL;
	}
	return outcome;
}

static enum sql_outcome ask_bound(struct asking *q)
{
	MYSQL_BIND bind[SQL_PARAMS_MAX] = { 0 };
	int error = 0;
	enum sql_outcome outcome = q->k->statement ? SQL_ANSWERED : prepare(q);
	if (outcome != SQL_ANSWERED)
		return outcome;
	MYSQL_STMT *s = q->k->statement;
	size_t count = q->t->table.query->count;
	for (size_t i = 0; i < count; i++) {
		bind[i].buffer_type = MYSQL_TYPE_STRING;
		bind[i].buffer = (char *)(uintptr_t)q->l->param[i].text;
		bind[i].buffer_length = q->l->param[i].len;
	}
	if (mysql_stmt_param_count(s) != count || (count > 0 && mysql_stmt_bind_param(s, bind)))
		return failed(q, ER_WRONG_ARGUMENTS, "the server counts other parameters");
	int wants = mysql_stmt_execute_start(&error, s);
	FINISH(q, wants, mysql_stmt_execute_cont, &error, s);
	outcome = error ? failed_statement(q) : read_sets(q);
	my_bool freed = 0;
	if (outcome == SQL_ANSWERED || outcome == SQL_REFUSED) {
		wants = mysql_stmt_free_result_start(&freed, s);
		FINISH(q, wants, mysql_stmt_free_result_cont, &freed, s);
	}
	return outcome;
}

enum sql_outcome mysql_ask(void *ctx, void *connection, struct sql_lookup *l, struct ost_why *why)
{
	struct mysql_table *t = ctx;
	struct asking q = { .t = t, .k = connection, .l = l, .why = why };
	bool bindable = t->table.query->bound != NULL;
	enum sql_outcome outcome = SQL_REFUSED;
	if (bindable && !atomic_load(&t->as_text))
		outcome = ask_bound(&q);
	if (outcome == SQL_REFUSED && (!bindable || atomic_load(&t->as_text)))
		outcome = ask_as_text(&q);
	return outcome;
}
