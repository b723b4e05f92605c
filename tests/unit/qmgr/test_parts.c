/* SPDX-License-Identifier: Apache-2.0
 * The pure parts of qmgr: feedback, back-off, the schedule, numbers for pointers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "qmgr/backoff.h"
#include "qmgr/concurrency.h"
#include "qmgr/entry.h"
#include "qmgr/schedule.h"
#include "qmgr/slots.h"

#define MINUTE (60 * CLOCK_SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* ---- feedback ------------------------------------------------------------------------------------------------ */

static void feedback_has_postfixs_forms(void **state)
{
	static const struct {
		const char *text;
		bool good;
		enum feedback_kind kind;
		double base;
	} list[] = {
		{ "1", true, FEEDBACK_CONSTANT, 1 },
		{ "0.5", true, FEEDBACK_CONSTANT, 0.5 },
		{ "1/concurrency", true, FEEDBACK_PER_CONCURRENCY, 1 },
		{ "1 / concurrency", true, FEEDBACK_PER_CONCURRENCY, 1 },
		{ "2/sqrt_concurrency", true, FEEDBACK_PER_SQUARE_ROOT, 2 },
		{ "1/8", false, 0, 0 },
		{ "", false, 0, 0 },
		{ "x", false, 0, 0 },
		{ "1/", false, 0, 0 },
		{ "-1", false, 0, 0 },
		{ "nan", false, 0, 0 },
		{ "1/concurrency!", false, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		struct feedback f = { .kind = FEEDBACK_CONSTANT, .base = 77 };
		assert_int_equal(feedback_parse(list[i].text, &f), list[i].good);
		assert_true(f.base == (list[i].good ? list[i].base : 77));
		if (list[i].good)
			assert_int_equal(f.kind, list[i].kind);
	}
	const struct feedback per = { FEEDBACK_PER_CONCURRENCY, 1 }, root = { FEEDBACK_PER_SQUARE_ROOT, 1 };
	assert_true(feedback_value(&per, 4) == 0.25);
	assert_true(feedback_value(&root, 4) == 0.5);
	assert_true(feedback_value(&per, 0) == 1);
}

static struct transport_settings usual(void)
{
	return (struct transport_settings){
		.concurrency_limit = 20,
		.initial_concurrency = 5,
		.recipient_limit = 50,
		.failed_cohort_limit = 1,
		.positive = { FEEDBACK_CONSTANT, 1 },
		.negative = { FEEDBACK_CONSTANT, 1 },
	};
}

static void success_raises_the_concurrency_up_to_the_limit(void **state)
{
	struct transport_settings s = usual();
	struct concurrency c;
	(void)state;
	concurrency_init(&c, &s);
	assert_true(c.window == 5);
	for (uint32_t i = 0; i < 100; i++) {
		double before = c.window;
		concurrency_success(&c, &s, (uint32_t)c.window);
		assert_true(c.window >= before && c.window <= before + 1);
	}
	assert_true(c.window == 20);
}

static void an_unused_window_does_not_grow(void **state)
{
	struct transport_settings s = usual();
	struct concurrency c;
	(void)state;
	concurrency_init(&c, &s);
	for (int i = 0; i < 100; i++)
		concurrency_success(&c, &s, 1); /* one delivery at a time is all that there is */
	assert_true(c.window == 6);
}

static void feedback_per_concurrency_takes_a_whole_cohort_for_a_step(void **state)
{
	struct transport_settings s = usual();
	struct concurrency c;
	(void)state;
	s.positive = (struct feedback){ FEEDBACK_PER_CONCURRENCY, 1 };
	concurrency_init(&c, &s);
	for (int i = 0; i < 4; i++)
		concurrency_success(&c, &s, 5);
	assert_true(c.window == 5);
	concurrency_success(&c, &s, 5);
	assert_true(c.window == 6);
}

static void a_failed_cohort_makes_a_destination_dead(void **state)
{
	struct transport_settings s = usual();
	struct concurrency c;
	(void)state;
	s.negative = (struct feedback){ FEEDBACK_PER_CONCURRENCY, 1 };
	concurrency_init(&c, &s);
	for (int i = 0; i < 4; i++)
		assert_false(concurrency_failure(&c, &s)); /* 4 of 5 */
	assert_true(concurrency_failure(&c, &s));
	concurrency_revive(&c);
	assert_true(c.window == 1);
	assert_true(concurrency_failure(&c, &s)); /* its one delivery is the cohort */
}

static void a_success_forgets_failed_cohorts(void **state)
{
	struct transport_settings s = usual();
	struct concurrency c;
	(void)state;
	s.negative = (struct feedback){ FEEDBACK_PER_CONCURRENCY, 1 };
	concurrency_init(&c, &s);
	for (int round = 0; round < 50; round++) {
		assert_false(concurrency_failure(&c, &s));
		concurrency_success(&c, &s, (uint32_t)c.window);
		assert_true(c.window >= 1 && c.window <= 20);
	}
}

static void without_a_cohort_limit_nothing_dies(void **state)
{
	struct transport_settings s = usual();
	struct concurrency c;
	(void)state;
	s.failed_cohort_limit = 0;
	concurrency_init(&c, &s);
	for (int i = 0; i < 1000; i++)
		assert_false(concurrency_failure(&c, &s));
	assert_true(c.window == 1);
}

/* ---- back-off ------------------------------------------------------------------------------------------------ */

static const struct qmgr_settings times = {
	.minimal_backoff = 300 * CLOCK_SECOND,
	.maximal_backoff = 4000 * CLOCK_SECOND,
	.lifetime = 5 * DAY,
	.bounce_lifetime = 2 * DAY,
};

static void waits_grow_with_the_messages_age(void **state)
{
	const int64_t now = 1000 * DAY;
	(void)state;
	assert_int_equal(backoff_next_try(&times, now, now), now + 300 * CLOCK_SECOND);
	assert_int_equal(backoff_next_try(&times, now - 10 * MINUTE, now), now + 600 * CLOCK_SECOND);
	assert_int_equal(backoff_next_try(&times, now - DAY, now), now + 4000 * CLOCK_SECOND);
	assert_int_equal(backoff_next_try(&times, now + DAY, now),
			 now + 300 * CLOCK_SECOND); /* from the future */
}

static void a_clock_that_was_set_back_makes_nobody_wait_for_ever(void **state)
{
	const int64_t now = 1000 * DAY;
	(void)state;
	assert_int_equal(backoff_wait(&times, now - 1, now), 0);
	assert_int_equal(backoff_wait(&times, now + MINUTE, now), MINUTE);
	assert_int_equal(backoff_wait(&times, now + 900 * DAY, now), times.maximal_backoff);
	assert_true(backoff_due(&times, now, now));
	assert_true(backoff_due(&times, now - DAY, now));
	assert_false(backoff_due(&times, now + MINUTE, now));
	assert_true(backoff_due(&times, now + 900 * DAY, now)); /* no back-off is that long */
}

static void messages_and_notices_have_their_lifetimes(void **state)
{
	const int64_t now = 1000 * DAY;
	(void)state;
	assert_false(backoff_expired(&times, false, now - 4 * DAY, now));
	assert_true(backoff_expired(&times, false, now - 5 * DAY, now));
	assert_true(backoff_expired(&times, true, now - 2 * DAY, now));
	assert_false(backoff_expired(&times, true, now - DAY, now));
}

/* ---- the schedule -------------------------------------------------------------------------------------------- */

static void the_schedule_gives_the_earliest_first(void **state)
{
	enum { N = 2000 };
	struct schedule s = { 0 };
	struct entry *list = test_calloc(N, sizeof *list);
	unsigned seed = 7;
	(void)state;
	for (int i = 0; i < N; i++)
		schedule_add(&s, &list[i], rand_r(&seed) % 10000);
	for (int i = 0; i < N; i += 3) /* from anywhere in the heap */
		schedule_remove(&s, &list[i]);
	schedule_remove(&s, &list[0]); /* twice does no harm */
	int64_t last = -1;
	int count = 0;
	for (struct entry *e; (e = schedule_first(&s)); count++) {
		assert_true(e->due >= last);
		assert_int_not_equal((e - list) % 3, 0);
		last = e->due;
		schedule_remove(&s, e);
		assert_int_equal(e->heap_at, 0);
	}
	assert_int_equal(count, N - (N + 2) / 3);
	schedule_free(&s);
	test_free(list);
}

/* ---- numbers ------------------------------------------------------------------------------------------------- */

static void a_number_finds_its_pointer_once(void **state)
{
	struct slots s = SLOTS_INIT;
	int things[200];
	uint64_t numbers[200];
	(void)state;
	for (int i = 0; i < 200; i++)
		numbers[i] = slots_add(&s, &things[i]);
	for (int i = 0; i < 200; i += 2)
		assert_ptr_equal(slots_take(&s, numbers[i]), &things[i]);
	for (int i = 0; i < 200; i++)
		assert_ptr_equal(slots_find(&s, numbers[i]), i % 2 ? &things[i] : NULL);
	uint64_t again = slots_add(&s, &things[0]);
	assert_true(again != 0);
	for (int i = 0; i < 200; i += 2)
		assert_null(slots_take(&s, numbers[i])); /* the place is used again, the number is not */
	assert_null(slots_find(&s, UINT64_MAX));
	assert_null(slots_find(&s, 0));
	int count = 0;
	uint64_t number = 0;
	while (slots_next(&s, &number))
		count++;
	assert_int_equal(count, 101);
	slots_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(feedback_has_postfixs_forms),
		cmocka_unit_test(success_raises_the_concurrency_up_to_the_limit),
		cmocka_unit_test(an_unused_window_does_not_grow),
		cmocka_unit_test(feedback_per_concurrency_takes_a_whole_cohort_for_a_step),
		cmocka_unit_test(a_failed_cohort_makes_a_destination_dead),
		cmocka_unit_test(a_success_forgets_failed_cohorts),
		cmocka_unit_test(without_a_cohort_limit_nothing_dies),
		cmocka_unit_test(waits_grow_with_the_messages_age),
		cmocka_unit_test(a_clock_that_was_set_back_makes_nobody_wait_for_ever),
		cmocka_unit_test(messages_and_notices_have_their_lifetimes),
		cmocka_unit_test(the_schedule_gives_the_earliest_first),
		cmocka_unit_test(a_number_finds_its_pointer_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
