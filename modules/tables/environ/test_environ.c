/* SPDX-License-Identifier: Apache-2.0
 * environ: variables as they were when the table was opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("");

static enum ost_found ask(const char *spec, const char *key, struct lookup *found)
{
	struct ost_why why = { "" };
	struct table *t = table_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
	return table_lookup(t, a, key, strlen(key), found);
}

static void variables_are_found(void **state)
{
	(void)state;
	struct lookup found;
	setenv("ost_test_one", "1=x y", 1);
	setenv("OST_TEST_TWO", "2", 1);
	setenv("ost_test_empty", "", 1);
	assert_int_equal(ask("environ:x", "ost_test_one", &found), OST_FOUND);
	assert_string_equal(found.value, "1=x y");
	assert_int_equal(ask("environ:x", "OST_TEST_TWO", &found), OST_FOUND);
	assert_int_equal(ask("environ:x", "ost_test_two", &found), OST_NOTFOUND);
	assert_int_equal(ask("environ:x", "ost_test_empty", &found), OST_FOUND);
	assert_int_equal(found.len, 0);
	setenv("ost_test_one", "other", 1); /* not seen any more */
	assert_int_equal(ask("environ:x", "ost_test_one", &found), OST_FOUND);
	assert_string_equal(found.value, "1=x y");
}

static void there_must_be_a_name(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	table_open(fix.view, "environ:", &why);
	assert_string_equal(why.text,
			    "open dictionary: expecting \"type:name\" form instead of \"environ:\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_are_found),
		cmocka_unit_test(there_must_be_a_name),
	};
	return cmocka_run_group_tests_name("environ", tests, setup, teardown);
}
