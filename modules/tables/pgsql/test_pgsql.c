/* SPDX-License-Identifier: Apache-2.0
 * pgsql without a server: what its file must and may say, and what is told. With servers:
 * tests/e2e/test_sql_*.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/group.h"

FIXTURE_GROUP("");

#define SQLFILE_TYPE "pgsql"
#include "tests/support/sqlfile.h"

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
	expect_good(good, sizeof good / sizeof *good);
}

static void what_is_wrong_is_told(void **state)
{
	(void)state;
	static const struct sqlfile_bad bad[] = {
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
	expect_told(bad, sizeof bad / sizeof *bad);
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
