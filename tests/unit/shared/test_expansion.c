/* SPDX-License-Identifier: Apache-2.0
 * Patterns for queries and results: what they make of keys and values, and which keys are not looked up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/expansion.h"

/* Quotes the way a test can see. */
static void angle(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	assert_string_equal(ctx, "ctx");
	text_buf_puts(out, "<");
	text_buf_add(out, text, len);
	text_buf_puts(out, ">");
}

static struct expansion *parse(const char *pattern, enum expansion_use use, struct expansion_needs *needs)
{
	struct expansion_flaw flaw = { "" };
	struct expansion *e = expansion_parse("query", pattern, use, needs, &flaw);
	assert_string_equal(flaw.text, "");
	assert_non_null(e);
	return e;
}

static void keys_are_put_into_queries(void **state)
{
	static const struct {
		const char *pattern, *key, *query; /* query NULL: nothing is looked up */
	} cases[] = {
		{ "(mail=%s)", "joe@x.test", "(mail=<joe@x.test>)" },
		{ "%u at %d", "joe@x.test", "<joe> at <x.test>" },
		{ "%S %U %D", "joe@x.test", "<joe@x.test> <joe> <x.test>" },
		{ "100%%%s%%", "k", "100%<k>%" },
		{ "fixed", "k", "fixed" },
		{ "%%", "k", "%" },
		{ "", "k", "" },
		{ "%s", "", NULL },
		{ "fixed", "", NULL },
		{ "%u", "joe", "<joe>" },
		{ "%U", "joe", "<joe>" },
		{ "%d", "joe", NULL },
		{ "%D", "joe@", NULL },
		{ "%u", "joe@", "<joe>" },
		{ "%u", "@x.test", NULL },
		{ "%d", "@x.test", "<x.test>" },
		{ "%s", "@x.test", "<@x.test>" },
		{ "%u %d", "a@b@c.test", "<a@b> <c.test>" },
		{ "%1 %2 %3", "j@a.b.test", "<test> <b> <a>" },
		{ "%1 %2 %3", "j@b.test", NULL },
		{ "%2", "j@www.b.test", "<b>" },
		{ "%2.%1", "j@b..test.", "<b>.<test>" },
		{ "%1", "j@...", NULL },
		{ "%1", "j", NULL },
		{ "%9", "j@9.8.7.6.5.4.3.2.1", "<9>" },
		{ "%9", "j@8.7.6.5.4.3.2.1", NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct expansion_needs needs = { 0 };
		struct expansion_key key;
		struct text_buf out = { 0 };
		struct expansion *e = parse(cases[i].pattern, EXPANSION_OF_KEYS, &needs);
		bool looked_up = expansion_split(&needs, cases[i].key, strlen(cases[i].key), &key);
		if (looked_up != (cases[i].query != NULL))
			fail_msg("%s, %s: %s", cases[i].pattern, cases[i].key,
				 looked_up ? "is looked up" : "is not looked up");
		if (looked_up) {
			expansion_of_key(e, &key, angle, (char[]){ "ctx" }, &out);
			assert_string_equal(text_buf_text(&out), cases[i].query);
		}
		text_buf_free(&out);
		expansion_free(e);
	}
}

static void any_byte_is_passed_on(void **state)
{
	(void)state;
	static const char key[] = "a\0\n%s'\xff@d\0.t\\";
	struct expansion_needs needs = { 0 };
	struct expansion *e = parse("%s|%u|%1", EXPANSION_OF_KEYS, &needs);
	struct expansion_key k;
	struct text_buf out = { 0 };
	assert_true(expansion_split(&needs, key, sizeof key - 1, &k));
	expansion_of_key(e, &k, NULL, NULL, &out);
	static const char want[] = "a\0\n%s'\xff@d\0.t\\|a\0\n%s'\xff|t\\";
	assert_int_equal(out.len, sizeof want - 1);
	assert_memory_equal(out.text, want, sizeof want);
	text_buf_free(&out);
	expansion_free(e);
}

static void values_are_formatted(void **state)
{
	static const struct {
		const char *pattern, *key, *values[4], *result;
	} cases[] = {
		{ "%s", "k", { "a", "b", "c" }, "a,b,c" },
		{ "smtp:[%s]", "k", { "h1", "h2" }, "smtp:[h1],smtp:[h2]" },
		{ "%u", "k", { "joe@x.test", "jane" }, "joe,jane" },
		{ "%d", "k", { "joe@x.test", "jane", "x@" }, "x.test" },
		{ "%u", "k", { "@x.test", "joe@" }, "joe" },
		{ "%s", "k", { "", "a" }, "a" },
		{ "%s", "k", { "" }, "" },
		{ "%U+%u@%D", "joe@x.test", { "a@b.test", "c" }, "joe+a@x.test,joe+c@x.test" },
		{ "%S", "joe@x.test", { "OK", "OK" }, "joe@x.test,joe@x.test" },
		{ "%1:%2", "joe@x.test", { "OK" }, "test:x" },
		{ "fixed", "k", { "a", "b" }, "fixed,fixed" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct expansion_needs needs = { 0 };
		struct expansion_key key;
		struct expansion_result result = { .limit = 0 };
		struct expansion *e = parse(cases[i].pattern, EXPANSION_OF_VALUES, &needs);
		assert_true(expansion_split(&needs, cases[i].key, strlen(cases[i].key), &key));
		for (const char *const *v = cases[i].values; *v; v++)
			assert_int_not_equal(expansion_add(e, &key, *v, strlen(*v), &result),
					     EXPANSION_TOO_MANY);
		assert_string_equal(text_buf_text(&result.text), cases[i].result);
		text_buf_free(&result.text);
		expansion_free(e);
	}
}

/* What one pattern uses of a key, all of them need: Postfix does not even ask. */
static void result_formats_have_needs_too(void **state)
{
	(void)state;
	struct expansion_needs needs = { 0 };
	struct expansion_key key;
	struct expansion *query = parse("%s", EXPANSION_OF_KEYS, &needs),
			 *format = parse("%s@%D", EXPANSION_OF_VALUES, &needs);
	assert_false(expansion_split(&needs, "joe", 3, &key));
	assert_true(expansion_split(&needs, "@x.test", 7, &key));
	assert_true(expansion_varies(query));
	expansion_free(query);
	expansion_free(format);
	struct expansion_needs none = { 0 };
	query = parse("100%%", EXPANSION_OF_KEYS, &none);
	assert_false(expansion_varies(query));
	expansion_free(query);
	/* %u and %d of a result are the value's, and nothing that a key must have */
	format = parse("%u%d", EXPANSION_OF_VALUES, &none);
	assert_true(expansion_split(&none, "@", 1, &key));
	expansion_free(format);
}

static void the_limit_counts_what_is_added(void **state)
{
	(void)state;
	struct expansion_needs needs = { 0 };
	struct expansion *e = parse("%u", EXPANSION_OF_VALUES, &needs);
	struct expansion_key key;
	struct expansion_result result = { .limit = 2 };
	assert_true(expansion_split(&needs, "k", 1, &key));
	assert_int_equal(expansion_add(e, &key, "a", 1, &result), EXPANSION_ADDED);
	assert_int_equal(expansion_add(e, &key, "", 0, &result), EXPANSION_EMPTY);
	assert_int_equal(expansion_add(e, &key, "@x", 2, &result), EXPANSION_LACKING);
	assert_int_equal(expansion_add(e, &key, "b", 1, &result), EXPANSION_ADDED);
	assert_int_equal(expansion_add(e, &key, "@x", 2, &result), EXPANSION_LACKING);
	assert_int_equal(expansion_add(e, &key, "c", 1, &result), EXPANSION_TOO_MANY);
	assert_string_equal(text_buf_text(&result.text), "a,b");
	text_buf_free(&result.text);
	expansion_free(e);
}

static void bad_patterns_are_refused(void **state)
{
	static const char *const bad[] = { "%", "a%", "%x", "%0", "%%%", "%s%\xff", "% s", "%10%" };
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct expansion_needs needs = { 0 };
		struct expansion_flaw flaw = { "" };
		char want[100];
		assert_null(expansion_parse("query", bad[i], EXPANSION_OF_KEYS, &needs, &flaw));
		snprintf(want, sizeof want, "parameter query: Invalid query template: %s", bad[i]);
		assert_string_equal(flaw.text, want);
		assert_null(expansion_parse("result_format", bad[i], EXPANSION_OF_VALUES, &needs, &flaw));
		assert_non_null(strstr(flaw.text, "parameter result_format: Invalid result template: "));
	}
}

static void a_text_without_bounds_is_spoilt(void **state)
{
	(void)state;
	static char block[1 << 20];
	struct text_buf b = { 0 };
	memset(block, 'x', sizeof block);
	for (int i = 0; i < 20; i++)
		text_buf_add(&b, block, sizeof block);
	assert_true(b.spoilt);
	assert_true(b.len < TEXT_BUF_MOST);
	text_buf_puts(&b, "y"); /* and stays so, though there were room */
	assert_true(b.spoilt);
	assert_int_equal(b.text[b.len - 1], 'x');
	text_buf_clear(&b);
	text_buf_puts(&b, "y");
	assert_false(b.spoilt);
	assert_string_equal(text_buf_text(&b), "y");
	text_buf_free(&b);
	assert_string_equal(text_buf_text(&b), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_put_into_queries),
		cmocka_unit_test(any_byte_is_passed_on),
		cmocka_unit_test(values_are_formatted),
		cmocka_unit_test(result_formats_have_needs_too),
		cmocka_unit_test(the_limit_counts_what_is_added),
		cmocka_unit_test(bad_patterns_are_refused),
		cmocka_unit_test(a_text_without_bounds_is_spoilt),
	};
	return cmocka_run_group_tests_name("expansion", tests, NULL, NULL);
}
