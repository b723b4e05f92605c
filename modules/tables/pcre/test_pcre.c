/* SPDX-License-Identifier: Apache-2.0
 * pcre: what Perl's expressions add, limits, and lines that are wrong. The rest is the same code as regexp's. */
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
	return lines_table(&fix, "pcre", lines);
}

static void perls_syntax_is_understood(void **state)
{
	(void)state;
	struct table *t = table("/^(?!good)\\w+@(?<host>[a-z]+)\\.test$/ at $1\n/^\\d{3}$/ number\n");
	lines_expect(t, a, "joe@Host.test", "at Host");
	lines_expect(t, a, "good@host.test", NULL);
	lines_expect(t, a, "123", "number");
}

static void flags_turn_options_over(void **state)
{
	(void)state;
	struct table *t = table("/^exact$/i yes\n/^two$/m line\n/dot.all/ dotall\n/dot.one/s dotone\n/sp ace/x spaced\n/anch/A anchored\n"
				"/^end$/E end\n/^u(.+)(u*)$/U <$1|$2>\n");
	lines_expect(t, a, "exact", "yes");
	lines_expect(t, a, "EXACT", NULL);
	lines_expect(t, a, "one\ntwo\n", "line");
	lines_expect(t, a, "dot\nall", "dotall");
	lines_expect(t, a, "dot\none", NULL);
	lines_expect(t, a, "space", "spaced");
	lines_expect(t, a, "anchor", "anchored");
	lines_expect(t, a, "an anchor", NULL);
	lines_expect(t, a, "end", "end");
	lines_expect(t, a, "end\n", NULL);
	lines_expect(t, a, "uuu", "<u|u>");
}

static void groups_that_took_no_part_are_empty(void **state)
{
	(void)state;
	struct table *t = table("/^(x)|(y)$/ <$1|$2>\n/^(?=(z+))\\K/ [$1]\n");
	lines_expect(t, a, "x", "<x|>");
	lines_expect(t, a, "y", "<|y>");
	lines_expect(t, a, "zz", "[zz]");
}

/* An expression that would take for ever: an answer comes, and it is not "not found". */
static void no_expression_runs_away(void **state)
{
	(void)state;
	struct lookup found;
	char key[64];
	memset(key, 'a', sizeof key - 2);
	memcpy(key + sizeof key - 2, "b", 2);
	struct table *t = table("/^(a+)+$/ runs away\n");
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), OST_TEMPFAIL);
	assert_string_equal(found.why.text, "line 1: match limit exceeded");
}

static void if_negation_and_bytes(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = table("if !/^a/\n!/b/ neither\nendif\n/^a\\x00c$/ nul\n/^\\xff$/ high\n");
	lines_expect(t, a, "x", "neither");
	lines_expect(t, a, "ab", NULL);
	lines_expect(t, a, "xb", NULL);
	lines_expect(t, a, "\xff" "b", NULL);
	assert_int_equal(table_lookup(t, a, "a\0c", 3, &found), OST_FOUND);
	assert_string_equal(found.value, "nul");
}

static void wrong_lines_are_named_and_skipped(void **state)
{
	(void)state;
	static const struct {
		const char *line, *complaint;
	} wrong[] = {
		{ "!\n", "line 1: no regexp: skipping this rule" },
		{ "/abc foo\n", "line 1: no closing regexp delimiter \"/\": ignoring this rule" },
		{ "/ok/ y\n/abc/q foo\n", "line 2: unknown regexp option \"q\": skipping this rule" },
		{ "!/zz/ neg$1\n", "line 1: $number found in negative match replacement text: skipping this rule" },
		{ "/xy/\n", "line 1: no replacement text: using empty string" },
		{ "/(b/ foo\n", "line 1: error in regex at offset 2: missing closing parenthesis" },
		{ "if\n", "line 1: no regexp: skipping this rule" },
		{ "if /q/ more\nendif\n", "line 1: ignoring extra text after IF statement: \"more\"" },
		{ "/a/X fine\n", "line 1: ignoring obsolete regexp option \"X\"" },
		{ "/a/ $5\n", "line 1: out of range replacement index \"5\": skipping this rule" },
		{ "hello\n", "line 1: ignoring unrecognized request" },
		{ "endif\n", "line 1: ignoring ENDIF without matching IF" },
	};
	fixture_log(&fix);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		table(wrong[i].line);
		lines_complained(&fix, "pcre", wrong[i].complaint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(perls_syntax_is_understood),
		cmocka_unit_test(flags_turn_options_over),
		cmocka_unit_test(groups_that_took_no_part_are_empty),
		cmocka_unit_test(no_expression_runs_away),
		cmocka_unit_test(if_negation_and_bytes),
		cmocka_unit_test(wrong_lines_are_named_and_skipped),
	};
	return cmocka_run_group_tests_name("pcre", tests, setup, teardown);
}
