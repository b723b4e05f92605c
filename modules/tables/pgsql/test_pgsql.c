/* SPDX-License-Identifier: Apache-2.0
 * pgsql without a server: what its file must and may say, and what is told. With servers:
 * tests/e2e/test_sql_*.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("");

static int files;

/* Opens pgsql:FILE with these lines; "" or what is wrong. */
static const char *opened(const char *lines, char text[300])
{
	char name[32], spec[300];
	struct ost_why why = { "" };
	snprintf(name, sizeof name, "db%d.cf", ++files);
	snprintf(spec, sizeof spec, "pgsql:%s", fixture_file(&fix, name, lines));
	table_open(fix.view, spec, &why);
	snprintf(text, 300, "%s", why.text);
	return text;
}

static void what_a_file_may_say(void **state)
{
	(void)state;
	static const char *const good[] = {
		"dbname = x\nquery = SELECT a FROM t WHERE k = '%s'\n",
		"dbname = x\nhosts = unix:/run/a inet:b:1\nuser = u\npassword = p\nquery = SELECT '%u', "
		"'%d'\nresult_format = %S\n",
		"dbname = x\ntable = t\nselect_field = a\nwhere_field = k\nadditional_conditions = AND on\n",
		"dbname = x\nquery = SELECT '%s'\ndomain = example.com, !example.org, "
		"static:x\nexpansion_limit = 3\n",
		"dbname = x\nquery = SELECT '%s'\nretry_interval = 1m\nidle_interval = 10\nmax_connections = "
		"7\n",
		"hosts = postgresql://u:p@db.test/x?sslmode=require\nquery = SELECT '%s'\n",
		"dbname = host=/run/x dbname=y\nselect_function = f\nencoding = LATIN1\n",
	};
	char text[300];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_string_equal(opened(good[i], text), "");
}

static void what_is_wrong_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *lines, *text;
	} bad[] = {
		{ "dbname = x\n", "parameter query is not set, and neither is table" },
		{ "dbname = x\ntable = t\nselect_field = a\n",
		  "parameter query is not set, and neither is where_field" },
		{ "dbname = x\nquery = SELECT '%q'\n", "Invalid query template: SELECT '%q'" },
		{ "dbname = x\nquery = SELECT '%s'\nresult_format = %\n", "Invalid result template: %" },
		{ "dbname = x\nquery = SELECT '%s\n", "query: no end of what starts at: '%s" },
		{ "dbname = x\nquery = SELECT 1 -- %s\n", "query: the key cannot stand in a comment: -- %s" },
		{ "dbname = x\nquery = SELECT '%s'\nmax_connections = 0\n",
		  "line 3: parameter max_connections: " },
		{ "dbname = x\nquery = SELECT '%s'\ndomain = /nonexistent/file\n", "/nonexistent/file" },
		{ "query = SELECT '%s'\n", "parameter dbname is required and not set" },
		{ "hosts = postgresql://u:p%zz@x/\nquery = SELECT '%s'\n",
		  "parameter hosts: this is no valid connection string" },
		{ "hosts = postgresql://u@x/?sslrootcert=/nonexistent/ca\nquery = SELECT '%s'\n",
		  "/nonexistent/ca" },
		{ "dbname = x\nquery = SELECT \"%s\"\n", "query: the key cannot stand in a name" },
	};
	char text[300];
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (!strstr(opened(bad[i].lines, text), bad[i].text))
			fail_msg("%s: %s", bad[i].lines, text);
}

/* Keys that are outside of what the file speaks of are not asked for: nobody is there who could be. */
static void keys_that_are_not_asked_for(void **state)
{
	(void)state;
	char spec[300];
	struct ost_why why = { "" };
	struct lookup found;
	static const struct {
		const char *key;
		size_t len;
	} keys[] = { { "plain", 5 }, { "@example.com", 12 },     { "joe@example.org", 15 }, { "joe@com", 7 },
		     { "", 0 },      { "a\0b@example.com", 15 }, { "\xff@example.com", 13 } };
	snprintf(spec, sizeof spec, "pgsql:%s",
		 fixture_file(&fix, "few.cf",
			      "dbname = x\nhosts = unix:/nonexistent\nquery = SELECT '%2'\ndomain = "
			      "example.com, com\n"));
	struct table *t = table_open(fix.view, spec, &why);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		assert_int_equal(table_lookup(t, a, keys[i].key, keys[i].len, &found), OST_NOTFOUND);
	assert_int_equal(table_lookup(t, a, "joe@example.com", 15, &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "unix:/nonexistent: connect to pgsql server: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_file_may_say),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(keys_that_are_not_asked_for),
	};
	return cmocka_run_group_tests_name("pgsql", tests, setup, teardown);
}
