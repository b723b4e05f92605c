/* SPDX-License-Identifier: Apache-2.0
 * cidr: networks of both families, negation, IF and ENDIF, and lines that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/group.h"
#include "tests/support/lines.h"

FIXTURE_GROUP("");

static struct table *table(const char *lines)
{
	return lines_table(&fix, "cidr", lines);
}

static void networks_match(void **state)
{
	(void)state;
	struct table *t = table("192.0.2.7 host\n192.0.2.0/25 low half\n10.0.0.0/8 ten\n[2001:db8::]/32 doc\n[::1] six loop\n"
				"172.16.0.0/12 private\n2001:db8:8000::/33 never: the first wins\n");
	lines_expect(t, a, "192.0.2.7", "host");
	lines_expect(t, a, "192.0.2.8", "low half");
	lines_expect(t, a, "192.0.2.128", NULL);
	lines_expect(t, a, "10.255.255.255", "ten");
	lines_expect(t, a, "11.0.0.0", NULL);
	lines_expect(t, a, "172.31.255.255", "private");
	lines_expect(t, a, "172.32.0.0", NULL);
	lines_expect(t, a, "2001:DB8::1", "doc");
	lines_expect(t, a, "2001:db9::1", NULL);
	lines_expect(t, a, "0:0::1", "six loop");
}

static void all_of_a_family(void **state)
{
	(void)state;
	struct table *t = table("0.0.0.0/0 four\n::/0 six\n");
	lines_expect(t, a, "255.255.255.255", "four");
	lines_expect(t, a, "::", "six");
}

static void what_is_no_address_is_not_found(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = table("!10.0.0.0/8 not ten\n");
	lines_expect(t, a, "1.2.3.4", "not ten");
	lines_expect(t, a, "::1", "not ten");
	static const char *const none[] = { "", "1.2.3", "1.2.3.4x", "host.example", "1.2.3.4/32", "[1.2.3.4]", ":", "1::2::3" };
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		lines_expect(t, a, none[i], NULL);
	assert_int_equal(table_lookup(t, a, "1.2.3.4\0x", 9, &found), OST_NOTFOUND);
}

static void if_endif_and_literal_results(void **state)
{
	(void)state;
	struct table *t = table("if 10.0.0.0/8\n!10.1.0.0/16 a $1\nif 10.1.1.0/24\n10.1.1.1 one\nendif\n10.1.0.0/16 rest\nENDIF\n"
				"IF !10.0.0.0/8\n0.0.0.0/0 outside\nendif\n");
	lines_expect(t, a, "10.2.0.1", "a $1");
	lines_expect(t, a, "10.1.1.1", "one");
	lines_expect(t, a, "10.1.1.2", "rest");
	lines_expect(t, a, "11.0.0.1", "outside");
	lines_expect(t, a, "::1", NULL);
}

static void wrong_lines_are_named_and_skipped(void **state)
{
	(void)state;
	static const struct {
		const char *line, *complaint;
	} wrong[] = {
		{ "!\n", "line 1: no address pattern: skipping this rule" },
		{ "10.1.2.3/8 x\n", "line 1: non-null host address bits in \"10.1.2.3/8\", perhaps you should use \"10.0.0.0/8\" instead: "
				    "skipping this rule" },
		{ "2001:db8::1/32 x\n", "line 1: non-null host address bits in \"2001:db8::1/32\", perhaps you should use "
					"\"2001:db8::/32\" instead: skipping this rule" },
		{ "10.0.0.0/33 x\n", "line 1: bad mask length in \"10.0.0.0/33\": skipping this rule" },
		{ "::1/129 x\n", "line 1: bad mask length in \"::1/129\": skipping this rule" },
		{ "10.0.0/8 x\n", "line 1: bad network value in \"10.0.0/8\": skipping this rule" },
		{ "foo bar\n", "line 1: bad address pattern: \"foo\": skipping this rule" },
		{ "1.2.3.4\n", "line 1: no lookup result: skipping this rule" },
		{ "if 1.0.0.0/8\nendif extra\n", "line 2: garbage after ENDIF: skipping this rule" },
		{ "if 1.0.0.0/8 more\n", "line 1: bad mask value in \"1.0.0.0/8 more\": skipping this rule" },
		{ "if\n", "line 1: no address pattern: skipping this rule" },
		{ "hello\n", "line 1: bad address pattern: \"hello\": skipping this rule" },
		{ "if 3.0.0.0/8\n1.1.1.1 x\n", "line 1: IF has no matching ENDIF" },
	};
	fixture_log(&fix);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct table *t = table(wrong[i].line);
		lines_complained(&fix, "cidr", wrong[i].complaint);
		lines_expect(t, a, "10.1.2.3", NULL);
	}
}

static void rules_stand_in_the_configuration(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct table *t = table_open(fix.view, "cidr:{ {10.0.0.0/8 ten}, {!::/0 four} }", &why);
	assert_string_equal(why.text, "");
	lines_expect(t, a, "10.1.2.3", "ten");
	lines_expect(t, a, "11.1.2.3", "four");
	lines_expect(t, a, "::1", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_match),
		cmocka_unit_test(all_of_a_family),
		cmocka_unit_test(what_is_no_address_is_not_found),
		cmocka_unit_test(if_endif_and_literal_results),
		cmocka_unit_test(wrong_lines_are_named_and_skipped),
		cmocka_unit_test(rules_stand_in_the_configuration),
	};
	return cmocka_run_group_tests_name("cidr", tests, setup, teardown);
}
