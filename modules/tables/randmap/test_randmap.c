/* SPDX-License-Identifier: Apache-2.0
 * randmap: every value comes, none that is not there, and as often as it should. */
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

static void values_come_as_often_as_they_are_listed(void **state)
{
	(void)state;
	enum { ROUNDS = 40000 };
	struct table *t = table_open(fix.view, "randmap:{one, two two\t{three, four}}", NULL);
	static const struct {
		const char *value;
		int share;
	} expected[] = { { "one", 1 }, { "two", 2 }, { "{three, four}", 1 } };
	int counts[3] = { 0 };
	for (int i = 0; i < ROUNDS; i++) {
		struct lookup found;
		size_t k = 0;
		assert_int_equal(table_lookup(t, a, "any", 3, &found), OST_FOUND);
		while (k < 3 && strcmp(found.value, expected[k].value) != 0)
			k++;
		assert_true(k < 3);
		counts[k]++;
	}
	for (size_t k = 0; k < 3; k++) { /* ten standard deviations */
		int mean = ROUNDS / 4 * expected[k].share;
		assert_in_range(counts[k], mean - 1000, mean + 1000);
	}
}

static void braces_stay(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "randmap:{a}", "a" },           { "randmap:{ {a b} }", "{a b}" },
		{ "randmap:{{a}b}", "{a}b" },     { "randmap:{{}}", "{}" },
		{ "randmap:{ { a } }", "{ a }" }, { "randmap:{a{b,b}d}", "a{b,b}d" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct lookup found;
		struct table *t = table_open(fix.view, cases[i][0], NULL);
		assert_int_equal(table_flags(t), OST_TABLE_IMMEDIATE | OST_TABLE_WHOLE_KEYS);
		assert_int_equal(table_lookup(t, a, "k", 1, &found), OST_FOUND);
		assert_string_equal(found.value, cases[i][1]);
	}
}

static void bad_forms_are_refused_in_postfix_words(void **state)
{
	(void)state;
	static const char *const bad[] = { "randmap:{}",   "randmap:{ }",     "randmap:a",
					   "randmap:{a}x", "randmap:{a, b}}", "randmap:{a" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ost_why why = { "" };
		char expected[200];
		table_open(fix.view, bad[i], &why);
		snprintf(expected, sizeof expected, "bad syntax: \"%s\"; need \"randmap:{value...}\"",
			 bad[i]);
		assert_string_equal(why.text, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_as_often_as_they_are_listed),
		cmocka_unit_test(braces_stay),
		cmocka_unit_test(bad_forms_are_refused_in_postfix_words),
	};
	return cmocka_run_group_tests_name("randmap", tests, setup, teardown);
}
