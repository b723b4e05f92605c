/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtpd/esmtp.h"

static void xtext(void **state)
{
	(void)state;
	static const struct {
		const char *text, *plain; /* NULL: refused */
	} cases[] = {
		{ "", "" },        { "abc", "abc" },    { "a+2Bb", "a+b" }, { "a+2bb", "a+b" }, { "+3D", "=" },  { "a+20b", "a b" },
		{ "a=b", NULL },   { "a b", NULL },     { "+", NULL },      { "+4", NULL },     { "+ZZ", NULL }, { "a+0D+0ABcc", NULL },
		{ "a+00", NULL },  { "\xc3\xa9", NULL }, { "+7F", NULL },   { "+C3", NULL },
	};
	char out[64];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(xtext_decode(cases[i].text, strlen(cases[i].text), out), cases[i].plain != NULL);
		if (cases[i].plain)
			assert_string_equal(out, cases[i].plain);
	}
}

static void words(void **state)
{
	(void)state;
	static const char line[] = "  MAIL \tFROM:<a b>  SIZE=1 ";
	struct words w;
	size_t len;
	words_split(&w, line, sizeof line - 1);
	assert_int_equal(w.count, 4);
	assert_true(word_is(&w.word[0], "mail"));
	assert_false(word_is(&w.word[0], "mai"));
	assert_memory_equal(words_rest(&w, 1, &len), "FROM:<a b>  SIZE=1", 18);
	assert_int_equal(len, 18);
	words_split(&w, " \t ", 3);
	assert_int_equal(w.count, 0);
	char many[1000];
	memset(many, ' ', sizeof many);
	for (size_t i = 0; i < sizeof many; i += 2)
		many[i] = 'x';
	words_split(&w, many, sizeof many);
	assert_int_equal(w.count, WORDS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(xtext), cmocka_unit_test(words) };
	return cmocka_run_group_tests_name("smtpd/esmtp", tests, NULL, NULL);
}
