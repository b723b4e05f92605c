/* SPDX-License-Identifier: Apache-2.0
 * pipemap: one table after the other. */
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

static void each_table_is_asked_for_the_answer_before(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *key;
		enum ost_found result;
		const char *value;
	} cases[] = {
		{ "pipemap:{inline:{a=b},inline:{b=c}}", "a", OST_FOUND, "c" },
		{ "pipemap:{inline:{a=B},inline:{b=c}}", "a", OST_FOUND, "c" },
		{ "pipemap:{inline:{a=b},inline:{b=c}}", "b", OST_NOTFOUND, NULL },
		{ "pipemap:{inline:{a=x},inline:{b=c}}", "a", OST_NOTFOUND, NULL },
		{ "pipemap:{inline:{a=b}}", "a", OST_FOUND, "b" },
		{ "pipemap:{inline:{a=b},fail:x}", "a", OST_TEMPFAIL, NULL },
		{ "pipemap:{inline:{a=b},fail:x}", "z", OST_NOTFOUND, NULL },
		{ "pipemap:{fail:x,static:a}", "z", OST_TEMPFAIL, NULL },
		{ "pipemap:{inline:{a=},static:b}", "a", OST_FOUND, "b" },
		{ "pipemap:{pipemap:{inline:{a=b}},unionmap:{inline:{b=c},static:d}}", "a", OST_FOUND,
		  "c,d" },
		{ "pipemap:{ inline:{a=b}, { inline:{ {b = c d} } } }", "a", OST_FOUND, "c d" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		struct lookup found;
		struct table *t = table_open(fix.view, cases[i].spec, &why);
		assert_string_equal(why.text, "");
		if (table_lookup(t, a, cases[i].key, strlen(cases[i].key), &found) != cases[i].result)
			fail_msg("%s: %s", cases[i].spec, cases[i].key);
		if (cases[i].value)
			assert_string_equal(found.value, cases[i].value);
		else
			assert_null(found.value);
	}
}

/* A pattern gets the answer as it is, a file of keys in lower case. */
static void case_between_tables(void **state)
{
	(void)state;
	char spec[200];
	struct lookup found;
	snprintf(spec, sizeof spec, "pipemap:{inline:{k=MiXed},regexp:%s}",
		 fixture_file(&fix, "patterns", "/^M(.*)$/ <$1>\n"));
	struct table *t = table_open(fix.view, spec, NULL);
	assert_int_equal(table_lookup(t, a, "k", 1, &found), OST_FOUND);
	assert_string_equal(found.value, "<iXed>");
}

static void bad_forms_are_refused_in_postfix_words(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *reason;
	} cases[] = {
		{ "pipemap:{}", "bad syntax: \"pipemap:{}\"; need \"pipemap:{type:name...}\"" },
		{ "pipemap:{abc}", "bad syntax: \"pipemap:{abc}\"; need \"pipemap:{type:name...}\"" },
		{ "pipemap:static:x", "bad syntax: \"pipemap:static:x\"; need \"pipemap:{type:name...}\"" },
		{ "pipemap:{static:}",
		  "open dictionary: expecting \"type:name\" form instead of \"static:\"" },
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
		cmocka_unit_test(each_table_is_asked_for_the_answer_before),
		cmocka_unit_test(case_between_tables),
		cmocka_unit_test(bad_forms_are_refused_in_postfix_words),
	};
	return cmocka_run_group_tests_name("pipemap", tests, setup, teardown);
}
