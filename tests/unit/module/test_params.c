/* SPDX-License-Identifier: Apache-2.0
 * Typed parameters: from main.cf, from a table's own file, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "module/module.h"
#include "table/table.h"
#include "tests/support/fixture.h"

static struct fixture fix;

static void start(const char *main_cf)
{
	char lines[1024];
	const char *built = fixture_built("tests/unit/module/wrong/.libs/wopen.so");
	snprintf(lines, sizeof lines, "table wopen %s\ntable wopencf %s\n", built, built);
	fixture_open(&fix, main_cf, lines);
}

static void expect(const char *table, const char *value)
{
	struct ost_why why = { "" };
	struct lookup found;
	struct arena *a = arena_new();
	struct table *t = table_open(fix.view, table, &why);
	assert_string_equal(why.text, "");
	assert_int_equal(table_lookup(t, a, "x", 1, &found), OST_FOUND);
	assert_string_equal(found.value, value);
	arena_destroy(&a);
}

static void expect_failure(const char *table, const char *reason)
{
	struct ost_why why = { "" };
	table_open(fix.view, table, &why);
	if (!strstr(why.text, reason))
		fail_msg("expected \"%s\", got \"%s\"", reason, why.text);
}

static void defaults_are_expanded(void **state)
{
	(void)state;
	start("wopen_word = home\n");
	expect("wopen:x", "home|-|at home|5|120000000|1000|0|0");
	fixture_close(&fix);
}

static void main_cf_sets_them(void **state)
{
	(void)state;
	start("name = w\nwopen_word = $name$name\nwopen_secret = s3\nwopen_number = 6\nwopen_delay = 1h\nwopen_bytes = 7\n"
	      "wopen_flag = yes\nwopen_tables = static:y\n");
	expect("wopen:x", "ww|s3|at ww|6|3600000000|7|1|1");
	fixture_close(&fix);
}

static void bad_values_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *main_cf, *reason;
	} cases[] = {
		{ "", "parameter wopen_word is required" },
		{ "wopen_word = w\nwopen_number = 11\n", "parameter wopen_number: value 11 is too large" },
		{ "wopen_word = w\nwopen_number = 0\n", "parameter wopen_number: value 0 is too small" },
		{ "wopen_word = w\nwopen_number = many\n", "parameter wopen_number: bad numerical value: many" },
		{ "wopen_word = w\nwopen_delay = 3x\n", "parameter wopen_delay: bad time value" },
		{ "wopen_word = w\nwopen_delay = 2d\n", "parameter wopen_delay: value 2d is too large" },
		{ "wopen_word = w\nwopen_flag = maybe\n", "parameter wopen_flag: bad boolean value" },
		{ "wopen_word = w\nwopen_number = 7\n", "7 is not liked" },
		{ "wopen_word = w\nwopen_number = 8\n", "open() says no to x" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start(cases[i].main_cf);
		expect_failure("wopen:x", cases[i].reason);
		fixture_close(&fix);
	}
}

static void a_table_has_its_own_file(void **state)
{
	(void)state;
	char table[300];
	start("wopen_word = from main.cf\n");
	snprintf(table, sizeof table, "wopencf:%s",
		 fixture_file(&fix, "own.cf", "# a comment\nwopen_word = first\nwopen_word = own\n  line\nwopen_number=9\n"
					      "wopen_secret = $not expanded\n"));
	expect(table, "own  line|$not expanded|at from main.cf|9|120000000|1000|0|0");
	snprintf(table, sizeof table, "wopencf:%s/missing.cf", fix.dir);
	expect_failure(table, "missing.cf: No such file or directory");
	fixture_close(&fix);
}

static void what_is_odd_in_it_has_a_line(void **state)
{
	(void)state;
	char table[300];
	static const char *const told[] = {
		"own.cf, line 3: unused parameter: wopen_wrod",
		"own.cf, line 4: missing '=' after attribute name",
	};
	start("");
	fixture_log(&fix);
	snprintf(table, sizeof table, "wopencf:%s",
		 fixture_file(&fix, "own.cf", "# a comment\nwopen_word = own\nwopen_wrod = hidden\nhidden word\n"));
	expect(table, "own|-|at |5|120000000|1000|0|0");
	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		assert_true(fixture_logged(&fix, told[i]));
	assert_false(fixture_logged(&fix, "hidden"));
	snprintf(table, sizeof table, "wopencf:%s",
		 fixture_file(&fix, "bad.cf", "wopen_word = w\n\nwopen_number = 11\n"));
	expect_failure(table, "bad.cf, line 3: parameter wopen_number: value 11 is too large");
	snprintf(table, sizeof table, "wopencf:%s", fixture_file(&fix, "no.cf", "wopen_number = 2\n"));
	expect_failure(table, "no.cf: parameter wopen_word is required");
	fixture_close(&fix);
}

struct heard {
	int odd, asked;
	char last[100];
};

static void hear_odd(void *ctx, const char *text)
{
	struct heard *h = ctx;
	h->odd++;
	snprintf(h->last, sizeof h->last, "%s", strrchr(text, '/'));
}

static void hear_asked(void *ctx, const char *name)
{
	struct heard *h = ctx;
	h->asked += strcmp(name, "here_wopen_word") == 0;
}

static void who_checks_hears_of_it(void **state)
{
	(void)state;
	char table[300];
	struct heard heard = { 0 };
	const struct mod_listener listener = { .odd = hear_odd, .asked = hear_asked, .ctx = &heard };
	start("here_wopen_word = mine\n");
	mod_listen(&listener);
	snprintf(table, sizeof table, "wopencf:%s", fixture_file(&fix, "own.cf", "wopen_word = own\nx = y\n"));
	expect(table, "own|-|at |5|120000000|1000|0|0");
	expect("wopencf:here", "mine|-|at |5|120000000|1000|0|0");
	mod_listen(NULL);
	assert_int_equal(heard.odd, 1);
	assert_string_equal(heard.last, "/own.cf, line 2: unused parameter: x");
	assert_int_equal(heard.asked, 1);
	fixture_close(&fix);
}

static void or_its_parameters_are_in_main_cf_by_its_name(void **state)
{
	(void)state;
	start("here_wopen_word = mine\nhere_wopen_number = 3\nwopen_number = 4\n");
	expect("wopencf:here", "mine|-|at |3|120000000|1000|0|0");
	fixture_close(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_expanded),
		cmocka_unit_test(main_cf_sets_them),
		cmocka_unit_test(bad_values_are_named),
		cmocka_unit_test(a_table_has_its_own_file),
		cmocka_unit_test(what_is_odd_in_it_has_a_line),
		cmocka_unit_test(who_checks_hears_of_it),
		cmocka_unit_test(or_its_parameters_are_in_main_cf_by_its_name),
	};
	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
