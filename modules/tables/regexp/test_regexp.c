/* SPDX-License-Identifier: Apache-2.0
 * regexp: flags, groups, negation, IF and ENDIF, and lines that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "module/hosts.h"
#include "module/module.h"
#include "tests/support/group.h"
#include "tests/support/lines.h"

FIXTURE_GROUP("virtual_uid_maps = regexp:{{/^(x)/ $$1}}\n");

static struct table *table(const char *lines)
{
	return lines_table(&fix, "regexp", lines);
}

static void expect(struct table *t, const char *key, const char *value)
{
	lines_expect(t, a, key, value);
}

static void the_first_match_answers(void **state)
{
	(void)state;
	struct table *t = table("# comment\n/^a/ first\n/^ab/ second\n|b/c| third\n/x\\/y/ fourth\n");
	expect(t, "ab", "first");
	expect(t, "AB", "first");
	expect(t, "b/c", "third");
	expect(t, "x/y", "fourth");
	expect(t, "zz", NULL);
	expect(t, "", NULL);
}

static void flags_turn_options_over(void **state)
{
	(void)state;
	struct table *t = table("/^case$/i exact\n/^line$/m line\n/a+b/x plus\n/^o\\(r\\)$/x $1\n");
	expect(t, "case", "exact");
	expect(t, "CASE", NULL);
	expect(t, "one\nline\ntwo", "line");
	expect(t, "a+b", "plus");
	expect(t, "aab", NULL);
	expect(t, "or", "r");
}

static void groups_are_put_in(void **state)
{
	(void)state;
	struct table *t =
		table("/^(.*)@(.*)\\.(org|net)$/ $2-${1}$(3)$$1\n/^(x)|(y)$/ <$1|$2>\n/^two words$/ a  b\n");
	expect(t, "user@host.org", "host-userorg$1");
	expect(t, "x", "<x|>");
	expect(t, "y", "<|y>");
	expect(t, "two words", "a  b");
}

static void negation_answers_for_what_does_not_match(void **state)
{
	(void)state;
	struct table *t = table("!/^good/ bad\n/./ good\n");
	expect(t, "good one", "good");
	expect(t, "other", "bad");
}

static void if_and_endif_nest(void **state)
{
	(void)state;
	struct table *t = table("if /^a/\n/1/ a1\nif !/x/\n/2/ a2 without x\nendif\n/3/ a3\nENDIF\n"
				"IF /^b/\nif /c/\n/./ bc\nendif\nendif\n/./ rest\n");
	expect(t, "a1", "a1");
	expect(t, "a2", "a2 without x");
	expect(t, "a2x", "rest");
	expect(t, "ax3", "a3");
	expect(t, "1", "rest");
	expect(t, "bc", "bc");
	expect(t, "b", "rest");
	expect(t, "c", "rest");
}

static void lines_go_on(void **state)
{
	(void)state;
	struct table *t = table("/long/\n  the\n# not this\n\tresult\n/next/ n\n");
	expect(t, "long", "the\tresult");
	expect(t, "next", "n");
}

static void wrong_lines_are_named_and_skipped(void **state)
{
	(void)state;
	fixture_log(&fix);
	static const struct {
		const char *line, *complaint;
	} wrong[] = {
		{ "!/zz/ neg$1\n",
		  "line 1: $number found in negative match replacement text: skipping this rule" },
		{ "/ok/ y\n/abc/q foo\n", "line 2: unknown regexp option \"q\": skipping this rule" },
		{ "/abc foo\n", "line 1: no closing regexp delimiter \"/\": skipping this rule" },
		{ "/xy/\n", "line 1: no replacement text: using empty string" },
		{ "if /x/\nendif extra\n", "line 2: ignoring extra text after ENDIF" },
		{ "/a/ $5\n", "line 1: out of range replacement index \"5\": skipping this rule" },
		{ "/a/ $0\n", "line 1: out of range replacement index \"0\": skipping this rule" },
		{ "/a/ $x\n", "line 1: bad replacement syntax: skipping this rule" },
		{ "/(b/ foo\n", "line 1: Unmatched ( or \\(" },
		{ "# c\nif /q/\n/./ y\n", "line 2: IF has no matching ENDIF" },
		{ "endif\n", "line 1: ignoring ENDIF without matching IF" },
		{ "hello\n", "line 1: ignoring unrecognized request" },
		{ "!\n", "line 1: no regular expression: skipping this rule" },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct table *t = table(wrong[i].line);
		lines_complained(&fix, "regexp", wrong[i].complaint);
		if (strchr(wrong[i].line, '\n')[1] == '\0' && !strstr(wrong[i].complaint, "empty string"))
			expect(t, "abc", NULL);
	}
}

static void rules_stand_in_the_configuration(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct table *t = table_open(fix.view, "regexp:{ {/^a b/ x y}, {/c/ z} }", &why);
	assert_string_equal(why.text, "");
	expect(t, "a bc", "x y");
	expect(t, "c", "z");
	table_open(fix.view, "regexp:{/a/ b}", &why);
	assert_string_equal(why.text, "regexp map: no '{' at start of text in \"/a/\"");
}

/* What stands behind a NUL is a part of the key. */
static void keys_are_bytes(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = table("/^a$/ whole\n/b$/ end\n");
	assert_int_equal(table_lookup(t, a, "a\0c", 3, &found), OST_NOTFOUND);
	assert_int_equal(table_lookup(t, a, "a\0b", 3, &found), OST_FOUND);
	assert_string_equal(found.value, "end");
}

/* ---- decisions on users and files -------------------------------------------------------------------------------- */

static void tables_that_substitute_are_marked(void **state)
{
	(void)state;
	unsigned unfit = OST_TABLE_UNSAFE | OST_TABLE_SUBSTITUTES;
	assert_int_equal(table_flags(table("/^(a)$/ $1\n")) & unfit, unfit);
	assert_int_equal(table_flags(table("/^b$/ text\n/^(a)$/ x${1}y\n")) & unfit, unfit);
	assert_int_equal(table_flags(table("/^(a)$/ $$1\n/^(b)$/ text\n")) & unfit, 0);
	assert_int_equal(table_flags(table("!/^(a)$/ $1\n")) & unfit, 0); /* a line that is skipped */
}

static void a_transport_refuses_them(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	const struct mod_provider *virtual = mod_find(OST_KIND_TRANSPORT, "virtual", &why);
	if (!virtual)
		skip();
	assert_null(mod_open(virtual, fix.view, "virtual", &why));
	assert_string_equal(
		why.text,
		"parameter virtual_uid_maps: regexp:{{/^(x)/ $1}}: regular expression substitution is not "
		"allowed for security-sensitive data");
}

/* A file that changes while it is in use. */
static void a_guarded_list_is_looked_at_each_time(void **state)
{
	(void)state;
	char spec[200];
	const char *value = NULL;
	struct ost_why why = { "" };
	snprintf(spec, sizeof spec, "regexp:%s", fixture_file(&fix, "changes", "/^(a)$/ 1000\n"));
	struct ost_tables *guarded = mod_tables()->open(fix.view, spec, &why),
			  *other = mod_tables()->open(fix.view, spec, &why);
	assert_null(mod_tables()->guard(guarded));
	assert_int_equal(mod_host.tables_lookup(guarded, "a", &value, &why), OST_FOUND);
	fixture_file(&fix, "changes", "/^(a)$/ $1$1\n");
	table_reopen_all();
	assert_int_equal(mod_host.tables_lookup(guarded, "a", &value, &why), OST_BADTABLE);
	assert_non_null(strstr(why.text, "regular expression substitution is not allowed"));
	assert_int_equal(mod_host.tables_lookup_address(guarded, "a", &value, NULL, &why), OST_BADTABLE);
	assert_null(value);
	assert_int_equal(mod_host.tables_lookup(other, "a", &value, &why), OST_FOUND);
	assert_string_equal(value, "aa");
	fixture_file(&fix, "changes", "/^a$/ 1000\n");
	table_reopen_all();
	assert_int_equal(mod_host.tables_lookup(guarded, "a", &value, &why), OST_FOUND);
	assert_string_equal(value, "1000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_match_answers),
		cmocka_unit_test(flags_turn_options_over),
		cmocka_unit_test(groups_are_put_in),
		cmocka_unit_test(negation_answers_for_what_does_not_match),
		cmocka_unit_test(if_and_endif_nest),
		cmocka_unit_test(lines_go_on),
		cmocka_unit_test(wrong_lines_are_named_and_skipped),
		cmocka_unit_test(rules_stand_in_the_configuration),
		cmocka_unit_test(keys_are_bytes),
		cmocka_unit_test(tables_that_substitute_are_marked),
		cmocka_unit_test(a_transport_refuses_them),
		cmocka_unit_test(a_guarded_list_is_looked_at_each_time),
	};
	return cmocka_run_group_tests_name("regexp", tests, setup, teardown);
}
