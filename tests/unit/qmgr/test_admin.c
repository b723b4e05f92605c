/* SPDX-License-Identifier: Apache-2.0
 * What commands ask of the queue: listing, flush, hold, release, requeue, delete; who may. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/protocol.h"
#include "qmgr/admin.h"
#include "qmgr/inbound.h"
#include "qmgr/message.h"
#include "spool/home.h"
#include "stage.h"

static struct ipc_link *command(struct stage *s)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	inbound_command(s->qmgr, fds[1]);
	return ipc_link_new(fds[0], "command");
}

struct reply {
	uint64_t good, count;
	char reason[100];
};

static struct reply read_reply(const struct ipc_message *m)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	struct reply out = { 0 };
	assert_int_equal(m->type, M_QUEUE_REPLY);
	while (tlv_next(&r, &f)) {
		if (f.type == F_GOOD)
			tlv_u64(&f, &out.good);
		else if (f.type == F_COUNT)
			tlv_u64(&f, &out.count);
		else if (f.type == F_REASON)
			snprintf(out.reason, sizeof out.reason, "%.*s", (int)f.len, f.data);
	}
	return out;
}

static struct reply ask(struct stage *s, struct ipc_link *c, unsigned type, const struct buf *body)
{
	struct ipc_message m;
	ipc_send(c, type, body->data, body->len);
	stage_settle(s);
	assert_int_equal(ipc_receive(c, &m, 0), IPC_GOT);
	return read_reply(&m);
}

/* postsuper: one operation on one message (0: all), in one queue (NULL: any). Answers how many it was done
 * for. */
static uint64_t change(struct stage *s, enum queue_op op, uint64_t serial, const char *queue)
{
	struct buf b = BUF_INIT;
	char id[QUEUE_ID_SIZE];
	struct ipc_link *c = command(s);
	tlv_put_u64(&b, F_OP, op);
	tlv_put_str(&b, F_QUEUE, queue);
	if (serial)
		tlv_put_str(&b, F_QUEUE_ID, queue_id_text(id, serial, false));
	struct reply r = ask(s, c, M_QUEUE_CHANGE, &b);
	assert_int_equal(r.good, 1);
	ipc_link_destroy(&c);
	buf_free(&b);
	return r.count;
}

static void a_held_message_is_left_alone_until_it_is_released(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	struct player *p = stage_agent(s, "smtp", 1, 0, NULL);
	uint64_t busy = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	stage_settle(s);
	uint64_t waiting = stage_store(s, "me@x.test", "b@smtp.one", NULL); /* active: the agent is full */
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	assert_int_equal(change(s, QUEUE_HOLD, waiting, NULL), 1);
	assert_int_equal(stage_entry(s, waiting)->state, ENTRY_HOLD);
	assert_int_equal(change(s, QUEUE_HOLD, waiting, NULL), 0); /* it is already */
	assert_int_equal(change(s, QUEUE_HOLD, busy, NULL), 1);    /* in an agent's hands: afterwards */
	player_report(p, &p->orders[0], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	assert_int_equal(stage_entry(s, busy)->state, ENTRY_HOLD);
	assert_int_equal(p->norders, 1);
	stage_stop_qmgr(s);
	stage_start_qmgr(s, ""); /* durable */
	assert_int_equal(stage_entry(s, waiting)->state, ENTRY_HOLD);
	assert_int_equal(stage_entry(s, busy)->state, ENTRY_HOLD);
	p = stage_agent(s, "smtp", 10, 0, NULL);
	assert_int_equal(change(s, QUEUE_RELEASE, 0, NULL), 2);
	stage_settle(s);
	assert_int_equal(p->norders, 2);
	stage_close(s);
}

/* Nothing new gets a place on this disk, and nothing becomes durable. */
static int broken_disk(void *ctx, const struct sys_call *call)
{
	(void)ctx;
	return call->step == SYS_CREATE || call->step == SYS_SYNC ? EIO : 0;
}

/* A change that must fail, with the disk broken as long as it takes. */
static void change_in_vain(struct stage *s, enum queue_op op, uint64_t serial)
{
	struct buf b = BUF_INIT;
	char id[QUEUE_ID_SIZE];
	struct ipc_link *c = command(s);
	tlv_put_u64(&b, F_OP, op);
	tlv_put_str(&b, F_QUEUE_ID, queue_id_text(id, serial, false));
	s->spool->sys = (struct sys){ broken_disk, NULL };
	struct reply r = ask(s, c, M_QUEUE_CHANGE, &b);
	s->spool->sys = (struct sys){ 0 };
	assert_int_equal(r.good, 0);
	assert_int_equal(r.count, 0);
	assert_string_equal(r.reason, "the change could not be made durable");
	ipc_link_destroy(&c);
	buf_free(&b);
}

static void a_change_that_is_not_durable_is_none(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	struct player *p = stage_agent(s, "smtp", 1, 0, NULL);
	struct spool_rcpt rcpt = { .address = "held@smtp.one" };
	struct spool_envelope env = { .sender = "me@x.test", .flags = MSG_HOLD, .rcpts = &rcpt, .nrcpts = 1 };
	fixture_log(&s->fix);
	uint64_t held = stage_store_envelope(s, &env);
	stage_settle(s);
	change_in_vain(s, QUEUE_RELEASE, held);
	assert_int_equal(stage_entry(s, held)->state, ENTRY_HOLD);
	assert_false(fixture_logged(&s->fix, "released from hold"));
	assert_int_equal(change(s, QUEUE_RELEASE, held, NULL), 1);
	assert_true(fixture_logged(&s->fix, "released from hold"));
	stage_settle(s);
	assert_int_equal(p->norders, 1);
	uint64_t waiting = stage_store(s, "me@x.test", "b@smtp.one", NULL); /* active: the agent is full */
	stage_settle(s);
	change_in_vain(s, QUEUE_HOLD, waiting);
	change_in_vain(s, QUEUE_HOLD, held); /* in the agent's hands */
	assert_int_equal(stage_entry(s, waiting)->state, ENTRY_ACTIVE);
	assert_false(fixture_logged(&s->fix, "placed on hold"));
	assert_int_equal(change(s, QUEUE_HOLD, waiting, NULL), 1);
	assert_true(fixture_logged(&s->fix, "placed on hold"));
	assert_int_equal(change(s, QUEUE_HOLD, held, NULL), 1);
	change_in_vain(s, QUEUE_RELEASE, held);
	player_report(p, &p->orders[0], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	assert_int_equal(stage_entry(s, held)->state, ENTRY_HOLD);
	stage_close(s);
}

static void a_deleted_message_is_gone_whatever_its_state(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	struct player *p = stage_agent(s, "smtp", 1, 0, NULL);
	uint64_t flying = stage_store(s, "me@x.test", "a@smtp.one", NULL);
	stage_settle(s);
	uint64_t deferred = stage_store(s, "me@x.test", "b@later.one", NULL);
	uint64_t queued = stage_store(s, "me@x.test", "c@smtp.one", NULL);
	stage_settle(s);
	assert_int_equal(change(s, QUEUE_DELETE, 0, "deferred"), 1);
	assert_null(stage_entry(s, deferred));
	assert_int_equal(change(s, QUEUE_DELETE, flying, NULL), 1);
	assert_int_equal(change(s, QUEUE_DELETE, queued, NULL), 1);
	assert_int_equal(change(s, QUEUE_DELETE, queued, NULL), 0);
	player_report(p, &p->orders[0], RCPT_DEFERRED, "later", 0); /* nobody cares any more */
	stage_until(s, stage_empty);
	stage_stop_qmgr(s);
	stage_start_qmgr(s, "");
	assert_true(stage_empty(s));
	stage_close(s);
}

static void requeued_and_flushed_messages_are_tried_at_once(void **state)
{
	struct stage *s = stage_open("");
	struct buf b = BUF_INIT;
	(void)state;
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_store(s, "me@x.test", "a@smtp.one", NULL);
	stage_store(s, "me@x.test", "b@smtp.two", NULL);
	stage_settle(s);
	for (size_t i = 0; i < 2; i++)
		player_report(p, &p->orders[i], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	struct ipc_link *c = command(s);
	tlv_put_str(&b, F_SITE, "smtp.two");
	struct reply r = ask(s, c, M_QUEUE_FLUSH, &b);
	assert_true(r.good && r.count == 1);
	assert_int_equal(p->norders, 3);
	assert_string_equal(p->orders[2].nexthop, "smtp.two");
	player_report(p, &p->orders[2], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	assert_int_equal(change(s, QUEUE_REQUEUE, p->orders[0].serial, NULL), 1);
	stage_settle(s);
	assert_int_equal(p->norders, 4);
	player_report(p, &p->orders[3], RCPT_DEFERRED, "later", 0);
	stage_settle(s);
	buf_reset(&b);
	r = ask(s, c, M_QUEUE_FLUSH, &b);
	assert_true(r.good && r.count == 2);
	assert_int_equal(p->norders, 6);
	ipc_link_destroy(&c);
	buf_free(&b);
	stage_close(s);
}

static void the_listing_has_everything_that_is_not_done(void **state)
{
	struct stage *s = stage_open("");
	struct ipc_message m;
	(void)state;
	struct player *p = stage_agent(s, "smtp", 10, 0, NULL);
	stage_store(s, "me@x.test", "a@smtp.one", "b@smtp.two", NULL);
	stage_settle(s);
	player_report(p, &p->orders[0], RCPT_SENT, "ok", 0);
	player_report(p, &p->orders[1], RCPT_DEFERRED, "mailbox is full", 0);
	stage_settle(s);
	uint64_t large = stage_store_many(s, "", "a-recipient-with-a-rather-long-name-%u@smtp.three", 3000);
	stage_settle(s);
	struct ipc_link *c = command(s);
	ipc_send(c, M_QUEUE_LIST, "", 0);
	size_t entries = 0, rcpts = 0, reasons = 0, tickets = 0;
	for (;;) {
		enum ipc_got got = ipc_receive(c, &m, 0);
		if (got == IPC_AGAIN) {
			stage_settle(s);
			continue;
		}
		if (got != IPC_GOT || m.type != M_QUEUE_ENTRY)
			break;
		struct tlv_reader r = tlv_read(m.body, m.len);
		struct tlv f;
		bool more = false;
		while (tlv_next(&r, &f)) {
			more |= f.type == F_COUNT;
			rcpts += f.type == F_RCPT_GROUP;
			tickets += f.type == F_TICKET;
			reasons += f.type == F_RCPT_GROUP && memmem(f.data, f.len, "mailbox is full", 15);
		}
		entries += !more;
	}
	assert_int_equal(m.type, M_QUEUE_END);
	assert_int_equal(entries, 2);
	assert_int_equal(rcpts, 3001);
	assert_int_equal(reasons, 1);
	assert_int_equal(tickets, 0);
	assert_non_null(stage_entry(s, large));
	ipc_link_destroy(&c);
	stage_close(s);
}

static void a_command_that_leaves_early_does_no_harm(void **state)
{
	struct stage *s = stage_open("");
	(void)state;
	for (int i = 0; i < 300; i++)
		stage_store(s, "me@x.test", "a@later.one", NULL);
	stage_settle(s);
	struct ipc_link *c = command(s);
	ipc_send(c, M_QUEUE_LIST, "", 0);
	ipc_link_destroy(&c);
	stage_settle(s);
	struct buf b = BUF_INIT;
	c = command(s);
	tlv_put_u64(&b, F_OP, QUEUE_DELETE);
	ipc_send(c, M_QUEUE_CHANGE, b.data, b.len);
	ipc_link_destroy(&c); /* what it asked for is done all the same */
	stage_until(s, stage_empty);
	buf_free(&b);
	stage_close(s);
}

static void nonsense_is_refused(void **state)
{
	struct stage *s = stage_open("");
	struct buf b = BUF_INIT;
	struct ipc_message m;
	(void)state;
	struct ipc_link *c = command(s);
	tlv_put_u64(&b, F_OP, 99);
	assert_int_equal(ask(s, c, M_QUEUE_CHANGE, &b).good, 0);
	buf_reset(&b);
	tlv_put_u64(&b, F_OP, QUEUE_DELETE);
	tlv_put_str(&b, F_QUEUE_ID, "../../etc/passwd");
	tlv_put_str(&b, F_QUEUE_ID, "");
	struct reply r = ask(s, c, M_QUEUE_CHANGE, &b);
	assert_true(r.good && r.count == 0);
	ipc_send(c, M_HINT, "x", 1); /* hints are not a command's to give */
	stage_settle(s);
	assert_int_equal(ipc_receive(c, &m, 0), IPC_CLOSED);
	ipc_link_destroy(&c);
	buf_free(&b);
	stage_close(s);
}

static void lists_of_users_are_read_in_order(void **state)
{
	(void)state;
	assert_true(admin_user_allowed("static:anyone", 12345));
	assert_true(admin_user_allowed("root", 0));
	assert_false(admin_user_allowed("root", 12345678));
	assert_false(admin_user_allowed("!root, static:anyone", 0));
	assert_true(admin_user_allowed("!root, static:anyone", 12345678));
	assert_false(admin_user_allowed("", 0));
	assert_false(admin_user_allowed("hash:/etc/users", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_held_message_is_left_alone_until_it_is_released),
		cmocka_unit_test(a_change_that_is_not_durable_is_none),
		cmocka_unit_test(a_deleted_message_is_gone_whatever_its_state),
		cmocka_unit_test(requeued_and_flushed_messages_are_tried_at_once),
		cmocka_unit_test(the_listing_has_everything_that_is_not_done),
		cmocka_unit_test(a_command_that_leaves_early_does_no_harm),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(lists_of_users_are_read_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
