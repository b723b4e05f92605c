/* SPDX-License-Identifier: Apache-2.0
 * static: the forms of its value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/fixture.h"

static struct fixture fix;

static int setup(void **state)
{
	(void)state;
	fixture_open(&fix, "", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_close(&fix);
	return 0;
}

static void every_key_has_the_value(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "static:5000", "5000" },	  { "static:a:b", "a:b" },	 { "static:{ two words }", "two words" },
		{ "static:{x}", "x" },		  { "static:{ {a} {b} }", "{a} {b}" }, { "static:two words", "two words" },
		{ "static:{}", "" },
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		struct lookup found;
		struct table *t = table_open(fix.view, cases[i][0], &why);
		assert_string_equal(why.text, "");
		assert_int_equal(table_lookup(t, a, "key", 3, &found), OST_FOUND);
		assert_string_equal(found.value, cases[i][1]);
		assert_int_equal(table_lookup(t, a, "", 0, &found), OST_FOUND);
	}
	arena_destroy(&a);
}

static void a_value_must_be_there_and_whole(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	table_open(fix.view, "static:{x", &why);
	assert_string_equal(why.text, "bad static:name syntax: missing '}' in \"{x\"");
	table_open(fix.view, "static:{x}y", &why);
	assert_string_equal(why.text, "bad static:name syntax: syntax error after '}' in \"{x}y\"");
	table_open(fix.view, "static:", &why);
	assert_string_equal(why.text, "open dictionary: expecting \"type:name\" form instead of \"static:\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_has_the_value),
		cmocka_unit_test(a_value_must_be_there_and_whole),
	};
	return cmocka_run_group_tests_name("static", tests, setup, teardown);
}
