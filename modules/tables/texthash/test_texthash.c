/* SPDX-License-Identifier: Apache-2.0
 * texthash: the form of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "table/table.h"
#include "tests/support/fixture.h"

static struct fixture fix;
static struct arena *a;
static struct table *t;

static const char text[] = "# a comment\n"
			   "Plain  value  with blanks \n"
			   "\n"
			   "   \t\n"
			   "continued one\n"
			   "# in between\n"
			   "  two\n"
			   "\tthree\n"
			   "\"quoted \\\"key\\\" \\\\\" v\n"
			   "plain again\n"
			   "lonely\n"
			   "alias: value\n"
			   "\"no end x\n"
			   "empty\"quotes\"inside z\n"
			   "last line without newline";

static int setup(void **state)
{
	(void)state;
	char spec[200];
	struct ost_why why = { "" };
	fixture_open(&fix, "", NULL);
	fixture_log(&fix);
	a = arena_new();
	snprintf(spec, sizeof spec, "texthash:%s", fixture_file(&fix, "text", text));
	t = table_open(fix.view, spec, &why);
	return why.text[0] ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_destroy(&a);
	fixture_close(&fix);
	return 0;
}

static void expect(const char *key, const char *value)
{
	struct lookup found;
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), value ? OST_FOUND : OST_NOTFOUND);
	if (value)
		assert_string_equal(found.value, value);
}

static void lines_are_keys_and_values(void **state)
{
	(void)state;
	expect("plain", "value  with blanks");
	expect("Plain", NULL); /* keys are folded; the core folds what is asked */
	expect("continued", "one  two\tthree");
	expect("last", "line without newline");
	expect("# a", NULL);
	expect("", NULL);
}

static void keys_may_be_quoted(void **state)
{
	(void)state;
	expect("\"quoted \\\"key\\\" \\\\\"", "v"); /* and keep their quotes, as in Postfix */
	expect("empty\"quotes\"inside", "z");
	expect("no end x", NULL);
}

static void expect_logged(const char *complaint)
{
	char line[300];
	snprintf(line, sizeof line, "warning: %s/text, %s", fix.dir, complaint);
	if (!fixture_logged(&fix, line))
		fail_msg("not logged: %s", line);
}

static void odd_lines_are_named(void **state)
{
	(void)state;
	expect_logged("line 10: duplicate entry: \"plain\"");
	expect_logged("line 11: expected format: key whitespace value -- ignoring this line");
	expect_logged("line 12: record is in \"key: value\" format; is this an alias file?");
	expect_logged("line 13: unbalanced '\"' -- ignoring this line");
	expect("alias:", "value");
	expect("lonely", NULL);
}

static void many_entries_are_found(void **state)
{
	(void)state;
	enum { MANY = 20000 };
	char spec[200], key[32], value[32];
	FILE *f = fopen(fixture_file(&fix, "many", ""), "w");
	assert_non_null(f);
	for (int i = 0; i < MANY; i++)
		fprintf(f, "key%d value%d\n", i, i);
	fclose(f);
	struct ost_why why = { "" };
	snprintf(spec, sizeof spec, "texthash:%s/many", fix.dir);
	struct table *many = table_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
	for (int i = 0; i < MANY; i += 7) {
		struct lookup found;
		snprintf(key, sizeof key, "key%d", i);
		snprintf(value, sizeof value, "value%d", i);
		assert_int_equal(table_lookup(many, a, key, strlen(key), &found), OST_FOUND);
		assert_string_equal(found.value, value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_keys_and_values),
		cmocka_unit_test(keys_may_be_quoted),
		cmocka_unit_test(odd_lines_are_named),
		cmocka_unit_test(many_entries_are_found),
	};
	return cmocka_run_group_tests_name("texthash", tests, setup, teardown);
}
