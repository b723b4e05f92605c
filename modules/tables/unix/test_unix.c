/* SPDX-License-Identifier: Apache-2.0
 * unix: users and groups that every system has. */
#undef unix

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("");

static void users_and_groups_are_found(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct lookup found;
	struct maps *users = maps_open(fix.view, "proxy:unix:passwd.byname", &why);
	assert_string_equal(why.text, "");
	assert_int_equal(maps_find(users, a, "root", &found), OST_FOUND);
	assert_int_equal(strncmp(found.value, "root:", 5), 0);
	assert_non_null(strstr(found.value, ":0:0:"));
	assert_int_equal(maps_find(users, a, "no-such-user-here", &found), OST_NOTFOUND);
	struct maps *groups = maps_open(fix.view, "unix:group.byname", &why);
	assert_string_equal(why.text, "");
	assert_int_equal(maps_find(groups, a, "root", &found), OST_FOUND);
	assert_non_null(strstr(found.value, ":0:"));
	assert_int_equal(maps_find(groups, a, "no-such-group-here", &found), OST_NOTFOUND);
}

static void other_maps_are_refused(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	table_open(fix.view, "unix:shadow.byname", &why);
	assert_string_equal(why.text, "unknown table: unix:shadow.byname");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_and_groups_are_found),
		cmocka_unit_test(other_maps_are_refused),
	};
	return cmocka_run_group_tests_name("unix", tests, setup, teardown);
}
