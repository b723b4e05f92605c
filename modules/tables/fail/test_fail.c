/* SPDX-License-Identifier: Apache-2.0
 * fail: a failure each time, and a list that stops at it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("");

static void every_lookup_fails(void **state)
{
	(void)state;
	struct lookup found;
	struct ost_why why = { "" };
	struct table *t = table_open(fix.view, "fail:x", &why);
	assert_string_equal(why.text, "");
	for (int i = 0; i < 3; i++)
		assert_int_equal(table_lookup(t, a, "k", 1, &found), OST_TEMPFAIL);
	table_open(fix.view, "fail:", &why);
	assert_string_equal(why.text, "open dictionary: expecting \"type:name\" form instead of \"fail:\"");
}

static void a_list_ends_there(void **state)
{
	(void)state;
	struct lookup found;
	struct maps *m = maps_open(fix.view, "inline:{a=1} fail:x static:2", NULL);
	assert_int_equal(maps_find(m, a, "a", &found), OST_FOUND);
	assert_int_equal(maps_find(m, a, "b", &found), OST_TEMPFAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lookup_fails),
		cmocka_unit_test(a_list_ends_there),
	};
	return cmocka_run_group_tests_name("fail", tests, setup, teardown);
}
