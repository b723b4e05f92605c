/* SPDX-License-Identifier: Apache-2.0
 * unionmap: what is joined, what fails, how it is written. */
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

static void what_tables_have_is_joined(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *key;
		enum ost_found result;
		const char *value;
	} cases[] = {
		{ "unionmap:{static:a,static:b}", "k", OST_FOUND, "a,b" },
		{ "unionmap:{ static:a static:b\tstatic:c }", "k", OST_FOUND, "a,b,c" },
		{ "unionmap:{,static:a,}", "k", OST_FOUND, "a" },
		{ "unionmap:{inline:{k=1},inline:{x=2}}", "k", OST_FOUND, "1" },
		{ "unionmap:{inline:{k=1},inline:{x=2}}", "x", OST_FOUND, "2" },
		{ "unionmap:{inline:{k=1},inline:{x=2}}", "y", OST_NOTFOUND, NULL },
		{ "unionmap:{ static:a, { inline:{ {k = b c} } } }", "k", OST_FOUND, "a,b c" },
		{ "unionmap:{ { static:b c } { static:d } }", "k", OST_FOUND, "b c,d" },
		{ "unionmap:{inline:{k=},static:b}", "k", OST_FOUND, "b" },
		{ "unionmap:{static:b,inline:{k=}}", "k", OST_FOUND, "b," },
		{ "unionmap:{inline:{k=}}", "k", OST_NOTFOUND, NULL },
		{ "unionmap:{static:a,fail:x}", "k", OST_TEMPFAIL, NULL },
		{ "unionmap:{fail:x,static:a}", "k", OST_TEMPFAIL, NULL },
		{ "unionmap:{inline:{x=2},fail:x}", "k", OST_TEMPFAIL, NULL },
		{ "unionmap:{unionmap:{static:a,static:b},static:c}", "k", OST_FOUND, "a,b,c" },
		{ "unionmap:{pipemap:{inline:{k=x},inline:{x=y}},static:c}", "k", OST_FOUND, "y,c" },
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

static void the_table_that_failed_is_named(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = table_open(fix.view, "unionmap:{static:a,fail:xyz}", NULL);
	assert_int_equal(table_lookup(t, a, "k", 1, &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "fail:xyz"));
}

static void bad_forms_are_refused_in_postfix_words(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *reason;
	} cases[] = {
		{ "unionmap:{}", "bad syntax: \"unionmap:{}\"; need \"unionmap:{type:name...}\"" },
		{ "unionmap:{ }", "bad syntax: \"unionmap:{ }\"; need \"unionmap:{type:name...}\"" },
		{ "unionmap:static:a",
		  "bad syntax: \"unionmap:static:a\"; need \"unionmap:{type:name...}\"" },
		{ "unionmap:{static:a",
		  "bad syntax: \"unionmap:{static:a\"; need \"unionmap:{type:name...}\"" },
		{ "unionmap:{static:a}x",
		  "bad syntax: \"unionmap:{static:a}x\"; need \"unionmap:{type:name...}\"" },
		{ "unionmap:{foo}", "bad syntax: \"unionmap:{foo}\"; need \"unionmap:{type:name...}\"" },
		{ "unionmap:{static:a,foo}",
		  "bad syntax: \"unionmap:{static:a,foo}\"; need \"unionmap:{type:name...}\"" },
		{ "unionmap:{static:}",
		  "open dictionary: expecting \"type:name\" form instead of \"static:\"" },
		{ "unionmap:{static:a,texthash:/nonexistent/x}",
		  "open /nonexistent/x: No such file or directory" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		struct lookup found;
		struct table *t = table_open(fix.view, cases[i].spec, &why);
		assert_string_equal(why.text, cases[i].reason);
		assert_int_equal(table_lookup(t, a, "k", 1, &found), OST_TEMPFAIL);
	}
}

/* The first table says whether it is one of patterns; all must be quick for the whole to be. */
static void flags_follow_from_the_tables(void **state)
{
	(void)state;
	char specs[2][200];
	const char *patterns = fixture_file(&fix, "patterns", "/^A(.*)$/ <$1>\n");
	snprintf(specs[0], sizeof specs[0], "unionmap:{static:a,regexp:%s}", patterns);
	snprintf(specs[1], sizeof specs[1], "unionmap:{regexp:%s,static:a}", patterns);
	assert_int_equal(table_flags(table_open(fix.view, "unionmap:{static:a}", NULL)), OST_TABLE_IMMEDIATE);
	unsigned second = table_flags(table_open(fix.view, specs[0], NULL));
	unsigned first = table_flags(table_open(fix.view, specs[1], NULL));
	assert_int_equal(second & OST_TABLE_WHOLE_KEYS, 0);
	assert_int_equal(first & OST_TABLE_WHOLE_KEYS, OST_TABLE_WHOLE_KEYS);
	assert_int_equal(first & OST_TABLE_UNSAFE, second & OST_TABLE_UNSAFE);
}

/* With patterns first, keys come as they were written, and are folded for each table that wants that. */
static void case_is_what_each_table_wants(void **state)
{
	(void)state;
	char spec[200];
	struct lookup found;
	snprintf(spec, sizeof spec, "unionmap:{regexp:%s,inline:{ab=1}}",
		 fixture_file(&fix, "case", "/^A(.*)$/ <$1>\n"));
	struct maps *m = maps_open(fix.view, spec, NULL);
	assert_int_equal(maps_find(m, a, "AB", &found), OST_FOUND);
	assert_string_equal(found.value, "<B>,1");
	m = maps_open(fix.view, "unionmap:{inline:{ab=1}}", NULL);
	assert_int_equal(maps_find(m, a, "AB", &found), OST_FOUND);
	assert_string_equal(found.value, "1");
}

static void lists_of_the_core_keep_it_whole(void **state)
{
	(void)state;
	struct lookup found;
	struct ost_why why;
	struct maps *m = maps_open(
		fix.view, "inline:{x=1}, unionmap:{ inline:{ {k = b, c} }, static:d }, static:z", &why);
	assert_string_equal(why.text, "");
	assert_int_equal(maps_find(m, a, "k", &found), OST_FOUND);
	assert_string_equal(found.value, "b, c,d");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_tables_have_is_joined),
		cmocka_unit_test(the_table_that_failed_is_named),
		cmocka_unit_test(bad_forms_are_refused_in_postfix_words),
		cmocka_unit_test(flags_follow_from_the_tables),
		cmocka_unit_test(case_is_what_each_table_wants),
		cmocka_unit_test(lists_of_the_core_keep_it_whole),
	};
	return cmocka_run_group_tests_name("unionmap", tests, setup, teardown);
}
