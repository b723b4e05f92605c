/* SPDX-License-Identifier: Apache-2.0
 * One fixture and one arena for a whole group of tests. */
#ifndef SUPPORT_GROUP_H
#define SUPPORT_GROUP_H

#include "base/arena.h"
#include "tests/support/fixture.h"

/* Defines `fix` and `a`, open while the group runs, and setup() and teardown() for cmocka_run_group_tests_name(). */
#define FIXTURE_GROUP(main_cf)                                                                                                \
	static struct fixture fix;                                                                                            \
	static struct arena *a;                                                                                               \
	static int setup(void **state)                                                                                        \
	{                                                                                                                     \
		(void)state;                                                                                                  \
		fixture_open(&fix, main_cf, NULL);                                                                            \
		a = arena_new();                                                                                              \
		return 0;                                                                                                     \
	}                                                                                                                     \
	static int teardown(void **state)                                                                                     \
	{                                                                                                                     \
		(void)state;                                                                                                  \
		arena_destroy(&a);                                                                                            \
		fixture_close(&fix);                                                                                          \
		return 0;                                                                                                     \
	}                                                                                                                     \
	_Static_assert(1, "takes the semicolon")

#endif
