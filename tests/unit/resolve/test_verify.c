/* SPDX-License-Identifier: Apache-2.0
 * Entries of the cache of verified addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resolve/verify.h"

static void entries_survive(void **state)
{
	struct arena *a = arena_new();
	struct verify_entry e, all = { .status = VERIFIED_BOUNCED, .probed = 7, .updated = 1700000000, .text = "host said: 550 no" };
	(void)state;
	assert_true(verify_parse(a, verify_format(a, &all), &e));
	assert_int_equal(e.status, VERIFIED_BOUNCED);
	assert_int_equal(e.probed, 7);
	assert_int_equal(e.updated, 1700000000);
	assert_string_equal(e.text, "host said: 550 no");
	arena_destroy(&a);
}

static void other_texts_are_none(void **state)
{
	static const char *const texts[] = { "", ":", "0", "0:1", "0:1:2", "4:1:2:x", "-1:0:0:x", "0:-1:0:x", "0:1:99999999999999999999:x", "x:1:2:3" };
	struct arena *a = arena_new();
	struct verify_entry e;
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(verify_parse(a, texts[i], &e));
	arena_destroy(&a);
}

static void probes_have_their_time(void **state)
{
	const struct verify_cache v = { .expire = { 300, 3000 }, .refresh = { 100, 1000 } };
	const struct {
		struct verify_entry e;
		int64_t now;
		bool wants;
	} cases[] = {
		{ { .status = VERIFIED_UNKNOWN }, 5000, true },
		{ { .status = VERIFIED_UNKNOWN, .probed = 4500 }, 5000, false }, /* one is under way */
		{ { .status = VERIFIED_UNKNOWN, .probed = 3999 }, 5000, true },  /* it is lost */
		{ { .status = VERIFIED_OK, .updated = 4500 }, 5000, false },
		{ { .status = VERIFIED_OK, .updated = 3900 }, 5000, true },
		{ { .status = VERIFIED_BOUNCED, .updated = 4950 }, 5000, false },
		{ { .status = VERIFIED_DEFERRED, .updated = 4850 }, 5000, true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(verify_wants_probe(&v, &cases[i].e, cases[i].now), cases[i].wants);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_survive),
		cmocka_unit_test(other_texts_are_none),
		cmocka_unit_test(probes_have_their_time),
	};
	return cmocka_run_group_tests_name("resolve/verify", tests, NULL, NULL);
}
