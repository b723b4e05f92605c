/* SPDX-License-Identifier: Apache-2.0
 * Lists of tables and the search order for addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("recipient_delimiter = +\nmydestination = example.org\n");

static void an_empty_list_finds_nothing(void **state)
{
	(void)state;
	struct ost_why why = { "x" };
	struct lookup found;
	struct maps *m = maps_open(fix.view, " , ", &why);
	assert_null(m);
	assert_string_equal(why.text, "");
	assert_int_equal(maps_find(m, a, "key", &found), OST_NOTFOUND);
	assert_int_equal(maps_find_address(m, a, "a@b", "+", true, ADDR_ALL, &found, NULL), OST_NOTFOUND);
}

static void the_first_table_that_finds_wins(void **state)
{
	(void)state;
	struct ost_why why;
	struct lookup found;
	struct maps *m = maps_open(fix.view, "inline:{a=1, b=2}, inline:{ b=3, { C = four words in it } }", &why);
	assert_string_equal(why.text, "");
	assert_int_equal(maps_find(m, a, "b", &found), OST_FOUND);
	assert_string_equal(found.value, "2");
	assert_string_equal(found.table, "inline:{a=1, b=2}");
	assert_int_equal(maps_find(m, a, "c", &found), OST_FOUND);
	assert_string_equal(found.value, "four words in it");
	assert_int_equal(maps_find(m, a, "B", &found), OST_FOUND);
	assert_int_equal(maps_find(m, a, "d", &found), OST_NOTFOUND);
	assert_null(found.value);
	assert_true(maps_immediate(m));
}

static void an_open_table_is_shared(void **state)
{
	(void)state;
	struct ost_why why;
	assert_ptr_equal(table_open(fix.view, "static:x", &why), table_open(fix.view, "static:x", &why));
	assert_ptr_not_equal(table_open(fix.view, "static:x", &why), table_open(fix.view, "static:y", &why));
}

static void a_table_that_cannot_be_opened_never_says_not_found(void **state)
{
	(void)state;
	static const char *const broken[] = { "hash:/nonexistent/file", "nosuchtype:x", "words", "static:", "inline:{a}" };
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		struct ost_why why = { "" };
		struct lookup found;
		struct maps *m = maps_open(fix.view, broken[i], &why);
		assert_non_null(m);
		assert_string_not_equal(why.text, "");
		assert_int_equal(maps_find(m, a, "key", &found), OST_TEMPFAIL);
		assert_string_not_equal(found.why.text, "");
	}
}

static void an_empty_value_is_a_broken_table(void **state)
{
	(void)state;
	struct lookup found;
	struct maps *m = maps_open(fix.view, "inline:{{a = }}", NULL);
	assert_int_equal(maps_find(m, a, "a", &found), OST_BADTABLE);
	assert_null(found.value);
}

static void expect_address(const char *spec, const char *address, bool own, unsigned forms, const char *value,
			   const char *extension)
{
	struct lookup found;
	const char *ext = "?";
	struct maps *m = maps_open(fix.view, spec, NULL);
	enum ost_found result = maps_find_address(m, a, address, "+", own, forms, &found, &ext);
	assert_int_equal(result, value ? OST_FOUND : OST_NOTFOUND);
	if (value)
		assert_string_equal(found.value, value);
	if (extension)
		assert_string_equal(ext, extension);
	else
		assert_null(ext);
}

static void addresses_are_searched_in_postfix_order(void **state)
{
	(void)state;
	const char *all = "inline:{u+e@d.org=1, u@d.org=2, u+e=3, u=4, @d.org=5}";
	expect_address(all, "u+e@d.org", true, ADDR_ALL, "1", NULL);
	expect_address("inline:{u@d.org=2, u+e=3, u=4, @d.org=5}", "u+e@d.org", true, ADDR_ALL, "2", "+e");
	expect_address("inline:{u+e=3, u=4, @d.org=5}", "u+e@d.org", true, ADDR_ALL, "3", NULL);
	expect_address("inline:{u=4, @d.org=5}", "u+e@d.org", true, ADDR_ALL, "4", "+e");
	expect_address("inline:{u=4, @d.org=5}", "u+e@d.org", false, ADDR_ALL, "5", NULL);
	expect_address("inline:{u=4, @d.org=5}", "v@d.org", true, ADDR_ALL, "5", NULL);
	expect_address("inline:{u=4, @d.org=5}", "v@other.org", true, ADDR_ALL, NULL, NULL);
	expect_address(all, "U+E@D.ORG", true, ADDR_ALL, "1", NULL);
	expect_address("inline:{@d.org=5}", "u@d.org", true, ADDR_ALL & ~ADDR_DOMAIN, NULL, NULL);
	expect_address("inline:{u=4}", "u@d.org", true, ADDR_ALL & ~ADDR_LOCALPART, NULL, NULL);
	expect_address("inline:{u@d.org=2}", "u+e@d.org", true, ADDR_ALL & ~ADDR_NO_EXT, NULL, NULL);
	expect_address("inline:{u=4}", "u", true, ADDR_ALL, "4", NULL);
	expect_address("inline:{u=4}", "u+x", true, ADDR_ALL, "4", "+x");
}

static void a_failing_table_ends_the_search(void **state)
{
	(void)state;
	struct lookup found;
	struct maps *m = maps_open(fix.view, "inline:{u@d.org=2}, hash:/nonexistent/x, inline:{@d.org=5}", NULL);
	assert_int_equal(maps_find_address(m, a, "u@d.org", "+", false, ADDR_ALL, &found, NULL), OST_FOUND);
	assert_int_equal(maps_find_address(m, a, "v@d.org", "+", false, ADDR_ALL, &found, NULL), OST_TEMPFAIL);
	assert_string_equal(found.table, "hash:/nonexistent/x");
}

static void a_changed_file_is_read_again(void **state)
{
	(void)state;
	struct lookup found;
	char spec[300];
	snprintf(spec, sizeof spec, "texthash:%s", fixture_file(&fix, "changing", "a one\n"));
	struct maps *m = maps_open(fix.view, spec, NULL);
	assert_int_equal(maps_find(m, a, "a", &found), OST_FOUND);
	assert_string_equal(found.value, "one");
	table_reopen_all();
	assert_int_equal(maps_find(m, a, "a", &found), OST_FOUND);
	fixture_file(&fix, "changing", "a three\nb four\n");
	assert_int_equal(maps_find(m, a, "b", &found), OST_NOTFOUND);
	table_reopen_all();
	assert_int_equal(maps_find(m, a, "a", &found), OST_FOUND);
	assert_string_equal(found.value, "three");
	assert_int_equal(maps_find(m, a, "b", &found), OST_FOUND);
}

static void a_file_that_comes_later_mends_the_table(void **state)
{
	(void)state;
	struct lookup found;
	char spec[300];
	snprintf(spec, sizeof spec, "texthash:%s/late", fix.dir);
	struct maps *m = maps_open(fix.view, spec, NULL);
	assert_int_equal(maps_find(m, a, "a", &found), OST_TEMPFAIL);
	fixture_file(&fix, "late", "a here\n");
	table_reopen_all();
	assert_int_equal(maps_find(m, a, "a", &found), OST_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_list_finds_nothing),
		cmocka_unit_test(the_first_table_that_finds_wins),
		cmocka_unit_test(an_open_table_is_shared),
		cmocka_unit_test(a_table_that_cannot_be_opened_never_says_not_found),
		cmocka_unit_test(an_empty_value_is_a_broken_table),
		cmocka_unit_test(addresses_are_searched_in_postfix_order),
		cmocka_unit_test(a_failing_table_ends_the_search),
		cmocka_unit_test(a_changed_file_is_read_again),
		cmocka_unit_test(a_file_that_comes_later_mends_the_table),
	};
	return cmocka_run_group_tests_name("maps", tests, setup, teardown);
}
