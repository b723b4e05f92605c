/* SPDX-License-Identifier: Apache-2.0
 * debug: what stands in the log, and that nothing else is changed. */
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

static void questions_and_answers_are_logged(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *key;
		enum ost_found result;
		const char *line;
	} cases[] = {
		{ "debug:static:x y", "Key", OST_FOUND, "static:x y lookup: \"Key\" = \"x y\"" },
		{ "debug:inline:{a=b}", "none", OST_NOTFOUND,
		  "inline:{a=b} lookup: \"none\" = \"not_found\"" },
		{ "debug:fail:z", "k", OST_TEMPFAIL, "fail:z lookup: \"k\" = \"error\"" },
		{ "debug:static:x", "a\x1b[2J\nb", OST_FOUND, "static:x lookup: \"a?[2J?b\" = \"x\"" },
	};
	fixture_log(&fix);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		struct lookup found;
		struct table *t = table_open(fix.view, cases[i].spec, &why);
		assert_string_equal(why.text, "");
		assert_int_equal(table_lookup(t, a, cases[i].key, strlen(cases[i].key), &found),
				 cases[i].result);
		if (!fixture_logged(&fix, cases[i].line))
			fail_msg("not logged: %s", cases[i].line);
	}
}

static void it_is_the_table_behind(void **state)
{
	(void)state;
	char spec[200];
	const char *path = fixture_file(&fix, "patterns", "/^A(.*)$/ <$1>\n");
	snprintf(spec, sizeof spec, "debug:regexp:%s", path);
	struct table *t = table_open(fix.view, spec, NULL);
	assert_int_equal(table_flags(t), table_flags(table_open(fix.view, spec + strlen("debug:"), NULL)));
	assert_int_equal(table_flags(table_open(fix.view, "debug:static:x", NULL)), OST_TABLE_IMMEDIATE);
}

static void there_must_be_a_table_behind(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	table_open(fix.view, "debug:", &why);
	assert_string_equal(why.text, "open dictionary: expecting \"type:name\" form instead of \"debug:\"");
	table_open(fix.view, "debug:x", &why);
	assert_string_equal(why.text, "open dictionary: expecting \"type:name\" form instead of \"x\"");
	table_open(fix.view, "debug:unionmap:{}", &why);
	assert_string_equal(why.text, "bad syntax: \"unionmap:{}\"; need \"unionmap:{type:name...}\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_and_answers_are_logged),
		cmocka_unit_test(it_is_the_table_behind),
		cmocka_unit_test(there_must_be_a_table_behind),
	};
	return cmocka_run_group_tests_name("debug", tests, setup, teardown);
}
