/* SPDX-License-Identifier: Apache-2.0
 * cdb: building, NULs at the ends of keys and values, what it cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/module.h"
#include "ostler/host.h"
#include "table/table.h"
#include "tests/contract/index.h"
#define INDEXED_TYPE "cdb"
#include "tests/support/indexed.h"

static void the_first_of_two_equal_keys_stays(void **state)
{
	(void)state;
	static const char *const entries[] = { "a=1", "b=2", "a=3", NULL };
	name_files("first");
	assert_int_equal(index_build(ops(), path, entries, 0), 1);
	expect("a", "1");
	name_files("replaced");
	assert_int_equal(index_build(ops(), path, entries, OST_BUILD_REPLACE), 0);
	expect("a", "3");
	expect("b", "2");
	expect("c", NULL);
}

static void nuls_at_the_ends_do_not_count(void **state)
{
	(void)state;
	static const char *const entries[] = { "a=1", "b=", NULL };
	name_files("with");
	assert_int_equal(index_build(ops(), path, entries, OST_BUILD_NULL), 0);
	expect("a", "1");
	expect("b", "");
	expect("c", NULL);
	name_files("without");
	assert_int_equal(index_build(ops(), path, entries, OST_BUILD_NO_NULL), 0);
	expect("a", "1");
	expect("b", "");
}

static void it_is_neither_listed_nor_changed(void **state)
{
	(void)state;
	assert_null(ops()->walk);
	assert_null(ops()->update);
	assert_null(ops()->remove);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_of_two_equal_keys_stays),
		cmocka_unit_test(nuls_at_the_ends_do_not_count),
		cmocka_unit_test(it_is_neither_listed_nor_changed),
	};
	return cmocka_run_group_tests_name("cdb", tests, setup, teardown);
}
