/* SPDX-License-Identifier: Apache-2.0
 * Agents that die, tickets that lead nowhere, and a queue manager that starts while agents of a former one
 * are at work: no recipient is lost, and none that has a durable result is delivered again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/protocol.h"
#include "qmgr/inbound.h"
#include "qmgr/message.h"
#include "spool/home.h"
#include "stage.h"

static void what_a_dead_agent_had_in_hand_is_tried_again(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	player_die(p);
	stage_settle(s);
	struct player *q = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(q->norders, 1);
	assert_int_equal(q->orders[0].serial, serial);
	player_report(q, &q->orders[0], RCPT_SENT, "ok", 0);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void a_durable_result_that_was_not_told_counts(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", "b@smtp.two", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	uint32_t done = p->orders[0].rcpts[0];
	player_record(p, &p->orders[0], RCPT_SENT); /* delivered and recorded; then it dies */
	player_die(p);
	stage_settle(s);
	struct player *q = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(q->norders, 1);
	assert_int_equal(q->orders[0].serial, serial);
	assert_int_equal(q->orders[0].nrcpts, 1);
	assert_int_not_equal(q->orders[0].rcpts[0], done);
	player_report(q, &q->orders[0], RCPT_SENT, "ok", 0);
	stage_until(s, stage_empty);
	stage_close(s);
}

static void an_agent_that_only_lost_its_link_is_waited_for(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 10, getpid(), NULL); /* a process that lives */
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	struct order o = p->orders[0];
	player_die(p);
	struct player *q = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	qmgr_tick(s->qmgr);
	stage_settle(s);
	assert_int_equal(q->norders, 0); /* it may be delivering still */
	agents_died(s->qmgr, getpid());  /* the master's word */
	stage_settle(s);
	assert_int_equal(q->norders, 1);
	assert_int_equal(q->orders[0].serial, o.serial);
	stage_close(s);
}

static void a_message_that_kills_agents_is_put_off(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	for (int i = 0; i < 3; i++) {
		struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
		stage_settle(s);
		assert_int_equal(p->norders, 1);
		player_die(p);
		stage_settle(s);
	}
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 0);
	assert_int_equal(stage_entry(s, serial)->state, ENTRY_DEFERRED);
	stage_close(s);
}

static void a_ticket_that_led_nowhere_is_made_anew(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	player_gone(p, &p->orders[0]); /* it was moved in the spool meanwhile */
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	player_report(p, &p->orders[1], RCPT_SENT, "ok", 0);
	stage_until(s, stage_empty);
	stage_store(s, "me@x.test", "a@smtp.one", NULL);
	for (size_t i = 2; i < 5; i++) { /* not for ever */
		stage_settle(s);
		assert_int_equal(p->norders, i + 1);
		player_gone(p, &p->orders[i]);
	}
	stage_settle(s);
	assert_int_equal(p->norders, 5);
	assert_int_not_equal(stage_entry(s, p->orders[4].serial)->state, ENTRY_ACTIVE);
	(void)serial;
	stage_close(s);
}

static void a_recipient_that_is_not_reported_is_tried_again(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	stage_store(s, "me@x.test", "a@smtp.one", "b@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	struct order *o = &p->orders[0];
	assert_int_equal(o->nrcpts, 2);
	uint32_t forgotten = o->rcpts[1];
	o->nrcpts = 1;
	player_report(p, o, RCPT_SENT, "ok", 0);
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	assert_int_equal(p->orders[1].nrcpts, 1);
	assert_int_equal(p->orders[1].rcpts[0], forgotten);
	stage_close(s);
}

static void an_agents_limit_is_kept_and_may_change(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	for (int i = 0; i < 10; i++)
		stage_store_many(s, "me@x.test", "a%u@smtp.one", 1);
	struct player *p = stage_agent(s, "smtp", 3, 0, NULL);
	stage_settle(s);
	assert_int_equal(player_open(p), 3);
	struct buf b = BUF_INIT;
	tlv_put_str(&b, F_SERVICE, "smtp");
	tlv_put_u64(&b, F_LIMIT, 0); /* it is being replaced */
	ipc_send(p->link, M_AGENT_HELLO, b.data, b.len);
	buf_free(&b);
	stage_settle(s);
	for (size_t i = 0; i < 3; i++)
		player_report(p, &p->orders[i], RCPT_SENT, "ok", 0);
	stage_settle(s);
	assert_int_equal(p->norders, 3);
	struct player *q = stage_agent(s, "smtp", 100, 0, NULL);
	stage_settle(s);
	assert_true(q->norders > 0);
	stage_close(s);
}

/* ---- a new queue manager, agents of the old one -------------------------------------------------------------- */

static char living[64];

static const char *living_agent(int pid)
{
	snprintf(living, sizeof living, "smtp %d\n", pid);
	return living;
}

static void nothing_is_handed_out_before_the_living_have_spoken(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t flying = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *old = stage_agent(s, "smtp", 10, getpid(), NULL);
	stage_settle(s);
	assert_int_equal(old->norders, 1);
	struct order o = old->orders[0];
	uint64_t fresh = stage_store(s, "me@x.test", "b@smtp.one", "c@discard.one", NULL);
	old->orders[0].done = true;
	stage_stop_qmgr(s);
	ipc_link_destroy(&old->link);

	stage_start_qmgr(s, living_agent(getpid()));
	struct player *other = stage_agent(s, "smtp", 10, 0, NULL);
	struct player *discard = stage_agent(s, "discard", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(other->norders, 0);
	assert_int_equal(discard->norders, 1); /* another transport need not wait */
	assert_int_equal(discard->orders[0].serial, fresh);

	player_record(old, &o, RCPT_SENT); /* it finishes, and comes back with nothing in hand */
	const uint64_t none[] = { 0 };
	stage_agent(s, "smtp", 0, getpid(), none);
	stage_settle(s);
	assert_null(stage_entry(s, flying));
	assert_int_equal(other->norders, 1);
	assert_int_equal(other->orders[0].serial, fresh);
	stage_close(s);
}

static void a_flight_is_not_handed_out_until_it_has_landed(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t flying = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *old = stage_agent(s, "smtp", 10, getpid(), NULL);
	stage_settle(s);
	struct order o = old->orders[0];
	old->orders[0].ticket = NULL;
	stage_stop_qmgr(s);
	ipc_link_destroy(&old->link);

	stage_start_qmgr(s, living_agent(getpid()));
	const uint64_t flights[] = { flying, 0 };
	struct player *p = stage_agent(s, "smtp", 10, getpid(), flights);
	stage_settle(s);
	qmgr_tick(s->qmgr);
	stage_settle(s);
	assert_int_equal(p->norders, 0);
	assert_int_equal(stage_entry(s, flying)->state, ENTRY_FLIGHT);
	player_report(p, &o, RCPT_SENT, "ok", 0); /* with the former qmgr's number */
	stage_until(s, stage_empty);
	assert_int_equal(p->norders, 0);
	free(o.ticket);
	stage_close(s);
}

static void a_flight_whose_agent_dies_is_tried_again(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t flying = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	stage_settle(s);
	stage_stop_qmgr(s);
	stage_start_qmgr(s, living_agent(getpid()));
	const uint64_t flights[] = { flying, 0 };
	struct player *old = stage_agent(s, "smtp", 10, getpid(), flights);
	stage_settle(s);
	assert_int_equal(stage_entry(s, flying)->state, ENTRY_FLIGHT);
	player_die(old);
	agents_died(s->qmgr, getpid());
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	assert_int_equal(p->orders[0].serial, flying);
	stage_close(s);
}

static void a_living_agent_that_dies_without_a_word_is_no_obstacle(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	stage_settle(s);
	stage_stop_qmgr(s);
	stage_start_qmgr(s, living_agent(getpid()));
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 0);
	agents_died(s->qmgr, getpid());
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	assert_int_equal(p->orders[0].serial, serial);
	stage_close(s);
}

/* Says hello again on the same link, with what it has in hand. */
static void hello_again(struct player *p, unsigned limit, uint64_t flight)
{
	struct buf b = BUF_INIT;
	tlv_put_str(&b, F_SERVICE, "smtp");
	tlv_put_u64(&b, F_LIMIT, limit);
	size_t mark = tlv_open(&b, F_FLIGHT, 0);
	tlv_put_u64(&b, F_SERIAL, flight);
	tlv_put_u64(&b, F_RCPT, 0);
	tlv_close(&b, mark);
	ipc_send(p->link, M_AGENT_HELLO, b.data, b.len);
	buf_free(&b);
}

static void an_agent_that_is_replaced_holds_nothing_back(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	struct player *p = stage_agent(s, "smtp", 10, getpid(), NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	hello_again(p, 0, serial); /* it ends when what it has in hand is done: qmgr knows of that */
	stage_settle(s);
	player_report(p, &p->orders[0], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	struct player *q = stage_agent(s, "smtp", 10, 0, NULL);
	entry_flush_all(s->qmgr);
	stage_settle(s);
	assert_int_equal(q->norders, 1); /* though the other process lives on */
	stage_close(s);
}

static void an_agent_that_comes_back_tells_what_it_has(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	uint64_t lost = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	uint64_t kept = stage_store(s, "me@x.test", "b@smtp.two", NULL);
	uint64_t done = stage_store(s, "me@x.test", "c@smtp.three", NULL);
	struct player *p = stage_agent(s, "smtp", 10, getpid(), NULL); /* a process that lives, and loses its link */
	stage_settle(s);
	assert_int_equal(p->norders, 3);
	player_record(p, player_order_for(p, done), RCPT_SENT);
	struct order flight = *player_order_for(p, kept);
	player_die(p);
	const uint64_t flights[] = { kept, 0 };
	struct player *q = stage_agent(s, "smtp", 10, getpid(), flights);
	stage_settle(s);
	assert_int_equal(q->norders, 1);
	assert_int_equal(q->orders[0].serial, lost);
	assert_null(stage_entry(s, done));
	player_report(q, &flight, RCPT_SENT, "ok", 0); /* under its old number */
	player_report(q, &q->orders[0], RCPT_SENT, "ok", 0);
	stage_until(s, stage_empty);
	assert_int_equal(q->norders, 1);
	stage_close(s);
}

static void one_process_does_not_take_all_links(void **state)
{
	struct stage *s = stage_open("");
	struct peer *p;
	int near[40], pair[2], n = 0;
	(void)state;
	for (int i = 0; i < 40; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		near[i] = pair[0];
		inbound_peer(s->qmgr, pair[1], "smtpd greedy 4711");
	}
	TAILQ_FOREACH(p, &s->qmgr->peers.all, link_all)
	{
		n += p->pid == 4711;
	}
	assert_int_equal(n, 16);
	for (int i = 0; i < 40; i++)
		close(near[i]);
	stage_settle(s);
	assert_true(TAILQ_EMPTY(&s->qmgr->peers.all) || TAILQ_FIRST(&s->qmgr->peers.all)->pid != 4711);
	stage_close(s);
}

/* Nothing can be removed. */
static int no_unlink(void *ctx, const struct sys_call *call)
{
	(void)ctx;
	return call->step == SYS_UNLINK ? EIO : 0;
}

static void what_is_done_and_could_not_be_removed_is_not_delivered_again(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	s->spool->options.file_threshold = 1; /* to a file at once */
	uint64_t serial = stage_store(s, "me@x.test", "a@smtp.one", "b@smtp.two", NULL);
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	s->spool->sys = (struct sys){ no_unlink, NULL };
	player_report(p, &p->orders[0], RCPT_SENT, "ok", 0);
	player_report(p, &p->orders[1], RCPT_FAILED, "no such user", 0);
	stage_settle(s);
	assert_int_equal(s->nnotices, 1);
	stage_noticed(s, 0, true);
	stage_settle(s);
	assert_int_equal(stage_entry(s, serial)->state, ENTRY_DEFERRED); /* the removal is */
	s->spool->sys = (struct sys){ 0 };
	entry_flush_all(s->qmgr);
	stage_until(s, stage_empty);
	assert_int_equal(p->norders, 2);
	assert_int_equal(s->nnotices, 1);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_dead_agent_had_in_hand_is_tried_again),
		cmocka_unit_test(a_durable_result_that_was_not_told_counts),
		cmocka_unit_test(an_agent_that_only_lost_its_link_is_waited_for),
		cmocka_unit_test(a_message_that_kills_agents_is_put_off),
		cmocka_unit_test(a_ticket_that_led_nowhere_is_made_anew),
		cmocka_unit_test(a_recipient_that_is_not_reported_is_tried_again),
		cmocka_unit_test(an_agents_limit_is_kept_and_may_change),
		cmocka_unit_test(nothing_is_handed_out_before_the_living_have_spoken),
		cmocka_unit_test(a_flight_is_not_handed_out_until_it_has_landed),
		cmocka_unit_test(a_flight_whose_agent_dies_is_tried_again),
		cmocka_unit_test(a_living_agent_that_dies_without_a_word_is_no_obstacle),
		cmocka_unit_test(an_agent_that_is_replaced_holds_nothing_back),
		cmocka_unit_test(an_agent_that_comes_back_tells_what_it_has),
		cmocka_unit_test(one_process_does_not_take_all_links),
		cmocka_unit_test(what_is_done_and_could_not_be_removed_is_not_delivered_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
