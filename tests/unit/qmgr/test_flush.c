/* SPDX-License-Identifier: Apache-2.0
 * Much mail that is tried again, and new mail beside it: neither keeps the other waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ostler/transport.h"
#include "qmgr/qmgr.h"
#include "stage.h"

enum { WAITING = 40 };

/* So many messages that have been tried and wait for a quarter of an hour. */
static void store_waiting(struct stage *s, const char *address, uint64_t serials[WAITING])
{
	for (int i = 0; i < WAITING; i++) {
		struct spool_rcpt rcpt = { .address = address,
					   .status = RCPT_DEFERRED,
					   .attempts = 1,
					   .last_try = clock_utc(),
					   .next_try = clock_utc() + 900 * CLOCK_SECOND };
		struct spool_envelope env = { .sender = "me@x.test", .rcpts = &rcpt, .nrcpts = 1 };
		serials[i] = stage_store_envelope(s, &env);
	}
	stage_settle(s);
	assert_int_equal(s->qmgr->counts[ENTRY_DEFERRED], WAITING);
}

/* How many of the player's open orders are for messages that waited. */
static size_t open_of(const struct player *p, const uint64_t serials[WAITING])
{
	size_t n = 0;
	for (size_t i = 0; i < p->norders; i++)
		for (int k = 0; !p->orders[i].done && k < WAITING; k++)
			n += p->orders[i].serial == serials[k];
	return n;
}

static void report_all(struct player *p, enum rcpt_status status)
{
	for (size_t i = 0; i < p->norders; i++)
		if (!p->orders[i].done)
			player_report(p, &p->orders[i], status, "so it is", 0);
}

static void a_flush_fills_half_of_the_active_queue_at_most(void **state)
{
	struct stage *s = stage_open("qmgr_message_active_limit = 20\n");
	uint64_t serials[WAITING];
	(void)state;
	store_waiting(s, "a@smtp.one", serials);
	entry_flush_all(s->qmgr);
	stage_settle(s);
	assert_int_equal(s->qmgr->counts[ENTRY_ACTIVE], 10);
	assert_int_equal(s->qmgr->counts[ENTRY_DEFERRED], WAITING - 10);
	for (int i = 0; i < 5; i++)
		stage_store(s, "me@x.test", "b@smtp.two", NULL);
	stage_settle(s);
	assert_int_equal(s->qmgr->counts[ENTRY_ACTIVE], 15); /* new mail is in at once */
	struct player *p = stage_agent(s, "smtp", 100, 0, NULL);
	for (int round = 0; round < 20 && !stage_empty(s); round++) {
		stage_settle(s);
		report_all(p, RCPT_SENT);
	}
	stage_until(s, stage_empty); /* the flush went on to its end by itself */
	stage_close(s);
}

static void new_mail_passes_what_waits_for_the_same_destination(void **state)
{
	struct stage *s = stage_open("default_destination_concurrency_limit = 4\n"
				     "initial_destination_concurrency = 4\n");
	uint64_t serials[WAITING];
	(void)state;
	store_waiting(s, "a@smtp.one", serials);
	entry_flush_all(s->qmgr);
	struct player *p = stage_agent(s, "smtp", 100, 0, NULL);
	stage_settle(s);
	assert_int_equal(open_of(p, serials), 4);
	uint64_t fresh = stage_store(s, "me@x.test", "b@smtp.one", NULL);
	stage_settle(s);
	assert_null(player_order_for(p, fresh)); /* all places are taken … */
	player_report(p, &p->orders[0], RCPT_SENT, "ok", 0);
	player_report(p, &p->orders[1], RCPT_SENT, "ok", 0);
	stage_settle(s);
	assert_non_null(player_order_for(p, fresh)); /* … and one of the next two is for it */
	stage_close(s);
}

static void a_part_of_the_agents_is_left_to_new_mail(void **state)
{
	struct stage *s = stage_open("");
	uint64_t serials[WAITING];
	(void)state;
	store_waiting(s, "a@smtp.slow", serials);
	entry_flush_all(s->qmgr);
	struct player *p = stage_agent(s, "smtp", 5, 0, NULL);
	stage_settle(s);
	assert_int_equal(open_of(p, serials), 4);
	uint64_t fresh = stage_store(s, "me@x.test", "b@smtp.quick", NULL);
	stage_settle(s);
	assert_non_null(player_order_for(p, fresh)); /* without waiting for any of the others */
	stage_close(s);
}

static void what_waits_for_a_dead_destination_is_not_written_again(void **state)
{
	struct stage *s = stage_open("default_destination_concurrency_failed_cohort_limit = 1\n"
				     "initial_destination_concurrency = 1\n");
	uint64_t serials[WAITING];
	(void)state;
	store_waiting(s, "a@smtp.down", serials);
	entry_flush_all(s->qmgr);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(player_open(p), 1);
	player_report(p, &p->orders[0], RCPT_DEFERRED, "connect: Connection refused", OST_REPORT_DESTINATION);
	stage_settle(s);
	assert_int_equal(player_open(p), 0);
	assert_int_equal(s->qmgr->counts[ENTRY_DEFERRED], WAITING);
	struct keeper_stats stats;
	keeper_stats(s->qmgr->keeper, &stats);
	assert_int_equal(stats.files_moved, 1); /* of the one that was tried */
	entry_flush_all(s->qmgr);
	entry_flush_all(s->qmgr); /* twice is once more */
	transports_revive(s->qmgr);
	stage_settle(s);
	assert_int_equal(player_open(p), 1);
	stage_close(s);
}

static void a_message_may_leave_the_flush_before_its_turn(void **state)
{
	struct stage *s = stage_open("qmgr_message_active_limit = 8\n");
	uint64_t serials[WAITING];
	(void)state;
	store_waiting(s, "a@smtp.one", serials);
	entry_flush_all(s->qmgr);
	stage_settle(s);
	assert_int_equal(s->qmgr->counts[ENTRY_DEFERRED], WAITING - 4);
	for (int i = 0; i < WAITING; i += 2) {
		struct entry *e = stage_entry(s, serials[i]);
		if (e->state == ENTRY_DEFERRED)
			entry_move(s->qmgr, e, ENTRY_HOLD);
	}
	uint64_t held = s->qmgr->counts[ENTRY_HOLD];
	assert_in_range(held, WAITING / 2 - 4, WAITING / 2);
	struct player *p = stage_agent(s, "smtp", 100, 0, NULL);
	for (int round = 0; round < WAITING && s->qmgr->counts[ENTRY_DEFERRED] > 0; round++) {
		stage_settle(s);
		report_all(p, RCPT_SENT);
	}
	stage_settle(s);
	assert_int_equal(s->qmgr->counts[ENTRY_DEFERRED], 0);
	assert_int_equal(s->qmgr->counts[ENTRY_HOLD], held);
	stage_close(s);
}

static void the_pace_follows_the_wait_for_a_processor(void **state)
{
	struct pace p;
	(void)state;
	pace_init(&p);
	for (int i = 0; i < 100; i++)
		pace_adapt(&p, 10 * 1000, 10); /* a microsecond each time */
	assert_in_range(p.window, 1000, PACE_MOST);
	for (int i = 0; i < 3; i++)
		pace_adapt(&p, 10 * 100 * 1000, 10); /* neither long nor short: it stays */
	assert_in_range(p.window, 1000, PACE_MOST);
	for (int i = 0; i < 100; i++)
		pace_adapt(&p, 10 * 5000 * 1000, 10);
	assert_int_equal(p.window, PACE_LEAST);
	assert_int_equal(pace_limit(&p, clock_mono()), PACE_MOST); /* no new mail: no limit */
	p.fd = p.fd < 0 ? 0 : p.fd;
	assert_false(pace_is_fresh(&p, clock_mono()));
	pace_fresh(&p, clock_mono());
	assert_true(pace_is_fresh(&p, clock_mono()));
	assert_int_equal(pace_limit(&p, clock_mono()), PACE_LEAST);
	assert_int_equal(pace_limit(&p, clock_mono() + 2 * CLOCK_SECOND), PACE_MOST);
	if (p.fd > 0)
		pace_close(&p);
}

static void beside_new_mail_a_flush_keeps_its_pace(void **state)
{
	struct stage *s = stage_open("default_destination_concurrency_limit = 30\n"
				     "initial_destination_concurrency = 30\n");
	uint64_t serials[WAITING];
	(void)state;
	if (s->qmgr->pace.fd < 0) { /* a kernel that does not count: nothing to be tested */
		stage_close(s);
		skip();
	}
	store_waiting(s, "a@smtp.one", serials);
	struct player *p = stage_agent(s, "smtp", 100, 0, NULL);
	s->qmgr->pace.window = 6;
	s->qmgr->pace.looked = clock_mono() + 3600 * CLOCK_SECOND; /* it stays so */
	s->qmgr->pace.fresh = s->qmgr->pace.looked;
	entry_flush_all(s->qmgr);
	stage_settle(s);
	assert_int_equal(open_of(p, serials), 6);
	uint64_t fresh = stage_store(s, "me@x.test", "b@smtp.one", NULL);
	stage_settle(s);
	assert_non_null(player_order_for(p, fresh));
	report_all(p, RCPT_SENT);
	stage_settle(s);
	assert_int_equal(open_of(p, serials), 6);
	s->qmgr->pace.fresh = clock_mono() - 2 * CLOCK_SECOND;
	report_all(p, RCPT_SENT);
	stage_settle(s);
	assert_in_range(open_of(p, serials), 7, WAITING); /* alone, it goes as fast as it can */
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_fills_half_of_the_active_queue_at_most),
		cmocka_unit_test(new_mail_passes_what_waits_for_the_same_destination),
		cmocka_unit_test(a_part_of_the_agents_is_left_to_new_mail),
		cmocka_unit_test(what_waits_for_a_dead_destination_is_not_written_again),
		cmocka_unit_test(the_pace_follows_the_wait_for_a_processor),
		cmocka_unit_test(beside_new_mail_a_flush_keeps_its_pace),
		cmocka_unit_test(a_message_may_leave_the_flush_before_its_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
