/* SPDX-License-Identifier: Apache-2.0
 * inline: the forms that a table in the configuration may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("");

static void items_have_several_forms(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *key, *value;
	} cases[] = {
		{ "inline:{a=b}", "a", "b" },
		{ "inline:{ a=b , c=d }", "c", "d" },
		{ "inline:{a=b c=d}", "c", "d" },
		{ "inline:{ { a = two words } }", "a", "two words" },
		{ "inline:{{a=x}, {b = y, z}}", "b", "y, z" },
		{ "inline:{a=x,a=y}", "a", "y" },
		{ "inline:{A=x}", "a", "x" },
		{ "inline:{{two words = x}}", "two words", "x" },
		{ "inline:{{a = {b} = c}}", "a", "{b} = c" },
		{ "inline:{a=b}", "c", NULL },
		{ "inline:{a=}", "a", "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		struct lookup found;
		struct table *t = table_open(fix.view, cases[i].spec, &why);
		assert_string_equal(why.text, "");
		assert_int_equal(table_lookup(t, a, cases[i].key, strlen(cases[i].key), &found),
				 cases[i].value ? OST_FOUND : OST_NOTFOUND);
		if (cases[i].value)
			assert_string_equal(found.value, cases[i].value);
	}
}

static void bad_forms_are_refused_in_postfix_words(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *reason;
	} cases[] = {
		{ "inline:a=b", "bad syntax: \"inline:a=b\"; need \"inline:{name=value...}\"" },
		{ "inline:{a}", "missing '=' after attribute name: \"inline:{a}\"; need \"inline:{name=value...}\"" },
		{ "inline:{a=b", "bad syntax: \"inline:{a=b\"; need \"inline:{name=value...}\"" },
		{ "inline:{}", "bad syntax: \"inline:{}\"; need \"inline:{name=value...}\"" },
		{ "inline:{ }", "empty table: \"inline:{ }\"; need \"inline:{name=value...}\"" },
		{ "inline:{=b}", "missing attribute name: \"inline:{=b}\"; need \"inline:{name=value...}\"" },
		{ "inline:{{a=b}x}", "syntax error after '}': \"inline:{{a=b}x}\"; need \"inline:{name=value...}\"" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		table_open(fix.view, cases[i].spec, &why);
		assert_string_equal(why.text, cases[i].reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_have_several_forms),
		cmocka_unit_test(bad_forms_are_refused_in_postfix_words),
	};
	return cmocka_run_group_tests_name("inline", tests, setup, teardown);
}
