/* SPDX-License-Identifier: Apache-2.0
 * Completing addresses, alias expansion, duplicates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "cleanup/cleanup.h"
#include "tests/support/fixture.h"

static struct fixture fix;
static struct cleaner *cleaner;
static struct arena *arena;

static const char main_cf[] =
	"compatibility_level = 3.6\nmyhostname = mx.example.com\nmydomain = example.com\nmyorigin = $mydomain\n"
	"append_dot_mydomain = yes\nrecipient_delimiter = +\nvirtual_alias_expansion_limit = 20\n"
	"virtual_alias_recursion_limit = 6\nvirtual_alias_address_length_limit = 100\n"
	"virtual_alias_maps = inline:{ {one@a.test = joe@b.test} {two@a.test = x@b.test, \"y z\"@b.test, one@a.test}"
	" {self@a.test = self@a.test, other@b.test} {ping@a.test = pong@a.test} {pong@a.test = ping@a.test}"
	" {@dom.test = @other.test} {ext@a.test = target@b.test} {local = l@b.test} {deep1@a.test = deep2@a.test}"
	" {deep2@a.test = deep3@a.test} {deep3@a.test = deep4@a.test} {grow@a.test = grow@a.test, a, b, c, d, e, f, g, h, i, j, k, l, m, n,"
	" o, p, q, r, s, t, u}"
	" {long@a.test = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@b} }\n";

static int setup(void **state)
{
	(void)state;
	fixture_open(&fix, main_cf, NULL);
	struct ost_why why = { "" };
	cleaner = cleaner_open(fix.view, fix.view, &why);
	assert_string_equal(why.text, "");
	arena = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_destroy(&arena);
	cleaner_close(&cleaner);
	fixture_close(&fix);
	return 0;
}

static void addresses_are_completed(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "", "" },
		{ "joe", "joe@example.com" },
		{ "joe@host", "joe@host.example.com" },
		{ "joe@a.b", "joe@a.b" },
		{ "joe@a.b.", "joe@a.b" },
		{ "a%b.c", "a@b.c" },
		{ "b.c!a", "a@b.c" },
		{ "a%b@c.d", "a%b@c.d" },
		{ "joe@[192.0.2.1]", "joe@[192.0.2.1]" },
		{ "a b", "a b@example.com" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(cleanup_rewrite_address(cleaner, arena, cases[i][0]), cases[i][1]);
}

/* Runs recipients (ends with NULL) through a set; the outcome as text. */
static const char *expand(const char *const *rcpts, unsigned notify)
{
	struct spool_envelope env = { 0 };
	struct buf b = BUF_INIT;
	struct rcpt_set *set = rcpt_set_new(cleaner, arena);
	for (; *rcpts; rcpts++)
		rcpt_set_add(set, *rcpts, NULL, notify);
	enum cleanup_status status = rcpt_set_finish(set, &env, "ABC");
	if (status == CLEANUP_ALIASES)
		buf_puts(&b, "failed");
	if (status == CLEANUP_NO_RCPTS)
		buf_puts(&b, "nobody");
	for (size_t i = 0; i < env.nrcpts; i++) {
		buf_printf(&b, "%s%s", i ? ", " : "", env.rcpts[i].address);
		if (env.rcpts[i].original)
			buf_printf(&b, " (%s)", env.rcpts[i].original);
		if (env.rcpts[i].notify != notify)
			buf_printf(&b, " notify %u", env.rcpts[i].notify);
	}
	const char *text = arena_strdup(arena, buf_str(&b));
	buf_free(&b);
	return text;
}

static void aliases_are_expanded(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "x@far.test", "x@far.test" },
		{ "x", "x@example.com (x)" },
		{ "one@a.test", "joe@b.test (one@a.test)" },
		{ "ONE@A.test", "joe@b.test (ONE@A.test)" },
		{ "two@a.test", "x@b.test (two@a.test), y z@b.test (two@a.test), joe@b.test (two@a.test)" },
		{ "self@a.test", "self@a.test, other@b.test (self@a.test)" },
		{ "u@dom.test", "u@other.test (u@dom.test)" },
		{ "ext+more@a.test", "target+more@b.test (ext+more@a.test)" },
		{ "local", "l@b.test (local)" },
		{ "deep1@a.test", "deep4@a.test (deep1@a.test)" },
		{ "ping@a.test", "failed" },
		{ "grow@a.test", "failed" },
		{ "long@a.test", "failed" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(expand((const char *[]){ cases[i][0], NULL }, 0), cases[i][1]);
	assert_string_equal(expand((const char *[]){ NULL }, 0), "nobody");
}

static void everybody_gets_it_once(void **state)
{
	(void)state;
	assert_string_equal(expand((const char *[]){ "a@b.c", "A@B.C", "a@b.c", "d@e.f", NULL }, 0), "a@b.c, d@e.f");
	assert_string_equal(expand((const char *[]){ "one@a.test", "joe@b.test", "one@a.test", NULL }, 0),
			    "joe@b.test (one@a.test), joe@b.test");
}

static void notices_of_success_end_at_an_alias(void **state)
{
	(void)state;
	assert_string_equal(expand((const char *[]){ "one@a.test", "x@y.z", NULL }, NOTIFY_SUCCESS),
			    "joe@b.test (one@a.test) notify 1, x@y.z");
	assert_string_equal(expand((const char *[]){ "one@a.test", NULL }, NOTIFY_SUCCESS | NOTIFY_FAILURE),
			    "joe@b.test (one@a.test) notify 4");
}

static void many_recipients(void **state)
{
	(void)state;
	struct spool_envelope env = { 0 };
	struct rcpt_set *set = rcpt_set_new(cleaner, arena);
	char text[40];
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			snprintf(text, sizeof text, "u%d@far.test", i);
			rcpt_set_add(set, arena_strdup(arena, text), NULL, 0);
		}
	assert_int_equal(rcpt_set_finish(set, &env, "ABC"), CLEANUP_OK);
	assert_int_equal(env.nrcpts, 5000);
	assert_string_equal(env.rcpts[4999].address, "u4999@far.test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_completed),
		cmocka_unit_test(aliases_are_expanded),
		cmocka_unit_test(everybody_gets_it_once),
		cmocka_unit_test(notices_of_success_end_at_an_alias),
		cmocka_unit_test(many_recipients),
	};
	return cmocka_run_group_tests_name("cleanup/envelope", tests, setup, teardown);
}
