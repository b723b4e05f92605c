/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/expand.h"

/* The parameters of these tests. */
static const struct {
	const char *name, *value;
} parameters[] = {
	{ "foo", "one" },
	{ "bar", "${foo?yes}" },
	{ "empty", "" },
	{ "indirect", "$empty" },
	{ "level", "3.6" },
	{ "self", "a $self" },
	{ "ring_a", "$ring_b" },
	{ "ring_b", "${ring_a}" },
	{ "twice0", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
	{ "twice1", "$twice0$twice0$twice0$twice0$twice0$twice0$twice0$twice0" },
};

static const char *lookup(void *ctx, const char *name)
{
	int *count = ctx;
	(*count)++;
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
		if (!strcmp(parameters[i].name, name))
			return parameters[i].value;
	return NULL;
}

/* Expands and compares. */
static void expect(const char *text, const char *wanted)
{
	struct buf out = BUF_INIT;
	struct ost_why why = { "" };
	int count = 0;
	bool ok = expand(&out, NULL, text, lookup, &count, &why);
	if (!ok)
		fail_msg("%s: %s", text, why.text);
	assert_string_equal(buf_str(&out), wanted);
	buf_free(&out);
}

/* Expects a failure whose reason has these words. */
static void expect_error(const char *text, const char *words)
{
	struct buf out = BUF_INIT;
	struct ost_why why = { "" };
	int count = 0;
	bool ok = expand(&out, "outer", text, lookup, &count, &why);
	if (ok || !strstr(why.text, words))
		fail_msg("%s: %s \"%s\", wanted \"%s\"", text, ok ? "became" : "failed with",
			 ok ? buf_str(&out) : why.text, words);
	buf_free(&out);
}

static void names(void **state)
{
	expect("", "");
	expect("plain { } text", "plain { } text");
	expect("$foo ${foo} $(foo) ${ foo }", "one one one one");
	expect("$foo.b-$foo", "one.b-one");
	expect("[$nothing]", "[]");
	expect("$bar", "yes");
	expect("$$foo $$", "$foo $");
	expect("${foo}}", "one}");
}

static void conditions(void **state)
{
	expect("${foo?yes}${foo:no}", "yes");
	expect("${nothing?yes}${nothing:no}", "no");
	expect("${empty?yes}${empty:no}", "no");
	/* Whether a name is empty is asked before its value is expanded. */
	expect("${indirect?yes}", "yes");
	expect("${foo?{a}:{b}}${nothing?{a}:{b}}", "ab");
	expect("${foo ? {a} : {b}}${foo?  {c}}", "ac");
	expect("${foo:{z}}${nothing:{z}}", "z");
	expect("${foo?{a}:b}${nothing?{a}:b}", "ab");
	expect("${foo?}", "");
	expect("${foo?a{b}c}", "a{b}c");
	expect("${foo?$bar}", "yes");
	expect("${nothing?$self}", "");
	expect("${foo? spaced }", " spaced ");
}

static void comparisons(void **state)
{
	expect("${{$foo} == {one} ? {eq} : {ne}}", "eq");
	expect("${{$foo}!={one}?{eq}:{ne}}", "ne");
	expect("${{3} < {10}?{less}:{more}}", "less");
	expect("${{010}=={10}?{e}:{n}}${{0} == {00} ? {e}}", "ee");
	expect("${{99999999999999999999999} > {9}?{more}}", "more");
	expect("${{abc} < {abd} ? {less}}${{b} >= {b} ? {ge}}${{a} > {b} ? {gt}}", "lessge");
	expect("${{ a }=={a}?{e}:{ne}}", "ne");
	expect("${{}=={}?{e}}", "e");
	expect("${{a} == {a}}|${{a} == {b}}", "bool_true|");
	expect("${{3.10} <level {3.9} ? {less}:{more}}", "more");
	expect("${{$level} <level {3.6} ? {less}}${{$level} >=level {3.6.0} ? {ge}}", "ge");
	expect("${{2} ==level {2.0} ? {e}}${{2} !=level {3} ? {n}}${{2} <=level {2.0.1} ? {l}}${{3} >level "
	       "{2.9} ? {g}}",
	       "enlg");
	expect("${{a} == {b} ? x : y}", "");
}

static void errors(void **state)
{
	expect_error("a ${foo", "missing closing bracket");
	expect_error("$(foo}", "missing closing bracket");
	expect_error("${}", "empty name");
	expect_error("$", "empty name");
	expect_error("$ x", "empty name");
	expect_error("$-", "empty name");
	expect_error("${foo-bar}", "name syntax error");
	expect_error("${a.b}", "name syntax error");
	expect_error("${foo?{a}b}", "\":\" expected");
	expect_error("${foo:{a}:{b}}", "\":\" expected");
	expect_error("${foo?{a}:{b}c}", "text after");
	expect_error("${{a} = {b}?{x}:{y}}", "comparison operator expected");
	expect_error("${{a} == b ? {x}}", "\"{expression}\" expected");
	expect_error("${{x} <level {1} ? {y}}", "bad compatibility level");
	expect_error("${{1.2.3.4} <level {1} ? {y}}", "bad compatibility level");
	expect_error("${{9999999} <level {1} ? {y}}", "bad compatibility level");
}

static void loops(void **state)
{
	expect_error("$self", "refers to itself: self <- self");
	expect_error("$ring_a", "ring_a <- ring_b <- ring_a");
}

static void loop_to_the_outer_name(void **state)
{
	struct buf out = BUF_INIT;
	struct ost_why why = { "" };
	int count = 0;
	assert_false(expand(&out, "self", "$self", lookup, &count, &why));
	assert_non_null(strstr(why.text, "refers to itself"));
	buf_free(&out);
}

/* Answers "$n1$n1" for n0, "$n2$n2" for n1, and so on: a value that doubles at each step. */
static const char *doubling(void *ctx, const char *name)
{
	char(*texts)[32] = ctx;
	int n = (int)strtol(name + 1, NULL, 10);
	snprintf(texts[n], sizeof texts[n], "$n%d$n%d", n + 1, n + 1);
	return texts[n];
}

static void bounds(void **state)
{
	static char texts[200][32];
	struct buf out = BUF_INIT;
	struct ost_why why = { "" };
	assert_false(expand(&out, NULL, "$n0", doubling, texts, &why));
	assert_non_null(strstr(why.text, "too deep"));
	buf_free(&out);
	/* Conditions within conditions. */
	struct buf deep = BUF_INIT;
	int count = 0;
	for (int i = 0; i < 10000; i++)
		buf_puts(&deep, "${foo?");
	for (int i = 0; i < 10000; i++)
		buf_putc(&deep, '}');
	assert_false(expand(&out, NULL, buf_str(&deep), lookup, &count, &why));
	assert_non_null(strstr(why.text, "too deep"));
	buf_free(&deep);
	buf_free(&out);
}

static void bytes_are_bounded(void **state)
{
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct ost_why why = { "" };
	int count = 0;
	for (int i = 0; i < 3000; i++)
		buf_puts(&text, "$twice1 ");
	assert_false(expand(&out, NULL, buf_str(&text), lookup, &count, &why));
	assert_non_null(strstr(why.text, "longer than"));
	assert_true(count < 30000);
	buf_free(&text);
	buf_free(&out);
}

static void levels(void **state)
{
	int order = 7;
	assert_true(expand_compare_levels("3.6", "3.10", &order));
	assert_true(order < 0);
	assert_true(expand_compare_levels("2", "2.0.0", &order));
	assert_int_equal(order, 0);
	assert_false(expand_compare_levels("", "2", &order));
	assert_false(expand_compare_levels("2.", "2", &order));
	assert_false(expand_compare_levels("2", "x", &order));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),       cmocka_unit_test(conditions),
		cmocka_unit_test(comparisons), cmocka_unit_test(errors),
		cmocka_unit_test(loops),       cmocka_unit_test(loop_to_the_outer_name),
		cmocka_unit_test(bounds),      cmocka_unit_test(bytes_are_bounded),
		cmocka_unit_test(levels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
