/* SPDX-License-Identifier: Apache-2.0
 * SQL queries: what is bound, what is refused, what is written out; hosts; UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/sqlquery.h"
#include "shared/sqlserver.h"
#include "shared/trial_why.h"
#include "shared/utf8.h"

static const struct ost_host host = { .size = sizeof host, .why = host_why };

/* ---- queries ------------------------------------------------------------------------------------------------------------ */

static void keys_become_parameters(void **state)
{
	(void)state;
	static const struct {
		enum sql_dialect dialect;
		const char *text, *bound, *params; /* of a key U@D, joined by '|' */
		bool escapable;
	} cases[] = {
		{ SQL_PGSQL, "SELECT a FROM t WHERE k = '%s'", "SELECT a FROM t WHERE k = $1", "U@D", true },
		{ SQL_MYSQL, "SELECT a FROM t WHERE k = '%s'", "SELECT a FROM t WHERE k = ?", "U@D", true },
		{ SQL_SQLITE, "SELECT a FROM t WHERE k = '%s' OR k = '@%d'",
		  "SELECT a FROM t WHERE k = ?1 OR k = ?2", "U@D|@D", false },
		{ SQL_PGSQL, "WHERE k = '%u' || '@' || 'it''s %d%%'", "WHERE k = $1 || '@' || $2",
		  "U|it's D%", true },
		{ SQL_PGSQL, "WHERE k LIKE 'a%%' AND n = %s", "WHERE k LIKE 'a%' AND n = $1", "U@D", false },
		{ SQL_PGSQL, "WHERE k = E'%s' AND l = E'\\'' -- 5%%", "WHERE k = $1 AND l = E'\\'' -- 5%",
		  "U@D", false },
		{ SQL_PGSQL, "SELECT $x$ '%% $x$, \"c%%\" FROM t WHERE k = '%s'",
		  "SELECT $x$ '% $x$, \"c%\" FROM t WHERE k = $1", "U@D", true },
		{ SQL_MYSQL, "WHERE k = \"%s\" /* it's */", "WHERE k = ? /* it's */", "U@D", false },
		{ SQL_MYSQL, "SELECT `it's`, 'it\\'s' FROM t WHERE k = '%s' # '",
		  "SELECT `it's`, 'it\\'s' FROM t WHERE k = ? # '", "U@D", true },
		{ SQL_MYSQL, "SELECT '?' FROM t WHERE k = '%s' AND l = ?", NULL, "U@D", true },
		{ SQL_MYSQL, "WHERE k = '\\\\%s'", NULL, "", true },
		{ SQL_MYSQL, "WHERE k = _utf8mb4'%s'", NULL, "", true },
		{ SQL_SQLITE, "SELECT [it's] FROM t WHERE k = \"%s\"", "SELECT [it's] FROM t WHERE k = ?1",
		  "U@D", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		struct text_buf params = { 0 };
		struct expansion_needs needs = { 0 };
		struct expansion_key key;
		struct sql_query *q = sql_query_compile(&host, cases[i].text, cases[i].dialect, &needs, &why);
		if (!q)
			fail_msg("%s: %s", cases[i].text, why.text);
		assert_true(expansion_split(&needs, "U@D", 3, &key));
		for (size_t k = 0; k < q->count; k++) {
			text_buf_puts(&params, k ? "|" : "");
			expansion_of_key(q->param[k], &key, NULL, NULL, &params);
		}
		assert_true(!q->bound == !cases[i].bound);
		if (q->bound)
			assert_string_equal(q->bound, cases[i].bound);
		assert_string_equal(text_buf_text(&params), cases[i].params);
		assert_int_equal(q->escapable, cases[i].escapable);
		text_buf_free(&params);
		sql_query_free(q);
	}
}

static void bracket(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	(void)ctx;
	text_buf_puts(out, "<");
	text_buf_add(out, text, len);
	text_buf_puts(out, ">");
}

static void queries_are_written_out(void **state)
{
	static const char query[] = "SELECT '100%%', '%u' FROM t WHERE k = '%s' AND d = '@%2.%1'";
	struct expansion_needs needs = { 0 };
	struct expansion_key key;
	struct text_buf out = { 0 };
	struct ost_why why = { "" };
	(void)state;
	struct sql_query *q = sql_query_compile(&host, query, SQL_PGSQL, &needs, &why);
	assert_non_null(q);
	assert_false(expansion_split(&needs, "joe@test", 8, &key));
	assert_false(expansion_split(&needs, "@x.test", 7, &key));
	assert_true(expansion_split(&needs, "joe@x.test", 10, &key));
	expansion_of_key(q->text, &key, bracket, NULL, &out);
	assert_string_equal(out.text,
			    "SELECT '100%', '<joe>' FROM t WHERE k = '<joe@x.test>' AND d = '@<x>.<test>'");
	text_buf_free(&out);
	sql_query_free(q);
}

static void a_key_is_no_piece_of_sql(void **state)
{
	(void)state;
	static const struct {
		enum sql_dialect dialect;
		const char *text, *why;
	} cases[] = {
		{ SQL_PGSQL, "SELECT \"%s\" FROM t", "query: the key cannot stand in a name: \"%s\"" },
		{ SQL_MYSQL, "SELECT `%d` FROM t", "query: the key cannot stand in a name: `%d`" },
		{ SQL_SQLITE, "SELECT [%d] FROM t", "query: the key cannot stand in a name: [%d]" },
		{ SQL_PGSQL, "SELECT 1 -- %s", "query: the key cannot stand in a comment: -- %s" },
		{ SQL_MYSQL, "SELECT 1 /*! %s */", "query: the key cannot stand in a comment: /*! %s */" },
		{ SQL_MYSQL, "SELECT 1 # %s", "query: the key cannot stand in a comment: # %s" },
		{ SQL_PGSQL, "SELECT $a$%s$a$", "query: the key cannot stand in a quoted text: $a$%s$a$" },
		{ SQL_PGSQL, "SELECT E'\\n%s'",
		  "query: the key cannot be bound or escaped where it stands: SELECT E'\\n%s'" },
		{ SQL_PGSQL, "SELECT U&'%s'",
		  "query: the key cannot be bound or escaped where it stands: SELECT U&'%s'" },
		{ SQL_SQLITE, "SELECT x'%s'",
		  "query: the key cannot be bound or escaped where it stands: SELECT x'%s'" },
		{ SQL_MYSQL, "SELECT \"\\\\%s\"",
		  "query: the key cannot be bound or escaped where it stands: SELECT \"\\\\%s\"" },
		{ SQL_PGSQL, "SELECT '%s", "query: no end of what starts at: '%s" },
		{ SQL_PGSQL, "SELECT /* %s", "query: no end of what starts at: /* %s" },
		{ SQL_PGSQL, "SELECT '%x'", "parameter query: Invalid query template: SELECT '%x'" },
		{ SQL_PGSQL, "SELECT %", "parameter query: Invalid query template: SELECT %" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		struct expansion_needs needs = { 0 };
		assert_null(sql_query_compile(&host, cases[i].text, cases[i].dialect, &needs, &why));
		assert_string_equal(why.text, cases[i].why);
	}
}

static void too_many_parameters_are_refused(void **state)
{
	(void)state;
	char text[40 * 8] = "";
	struct ost_why why = { "" };
	struct expansion_needs needs = { 0 };
	for (int i = 0; i < SQL_PARAMS_MAX + 1; i++)
		memcpy(text + 5 * i, "'%s' ", 6);
	assert_null(sql_query_compile(&host, text, SQL_MYSQL, &needs, &why));
	assert_string_equal(why.text, "query: the key stands in more than 32 places");
}

static void utf8_is_told_from_other_bytes(void **state)
{
	(void)state;
	static const char *const good[] = { "",
					    "a",
					    "\xc3\xa9",
					    "\xed\x9f\xbf",
					    "\xe2\x82\xac",
					    "\xf0\x9f\x93\xac",
					    "\xef\xbf\xbf",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",
					   "\xc0\xaf",
					   "\xc1\xbf",
					   "\xe0\x80\xaf",
					   "\xed\xa0\x80",
					   "\xf0\x80\x80\x80",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xff",
					   "\xc3",
					   "\xe2\x82",
					   "a\xe2\x28\xa1",
					   "a\xe2\x82",
					   "\xe2\x82"
					   "b" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(utf8_well_formed(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(utf8_well_formed(bad[i], strlen(bad[i])));
}

/* ---- servers -------------------------------------------------------------------------------------------------------------- */

static void hosts_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *word, *name, *host, *path;
		int port;
		bool uri;
	} cases[] = {
		{ "unix:/run/db", "unix:/run/db", NULL, "/run/db", 0, false },
		{ "/run/db", "/run/db", NULL, "/run/db", 0, false },
		{ "inet:db.test:5433", "inet:db.test:5433", "db.test", NULL, 5433, false },
		{ "db.test", "db.test", "db.test", NULL, 0, false },
		{ "[::1]:99", "[::1]:99", "::1", NULL, 99, false },
		{ "inet:[2001:db8::1]", "inet:[2001:db8::1]", "2001:db8::1", NULL, 0, false },
		{ "postgresql://u:secret@db.test:1/x?password=secret", "postgresql://db.test:1/x", NULL, NULL,
		  0, true },
		{ "postgres://u:p@ss@/x", "postgres:///x", NULL, NULL, 0, true },
	};
	char text[600] = "";
	struct sql_servers servers;
	struct ost_why why;
	enum { N = sizeof cases / sizeof *cases };
	for (size_t i = 0; i < N; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i % 2 ? ", " : " ",
			 cases[i].word);
	assert_true(sql_servers_parse(&host, text, true, &servers, &why));
	assert_int_equal(servers.count, N);
	for (size_t i = 0; i < N; i++) {
		const struct sql_server *s = &servers.list[i];
		assert_string_equal(s->name, cases[i].name);
		assert_string_equal(s->at.host ? s->at.host : "", cases[i].host ? cases[i].host : "");
		assert_string_equal(s->at.path ? s->at.path : "", cases[i].path ? cases[i].path : "");
		assert_int_equal(s->at.port, cases[i].port);
		assert_int_equal(s->is_uri, cases[i].uri);
	}
	sql_servers_free(&servers);
	assert_true(sql_servers_parse(&host, " ,", true, &servers, &why));
	assert_int_equal(servers.count, 1);
	assert_string_equal(servers.list[0].at.host, "localhost");
	sql_servers_free(&servers);
}

static void hosts_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *word, *shown;
	} bad[] = {
		{ "unix:relative", "unix:relative" },
		{ "db.test:", "db.test:" },
		{ "db.test:0", "db.test:0" },
		{ "db.test:65536", "db.test:65536" },
		{ "db.test:no-port", "db.test:no-port" },
		{ "[::1", "[::1" },
		{ "[::1]x", "[::1]x" },
		{ "::1", "::1" },
		{ "inet:", "inet:" },
		{ "mysql://u:secret@db.test/x", "mysql://db.test/x" },
		{ "mysql://u:sec/ret@db.test/x?password=secret", "mysql://db.test/x" },
		{ "u:secret@db.test/x:", "db.test/x:" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct sql_servers servers;
		struct ost_why why = { "" };
		char text[100], want[200];
		snprintf(text, sizeof text, "db.test %s", bad[i].word);
		snprintf(want, sizeof want, "parameter hosts: no server: %s (" ENDPOINTS_FORMS ")",
			 bad[i].shown);
		assert_false(sql_servers_parse(&host, text, false, &servers, &why));
		assert_string_equal(why.text, want);
		sql_servers_free(&servers);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_become_parameters),
		cmocka_unit_test(queries_are_written_out),
		cmocka_unit_test(a_key_is_no_piece_of_sql),
		cmocka_unit_test(too_many_parameters_are_refused),
		cmocka_unit_test(utf8_is_told_from_other_bytes),
		cmocka_unit_test(hosts_are_read),
		cmocka_unit_test(hosts_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests_name("sqlquery", tests, NULL, NULL);
}
