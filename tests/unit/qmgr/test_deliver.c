/* SPDX-License-Identifier: Apache-2.0
 * From a stored message to its end: delivered, deferred, failed, expired; notices; limits and fairness. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ipc/protocol.h"
#include "ostler/transport.h"
#include "qmgr/message.h"
#include "stage.h"

static void a_delivered_message_leaves(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", "b@smtp.one", "c@smtp.two", NULL);
	stage_settle(s);
	assert_string_equal(s->wanted, "smtp"); /* no agent runs */
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 2); /* one for each destination */
	assert_int_equal(p->orders[0].nrcpts + p->orders[1].nrcpts, 3);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(p->orders[i].serial, serial);
		player_report(p, &p->orders[i], RCPT_SENT, "ok", 0);
	}
	stage_until(s, stage_empty);
	assert_int_equal(s->nnotices, 0);
	stage_stop_qmgr(s);
	stage_start_qmgr(s, ""); /* and stays away */
	assert_true(stage_empty(s));
	stage_close(s);
}

static void a_deferred_recipient_waits_and_is_tried_again(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", "b@smtp.two", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	player_report(p, &p->orders[0], RCPT_SENT, "ok", 0);
	player_report(p, &p->orders[1], RCPT_DEFERRED, "mailbox is full", 0);
	uint32_t deferred = p->orders[1].rcpts[0];
	stage_settle(s);
	struct entry *e = stage_entry(s, serial);
	assert_non_null(e);
	assert_int_equal(e->state, ENTRY_DEFERRED);
	assert_true(e->due > clock_mono() + 990 * CLOCK_SECOND);
	assert_int_equal(p->norders, 2);
	stage_stop_qmgr(s); /* its state is durable: the next one knows, and waits as well */
	stage_start_qmgr(s, "");
	e = stage_entry(s, serial);
	assert_non_null(e);
	assert_int_equal(e->state, ENTRY_DEFERRED);
	p = stage_agent(s, "smtp", 10, 0, NULL);
	entry_flush_all(s->qmgr);
	stage_settle(s);
	assert_int_equal(p->norders, 1); /* the one that was sent is not tried again */
	assert_int_equal(p->orders[0].nrcpts, 1);
	assert_int_equal(p->orders[0].rcpts[0], deferred);
	player_report(p, &p->orders[0], RCPT_SENT, "ok", 0);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void a_message_marked_for_flushing_does_not_wait(void **state)
{
	struct stage *s = stage_open("");
	struct spool_rcpt rcpt = { .address = "a@smtp.one", .status = RCPT_DEFERRED, .attempts = 1 };
	struct spool_envelope env = {
		.sender = "me@x.test", .flags = MSG_FLUSH, .rcpts = &rcpt, .nrcpts = 1
	};
	(void)state;
	rcpt.next_try = clock_utc() + 900 * CLOCK_SECOND;
	uint64_t serial = stage_store_envelope(s, &env);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	player_report(p, &p->orders[0], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	assert_int_equal(p->norders, 1); /* once */
	stage_stop_qmgr(s);
	stage_start_qmgr(s, "");
	assert_int_equal(stage_entry(s, serial)->state, ENTRY_DEFERRED); /* the mark is gone */
	stage_close(s);
}

static void a_failure_is_told_and_then_the_message_leaves(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", "b@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	player_report(p, &p->orders[0], RCPT_FAILED, "user unknown", 0);
	stage_settle(s);
	assert_int_equal(s->nnotices, 1);
	assert_int_equal(s->notices[0].serial, serial);
	assert_int_equal(s->notices[0].kind, NOTICE_FAILURE);
	assert_int_equal(s->notices[0].nresults, 2);
	assert_non_null(stage_entry(s, serial)); /* not before the notice is stored */
	stage_noticed(s, 0, false);
	stage_settle(s);
	qmgr_tick(s->qmgr); /* asked again */
	stage_settle(s);
	assert_int_equal(s->nnotices, 2);
	assert_int_equal(s->notices[1].round, s->notices[0].round);
	stage_noticed(s, 1, true);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void a_notice_that_is_owed_survives_a_restart(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	s->no_bounce = true;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", "b@bad.one", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	player_report(p, &p->orders[0], RCPT_FAILED, "user unknown", 0);
	stage_settle(s);
	assert_non_null(stage_entry(s, serial));
	stage_stop_qmgr(s);
	s->no_bounce = false;
	stage_start_qmgr(s, "");
	assert_int_equal(s->nnotices, 1);
	assert_int_equal(s->notices[0].nresults,
			 2); /* the agent's failure, and the one that qmgr itself decided */
	stage_noticed(s, 0, true);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void notices_never_loop(void **state)
{
	struct stage *s = stage_open("notify_classes = 2bounce\n");
	(void)state;
	stage_store(s, "", "a@bad.one", NULL);
	stage_settle(s);
	assert_int_equal(s->nnotices, 1);
	assert_int_equal(s->notices[0].kind, NOTICE_DOUBLE); /* to the postmaster */
	stage_noticed(s, 0, true);
	stage_until(s, stage_empty);
	stage_store(s, "double-bounce@mx.example.com", "postmaster@bad.one", NULL);
	stage_settle(s);
	assert_true(stage_empty(s)); /* to nobody */
	assert_int_equal(s->nnotices, 1);
	stage_close(s);
	s = stage_open("notify_classes =\n");
	stage_store(s, "", "a@bad.one", NULL);
	stage_settle(s);
	assert_true(stage_empty(s));
	assert_int_equal(s->nnotices, 0);
	stage_close(s);
}

static void notify_decides_who_is_told(void **state)
{
	struct stage *s = stage_open("");
	struct spool_rcpt rcpts[] = {
		{ .address = "a@smtp.one", .notify = NOTIFY_NEVER },
		{ .address = "b@smtp.one", .notify = NOTIFY_FAILURE },
		{ .address = "c@smtp.one", .notify = NOTIFY_SUCCESS },
	};
	struct spool_envelope env = { .sender = "me@x.test", .rcpts = rcpts, .nrcpts = 3 };
	(void)state;
	stage_store_envelope(s, &env);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	player_report(p, &p->orders[0], RCPT_FAILED, "no", 0);
	stage_settle(s);
	assert_int_equal(s->nnotices, 1);
	assert_int_equal(s->notices[0].nresults, 1);
	stage_noticed(s, 0, true);
	stage_until(s, stage_empty);
	stage_store_envelope(s, &env);
	stage_settle(s);
	player_report(p, &p->orders[1], RCPT_SENT_OWED, "ok", 0);
	stage_settle(s);
	assert_int_equal(s->nnotices, 2);
	assert_int_equal(s->notices[1].kind, NOTICE_SUCCESS);
	assert_int_equal(s->notices[1].nresults, 1);
	stage_noticed(s, 1, true);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void a_delay_is_told_once(void **state)
{
	struct stage *s = stage_open("");
	struct spool_rcpt rcpt = { .address = "a@smtp.one" };
	struct spool_envelope env = { .sender = "me@x.test", .rcpts = &rcpt, .nrcpts = 1 };
	(void)state;
	env.arrival = clock_utc() - 3600 * CLOCK_SECOND;
	env.warn_at = env.arrival + 60 * CLOCK_SECOND;
	uint64_t serial = stage_store_envelope(s, &env);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	for (size_t i = 0; i < 3; i++) {
		entry_flush_all(s->qmgr);
		stage_settle(s);
		assert_int_equal(p->norders, i + 1);
		player_report(p, &p->orders[i], RCPT_DEFERRED, "later", 0);
		stage_settle(s);
		if (i == 0)
			stage_noticed(s, 0, true);
		stage_settle(s);
		assert_int_equal(stage_entry(s, serial)->state, ENTRY_DEFERRED);
	}
	assert_int_equal(s->nnotices, 1);
	assert_int_equal(s->notices[0].kind, NOTICE_DELAY);
	stage_close(s);
}

static void what_is_too_old_fails_but_never_untried(void **state)
{
	struct stage *s = stage_open("maximal_queue_lifetime = 1h\n");
	struct spool_rcpt rcpts[] = { { .address = "a@smtp.one" }, { .address = "b@later.one" } };
	struct spool_envelope env = { .sender = "me@x.test", .rcpts = rcpts, .nrcpts = 2 };
	(void)state;
	env.arrival = clock_utc() - 48 * 3600 * CLOCK_SECOND; /* the clock, or a long stop */
	uint64_t serial = stage_store_envelope(s, &env);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	player_report(p, &p->orders[0], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	assert_int_equal(s->nnotices, 1);
	assert_int_equal(s->notices[0].kind, NOTICE_FAILURE);
	assert_int_equal(s->notices[0].nresults, 1); /* b has never been tried: its table failed */
	stage_noticed(s, 0, true);
	stage_settle(s);
	assert_int_equal(stage_entry(s, serial)->state, ENTRY_DEFERRED);
	stage_close(s);
}

static void a_message_with_many_recipients_is_taken_in_parts(void **state)
{
	struct stage *s =
		stage_open("qmgr_message_recipient_limit = 20\ndefault_destination_recipient_limit = 7\n");
	bool seen[90] = { false };
	size_t count = 0;
	(void)state;
	uint64_t serial = stage_store_many(s, "me@x.test", "u%u@smtp.one", 90);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	for (size_t i = 0; count < 90; i++) {
		stage_settle(s);
		assert_true(i < p->norders);
		struct order *o = &p->orders[i];
		assert_true(o->nrcpts <= 7 && s->qmgr->recipients <= 20);
		for (uint32_t n = 0; n < o->nrcpts; n++) {
			assert_false(seen[o->rcpts[n]]);
			seen[o->rcpts[n]] = true;
			count++;
		}
		assert_non_null(stage_entry(s, serial));
		player_report(p, o, RCPT_SENT, "ok", 0);
	}
	stage_until(s, stage_empty);
	stage_close(s);
}

static void the_active_queue_has_a_limit(void **state)
{
	struct stage *s = stage_open("qmgr_message_active_limit = 5\n");
	(void)state;
	for (int i = 0; i < 12; i++)
		stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 100, 0, NULL);
	for (size_t i = 0; i < 12; i++) {
		stage_settle(s);
		assert_true(s->qmgr->counts[ENTRY_ACTIVE] <= 5);
		assert_true(i < p->norders);
		player_report(p, &p->orders[i], RCPT_SENT, "ok", 0);
	}
	stage_until(s, stage_empty);
	assert_int_equal(p->norders, 12);
	stage_close(s);
}

static void many_recipients_do_not_keep_others_waiting(void **state)
{
	struct stage *s =
		stage_open("initial_destination_concurrency = 1\ndefault_destination_concurrency_limit = 1\n"
			   "default_destination_recipient_limit = 10\n");
	(void)state;
	uint64_t large = stage_store_many(s, "list@x.test", "u%u@smtp.one", 500);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	uint64_t small = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	uint64_t other = stage_store(s, "me@x.test", "a@smtp.two", NULL);
	stage_settle(s);
	assert_int_equal(p->norders,
			 2); /* one to each destination: the large message's first part, and the other's */
	assert_int_equal(p->orders[0].serial, large);
	assert_int_equal(p->orders[0].nrcpts, 10);
	assert_int_equal(p->orders[1].serial, other);
	for (size_t i = 0; !player_order_for(p, small); i++) {
		assert_true(i < 3); /* not behind the fifty parts of the large one */
		player_report(p, player_order_for(p, large), RCPT_SENT, "ok", 0);
		stage_settle(s);
	}
	stage_close(s);
}

static void concurrency_is_earned(void **state)
{
	struct stage *s = stage_open("default_destination_concurrency_limit = 12\n");
	(void)state;
	for (int i = 0; i < 60; i++)
		stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 100, 0, NULL);
	stage_settle(s);
	assert_int_equal(player_open(p), 5); /* initial_destination_concurrency */
	for (size_t i = 0; i < 60; i++) {
		player_report(p, &p->orders[i], RCPT_SENT, "ok", 0);
		stage_settle(s);
	}
	assert_int_equal(p->most, 12);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void a_dead_destination_gets_a_rest_and_others_do_not(void **state)
{
	struct stage *s = stage_open("initial_destination_concurrency = 1\n");
	uint64_t serials[4];
	(void)state;
	struct player *p = stage_agent(s, "smtp", 100, 0, NULL);
	for (int i = 0; i < 4; i++)
		serials[i] = stage_store(s, "me@x.test", "a@smtp.down", NULL);
	uint64_t other = stage_store(s, "me@x.test", "a@smtp.up", NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	player_report(p, player_order_for(p, serials[0]), RCPT_DEFERRED, "connect: Connection refused",
		      OST_REPORT_DESTINATION);
	player_report(p, player_order_for(p, other), RCPT_SENT, "ok", 0);
	stage_settle(s);
	assert_int_equal(p->norders, 2); /* nobody else was sent there */
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage_entry(s, serials[i])->state, ENTRY_DEFERRED);
	assert_null(stage_entry(s, other));
	transports_revive(s->qmgr); /* postqueue -f */
	entry_flush_all(s->qmgr);
	stage_settle(s);
	assert_int_equal(player_open(p), 1); /* one may try */
	stage_close(s);
}

static void a_resolver_that_is_late_keeps_nobody_else_waiting(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	s->no_resolver = true;
	uint64_t first = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	stage_settle(s);
	assert_true(s->resolver_wanted); /* asked for once, and not waited for */
	assert_int_equal(stage_entry(s, first)->state, ENTRY_ACTIVE);
	uint64_t second = stage_store(s, "me@x.test", "a@smtp.two", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(stage_entry(s, second)->state, ENTRY_ACTIVE);
	assert_int_equal(p->norders, 0);
	s->no_resolver = false;
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	player_report(p, player_order_for(p, first), RCPT_SENT, "ok", 0);
	player_report(p, player_order_for(p, second), RCPT_SENT, "ok", 0);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void a_transport_that_is_not_there_defers(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@nosuch.one", NULL);
	stage_settle(s);
	assert_int_equal(stage_entry(s, serial)->state, ENTRY_DEFERRED);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delivered_message_leaves),
		cmocka_unit_test(a_deferred_recipient_waits_and_is_tried_again),
		cmocka_unit_test(a_message_marked_for_flushing_does_not_wait),
		cmocka_unit_test(a_failure_is_told_and_then_the_message_leaves),
		cmocka_unit_test(a_notice_that_is_owed_survives_a_restart),
		cmocka_unit_test(notices_never_loop),
		cmocka_unit_test(notify_decides_who_is_told),
		cmocka_unit_test(a_delay_is_told_once),
		cmocka_unit_test(what_is_too_old_fails_but_never_untried),
		cmocka_unit_test(a_message_with_many_recipients_is_taken_in_parts),
		cmocka_unit_test(the_active_queue_has_a_limit),
		cmocka_unit_test(many_recipients_do_not_keep_others_waiting),
		cmocka_unit_test(concurrency_is_earned),
		cmocka_unit_test(a_dead_destination_gets_a_rest_and_others_do_not),
		cmocka_unit_test(a_resolver_that_is_late_keeps_nobody_else_waiting),
		cmocka_unit_test(a_transport_that_is_not_there_defers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
