/* SPDX-License-Identifier: Apache-2.0
 * Deliveries of an agent: real spool, real modules, and this test as qmgr at the other end of the link. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "deliver/clerk.h"
#include "deliver/crew.h"
#include "deliver/delivery.h"
#include "deliver/services.h"
#include "deliver/userjob.h"
#include "helper.h"
#include "ipc/protocol.h"
#include "module/module.h"
#include "net/servers.h"
#include "spool/home.h"
#include "tests/support/fixture.h"

static const char content[] = "Subject: x\n\nbody\nFrom here\n";

struct stage {
	struct fixture fix;
	struct agent agent;
	char *spool_path;
	struct spool_writer *writer;
	struct hint_catch hints;
	struct ipc_link *ours, *theirs; /* the agent's end, qmgr's end */
	struct arena *arena;
};

static void run_delivery(void *ctx, void *job)
{
	(void)ctx;
	delivery_run(job);
}

static void link_up(struct stage *s)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	s->ours = ipc_link_new(fds[0], "agent");
	s->theirs = ipc_link_new(fds[1], "qmgr");
	assert_true(flights_hello(s->agent.flights, s->ours, s->agent.service, 10));
	outbox_attach(s->agent.outbox, s->ours);
}

static struct stage *stage_new(const char *service, const char *transport, const char *main_cf)
{
	struct stage *s = calloc(1, sizeof *s);
	struct ost_why why = { .text = "" };
	struct agent *a = &s->agent;
	fixture_open(&s->fix, main_cf, NULL);
	s->spool_path = scratch_spool();
	s->arena = arena_new();
	pthread_mutex_init(&s->hints.lock, NULL);
	struct spool_options options = { .segment_size = 1024 * 1024, .segment_count = 4 };
	*a = (struct agent){ .magic = AGENT_MAGIC, .view = s->fix.view, .service = service, .transport = transport,
			     .limit = 10, .log_digits = 2, .call_timeout = 60 * CLOCK_SECOND, .log_original = true };
	a->spool = spool_open(s->spool_path, &options, &why);
	assert_non_null(a->spool);
	s->writer = spool_writer_open(a->spool, catch_hint, &s->hints, &why);
	a->results = spool_results_open(a->spool, &why);
	assert_non_null(a->results);
	services_register(a);
	const struct mod_provider *p = mod_find(OST_KIND_TRANSPORT, transport, &why);
	if (!p)
		fail_msg("%s", why.text);
	a->ops = (const struct ost_transport_ops *)p->ops;
	a->module = mod_open(p, s->fix.view, service, &why);
	if (!a->module)
		fail_msg("%s", why.text);
	a->outbox = outbox_new();
	a->flights = flights_new();
	a->clerk = clerk_new(a);
	for (int i = 0; i < AGENT_CREWS; i++)
		a->crews[i] = crew_new(a->limit, a->limit, run_delivery, a);
	if (a->ops->user_write)
		a->users = userjobs_new(a, mod_config(a->module), NULL);
	fixture_log(&s->fix);
	return s;
}

static void stage_free(struct stage *s)
{
	struct agent *a = &s->agent;
	for (int i = 0; i < AGENT_CREWS; i++)
		crew_destroy(&a->crews[i]);
	clerk_destroy(&a->clerk);
	spool_results_close(&a->results);
	userjobs_destroy(&a->users);
	mod_close(&a->module);
	outbox_attach(a->outbox, NULL);
	outbox_destroy(&a->outbox);
	flights_destroy(&a->flights);
	spool_writer_close(&s->writer);
	spool_close(&a->spool);
	net_servers_end();
	ipc_link_destroy(&s->ours);
	ipc_link_destroy(&s->theirs);
	buf_free(&s->hints.tickets);
	buf_free(&s->hints.hints);
	arena_destroy(&s->arena);
	scratch_remove(s->spool_path);
	fixture_close(&s->fix);
	free(s);
}

/* ---- qmgr's part ----------------------------------------------------------------------------------------------------------- */

/* Stores a message for so many recipients; its serial, and its ticket in *ticket. */
static uint64_t store(struct stage *s, size_t nrcpts, uint32_t notify, struct buf *ticket)
{
	struct spool_envelope *e = plain_envelope(s->arena, "sender@example.com", "x@example.org");
	e->rcpts = arena_alloc(s->arena, nrcpts * sizeof *e->rcpts);
	e->nrcpts = nrcpts;
	for (size_t i = 0; i < nrcpts; i++)
		e->rcpts[i] = (struct spool_rcpt){ .address = "x@example.org", .notify = notify };
	struct spool_draft *d = spool_draft_new(s->writer);
	uint64_t serial = spool_draft_serial(d);
	spool_draft_write(d, content, sizeof content - 1);
	assert_int_equal(spool_draft_commit_wait(&d, e), SPOOL_STORED);
	size_t size = s->hints.tickets.len;
	struct ticket last;
	assert_true(size >= sizeof last);
	memcpy(&last, s->hints.tickets.data + size - sizeof last, sizeof last);
	ticket_put(ticket, &last);
	return serial;
}

/* What the orders that follow say of their class. */
static enum retried retried;

static void put_order(struct buf *b, uint64_t id, uint64_t serial, const struct buf *ticket, const char *nexthop,
		      const char *const *rcpts, size_t n)
{
	tlv_put_u64(b, F_ID, id);
	tlv_put_u64(b, F_SERIAL, serial);
	tlv_put(b, F_TICKET, 0, ticket->data, ticket->len);
	tlv_put_str(b, F_NEXTHOP, nexthop);
	tlv_put_str(b, F_QUEUE_ID, "QID");
	tlv_put_u64(b, F_ACTIVE_SINCE, (uint64_t)clock_utc());
	if (retried != RETRIED_NOT)
		tlv_put_u64(b, F_RETRIED, retried);
	for (size_t i = 0; i < n; i++) {
		size_t mark = tlv_open(b, F_RCPT_GROUP, 0);
		tlv_put_u64(b, F_RCPT, i);
		tlv_put_str(b, F_ADDRESS, rcpts[i]);
		tlv_close(b, mark);
	}
}

/* Orders a delivery and lets it run. */
static void order(struct stage *s, uint64_t id, uint64_t serial, const struct buf *ticket, const char *nexthop,
		  const char *const *rcpts, size_t n)
{
	struct buf b = BUF_INIT;
	struct ost_why why;
	put_order(&b, id, serial, ticket, nexthop, rcpts, n);
	struct delivery *d = delivery_parse(&s->agent, b.data, b.len, &why);
	assert_non_null(d);
	flights_add(s->agent.flights, d);
	crew_add(s->agent.crews[d->crew], d);
	buf_free(&b);
}

struct answer {
	uint64_t id, serial, gone;
	bool receipt;
	size_t n;
	uint64_t rcpt[8], status[8];
	char dsn[8][16], reason[8][256];
};

static void read_result(struct answer *a, const struct tlv *group)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	size_t i = a->n++;
	assert_true(i < 8);
	while (tlv_next(&r, &f)) {
		if (f.type == F_RCPT)
			assert_true(tlv_u64(&f, &a->rcpt[i]));
		else if (f.type == F_STATUS)
			assert_true(tlv_u64(&f, &a->status[i]));
		else if (f.type == F_DSN)
			snprintf(a->dsn[i], sizeof a->dsn[i], "%.*s", (int)f.len, f.data);
		else if (f.type == F_REASON)
			snprintf(a->reason[i], sizeof a->reason[i], "%.*s", (int)f.len, f.data);
	}
}

/* The next M_DELIVERED; hellos are passed over. */
static bool take_answer(struct stage *s, struct answer *a, int64_t wait)
{
	struct ipc_message m;
	do
		if (ipc_receive(s->theirs, &m, clock_mono() + wait) != IPC_GOT)
			return false;
	while (m.type == M_AGENT_HELLO);
	assert_int_equal(m.type, M_DELIVERED);
	*a = (struct answer){ .id = 0 };
	struct tlv_reader r = tlv_read(m.body, m.len);
	struct tlv f;
	while (tlv_next(&r, &f)) {
		if (f.type == F_ID)
			assert_true(tlv_u64(&f, &a->id));
		else if (f.type == F_SERIAL)
			assert_true(tlv_u64(&f, &a->serial));
		else if (f.type == F_GONE)
			assert_true(tlv_u64(&f, &a->gone));
		else if (f.type == F_RECEIPT)
			a->receipt = f.len > 0;
		else if (f.type == F_RESULT)
			read_result(a, &f);
	}
	return true;
}

/* ---- tests ----------------------------------------------------------------------------------------------------------------- */

static const char *const three[] = { "a@example.org", "b@example.org", "c@example.org" };

static void sent_is_durable_and_told(void **state)
{
	(void)state;
	struct stage *s = stage_new("discard", "discard", "");
	struct buf ticket = BUF_INIT;
	struct answer a;
	link_up(s);
	uint64_t serial = store(s, 3, 0, &ticket);
	order(s, 77, serial, &ticket, "nobody reads it", three, 3);
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	assert_int_equal(a.id, 77);
	assert_int_equal(a.serial, serial);
	assert_int_equal(a.gone, 0);
	assert_true(a.receipt);
	assert_int_equal(a.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(a.rcpt[i], i);
		assert_int_equal(a.status[i], RCPT_SENT);
		assert_string_equal(a.dsn[i], "2.0.0");
		assert_string_equal(a.reason[i], "nobody reads it");
	}
	assert_int_equal(flights_count(s->agent.flights), 0);
	assert_true(fixture_logged(&s->fix, "QID: to=<b@example.org>, orig_to=<x@example.org>, relay=none, delay="));
	assert_true(fixture_logged(&s->fix, ", dsn=2.0.0, status=sent (nobody reads it)"));
	buf_free(&ticket);
	stage_free(s);
}

/* So many writes of records fail. */
static int failing_writes(void *ctx, const struct sys_call *c)
{
	int *left = ctx;
	if (c->step != SYS_WRITE || c->at < 4096 || *left == 0)
		return 0;
	--*left;
	return EIO;
}

static void a_result_that_cannot_be_written_goes_elsewhere(void **state)
{
	(void)state;
	struct stage *s = stage_new("discard", "discard", "");
	struct buf ticket = BUF_INIT;
	struct answer a;
	int left = 1;
	link_up(s);
	uint64_t serial = store(s, 3, 0, &ticket);
	s->agent.spool->sys = (struct sys){ failing_writes, &left };
	order(s, 77, serial, &ticket, "nobody reads it", three, 3);
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	s->agent.spool->sys = (struct sys){ 0 };
	assert_int_equal(left, 0);
	assert_true(a.receipt);
	assert_int_equal(a.n, 3);
	assert_int_equal(a.status[2], RCPT_SENT);
	buf_free(&ticket);
	stage_free(s);
}

static void success_that_is_to_be_told_is_owed(void **state)
{
	(void)state;
	struct stage *s = stage_new("discard", "discard", "");
	struct buf ticket = BUF_INIT;
	struct answer a;
	link_up(s);
	uint64_t serial = store(s, 1, NOTIFY_SUCCESS | NOTIFY_FAILURE, &ticket);
	order(s, 1, serial, &ticket, "", three, 1);
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	assert_int_equal(a.status[0], RCPT_SENT_OWED);
	buf_free(&ticket);
	stage_free(s);
}

static void failed_and_deferred(void **state)
{
	(void)state;
	static const struct {
		const char *service, *main_cf, *nexthop, *dsn, *reason;
		enum rcpt_status status;
	} rows[] = {
		{ "error", "", "5.1.2 gone\taway", "5.1.2", "gone?away", RCPT_FAILED },
		{ "error", "", "", "5.0.0", "mail is not deliverable", RCPT_FAILED },
		{ "error", "", "4.1.1.1 odd", "5.0.0", "4.1.1.1 odd", RCPT_FAILED },
		{ "retry", "", "5.1.2 later", "4.1.2", "later", RCPT_DEFERRED },
		{ "error", "soft_bounce = yes\n", "5.1.2 gone", "4.1.2", "gone", RCPT_DEFERRED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct stage *s = stage_new(rows[i].service, "error", rows[i].main_cf);
		struct buf ticket = BUF_INIT;
		struct answer a;
		s->agent.soft_bounce = *rows[i].main_cf != '\0';
		link_up(s);
		uint64_t serial = store(s, 1, 0, &ticket);
		order(s, 1, serial, &ticket, rows[i].nexthop, three, 1);
		assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
		assert_int_equal(a.status[0], rows[i].status);
		assert_string_equal(a.dsn[0], rows[i].dsn);
		assert_string_equal(a.reason[0], rows[i].reason);
		assert_int_equal(a.receipt, rows[i].status != RCPT_DEFERRED);
		buf_free(&ticket);
		stage_free(s);
	}
}

static void a_ticket_that_leads_nowhere(void **state)
{
	(void)state;
	struct stage *s = stage_new("discard", "discard", "");
	struct buf ticket = BUF_INIT;
	struct answer a;
	link_up(s);
	uint64_t serial = store(s, 1, 0, &ticket);
	order(s, 5, serial + 1, &ticket, "", three, 1); /* another serial: the envelope does not fit the order */
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	struct ticket t;
	assert_true(ticket_get(ticket.data, ticket.len, &t));
	memset(&t.salt, 7, sizeof t.salt); /* the segment has been written anew since */
	buf_reset(&ticket);
	ticket_put(&ticket, &t);
	order(s, 6, serial, &ticket, "", three, 1);
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	assert_int_equal(a.id, 6);
	assert_int_equal(a.gone, 1);
	assert_int_equal(a.n, 0);
	buf_free(&ticket);
	stage_free(s);
}

/* ---- several in one call --------------------------------------------------------------------------------------------------- */

struct line { /* what the transport below waits for */
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	bool inside, all_queued, first_told;
};
static struct line line = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void line_set(bool *flag)
{
	pthread_mutex_lock(&line.lock);
	*flag = true;
	pthread_cond_broadcast(&line.changed);
	pthread_mutex_unlock(&line.lock);
}

static void line_wait(const bool *flag)
{
	pthread_mutex_lock(&line.lock);
	while (!*flag)
		pthread_cond_wait(&line.changed, &line.lock);
	pthread_mutex_unlock(&line.lock);
}

/* Takes along all that wait; the first is over before the others, and the last gets no report. */
static void deliver_in_line(void *self, struct ost_delivery *d)
{
	const struct ost_report sent = { .size = sizeof sent, .status = OST_SENT, .dsn = "2.0.0", .text = "in line" };
	(void)self;
	line_set(&line.inside);
	line_wait(&line.all_queued);
	struct ost_delivery *second = mod_host.next(d), *third = mod_host.next(d);
	assert_true(second && third && !mod_host.next(second));
	mod_host.report(d, 0, &sent);
	mod_host.finish(d);
	line_wait(&line.first_told);
	mod_host.report(second, 0, &sent);
}

static void several_in_one_call(void **state)
{
	(void)state;
	static const struct ost_transport_ops in_line = { .ops = { .size = sizeof in_line }, .deliver = deliver_in_line };
	struct stage *s = stage_new("discard", "discard", "");
	struct buf tickets[4] = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT };
	struct answer a;
	s->agent.ops = &in_line;
	crew_destroy(&s->agent.crews[CREW_FRESH]);
	s->agent.crews[CREW_FRESH] = crew_new(1, 1, run_delivery, &s->agent);
	link_up(s);
	for (uint64_t i = 0; i < 4; i++) { /* 2 names a message that is not there, and is passed over */
		uint64_t serial = store(s, 1, 0, &tickets[i]);
		order(s, i + 1, i == 2 ? serial + 100 : serial, &tickets[i], "there", three, 1);
	}
	line_wait(&line.inside);
	line_set(&line.all_queued);
	for (int i = 0; i < 2; i++) { /* in whichever order */
		assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
		assert_true(a.id == 1 || a.id == 3);
		assert_int_equal(a.status[0], a.id == 1 ? RCPT_SENT : RCPT_DEFERRED);
	}
	assert_int_equal(flights_count(s->agent.flights), 2);
	line_set(&line.first_told);
	for (int i = 0; i < 2; i++) {
		assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
		assert_true(a.id == 2 || a.id == 4);
		assert_int_equal(a.status[0], a.id == 2 ? RCPT_SENT : RCPT_DEFERRED);
		assert_string_equal(a.reason[0], a.id == 2 ? "in line" : "the transport gave no answer for this recipient");
	}
	for (size_t i = 0; i < 4; i++)
		buf_free(&tickets[i]);
	stage_free(s);
}

/* ---- mail that is tried again ---------------------------------------------------------------------------------------------- */

/* "slow" is over when the line goes on. */
static void deliver_or_wait(void *self, struct ost_delivery *d)
{
	const struct ost_report sent = { .size = sizeof sent, .status = OST_SENT, .dsn = "2.0.0", .text = "at last" };
	(void)self;
	if (strcmp(d->nexthop, "slow") == 0)
		line_wait(&line.all_queued);
	mod_host.report(d, 0, &sent);
}

static void new_mail_does_not_wait_for_a_flush(void **state)
{
	(void)state;
	static const struct ost_transport_ops waits = { .ops = { .size = sizeof waits }, .deliver = deliver_or_wait };
	struct stage *s = stage_new("discard", "discard", "");
	const uint64_t many = 2 * s->agent.limit; /* no thread of theirs is idle */
	struct buf tickets[21] = { 0 };
	struct answer a;
	line.all_queued = false;
	s->agent.ops = &waits;
	link_up(s);
	assert_true(many < 21);
	for (uint64_t i = 0; i <= many; i++) {
		uint64_t serial = store(s, 1, 0, &tickets[i]);
		retried = i == many ? RETRIED_NOT : i % 2 ? RETRIED : RETRIED_BESIDE;
		order(s, i + 1, serial, &tickets[i], i == many ? "quick" : "slow", three, 1);
	}
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	assert_int_equal(a.id, many + 1);
	assert_int_equal(flights_count(s->agent.flights), many);
	line_set(&line.all_queued);
	for (uint64_t i = 0; i < many; i++) { /* patient or not, all are recorded and told */
		assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
		assert_true(a.receipt);
		assert_int_equal(a.status[0], RCPT_SENT);
	}
	assert_int_equal(flights_count(s->agent.flights), 0);
	for (uint64_t i = 0; i <= many; i++)
		buf_free(&tickets[i]);
	stage_free(s);
}

static void orders_that_make_no_sense(void **state)
{
	(void)state;
	struct stage *s = stage_new("discard", "discard", "");
	struct buf ticket = BUF_INIT, b = BUF_INIT;
	struct ost_why why;
	struct answer a;
	link_up(s);
	uint64_t serial = store(s, 1, 0, &ticket);
	put_order(&b, 1, serial, &ticket, "", three, 1);
	for (size_t len = 0; len < b.len; len++) { /* cut anywhere: refused, or an order without what is missing */
		struct delivery *d = delivery_parse(&s->agent, b.data, len, &why);
		if (d)
			assert_true(d->pub.nrcpts > 0 && d->serial == serial && d->pub.queue_id);
		delivery_destroy(&d);
	}
	order(s, 9, serial, &ticket, "", three, 3); /* recipients that the message does not have */
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	assert_int_equal(a.n, 3);
	assert_int_equal(a.status[2], RCPT_DEFERRED);
	buf_free(&b);
	buf_free(&ticket);
	stage_free(s);
}

/* ---- what a new qmgr is told ----------------------------------------------------------------------------------------------- */

static size_t count_hello(struct stage *s, size_t *flights, size_t *rcpts)
{
	struct ipc_message m;
	size_t messages = 0;
	bool more = true;
	*flights = *rcpts = 0;
	while (more) {
		assert_int_equal(ipc_receive(s->theirs, &m, clock_mono() + CLOCK_SECOND), IPC_GOT);
		assert_int_equal(m.type, M_AGENT_HELLO);
		assert_true(m.len <= IPC_BODY_MAX);
		messages++;
		more = false;
		struct tlv_reader r = tlv_read(m.body, m.len);
		for (struct tlv f; tlv_next(&r, &f);) {
			more |= f.type == F_COUNT;
			*flights += f.type == F_FLIGHT;
			struct tlv_reader in = tlv_read(f.data, f.len);
			for (struct tlv g; f.type == F_FLIGHT && tlv_next(&in, &g);)
				*rcpts += g.type == F_RCPT;
		}
		assert_false(r.bad);
	}
	return messages;
}

static void all_flights_are_listed(void **state)
{
	(void)state;
	enum { FLIGHTS = 60, RCPTS = 200 };
	struct stage *s = stage_new("discard", "discard", "");
	struct buf b = BUF_INIT, ticket = BUF_INIT;
	const char *rcpts[RCPTS];
	struct delivery *list[FLIGHTS];
	struct ost_why why;
	size_t flights, n;
	for (size_t i = 0; i < RCPTS; i++)
		rcpts[i] = "r@example.org";
	for (uint64_t i = 0; i < FLIGHTS; i++) {
		buf_reset(&b);
		put_order(&b, i, i + 1, &ticket, "", rcpts, RCPTS);
		list[i] = delivery_parse(&s->agent, b.data, b.len, &why);
		assert_non_null(list[i]);
		flights_add(s->agent.flights, list[i]);
	}
	link_up(s);
	assert_true(count_hello(s, &flights, &n) > 1);
	assert_int_equal(flights, FLIGHTS);
	assert_int_equal(n, FLIGHTS * RCPTS);
	for (size_t i = 0; i < FLIGHTS; i++) {
		flights_remove(s->agent.flights, list[i]);
		delivery_destroy(&list[i]);
	}
	buf_free(&b);
	stage_free(s);
}

static void many_at_once_and_a_new_qmgr_meanwhile(void **state)
{
	(void)state;
	enum { N = 600 };
	struct stage *s = stage_new("discard", "discard", "");
	struct buf ticket = BUF_INIT;
	struct answer a;
	unsigned seen[N] = { 0 };
	size_t got = 0;
	uint64_t serial = store(s, 1, 0, &ticket);
	link_up(s);
	for (uint64_t i = 0; i < N / 2; i++)
		order(s, i, serial, &ticket, "", three, 1);
	while (got < N / 4 && take_answer(s, &a, 5 * CLOCK_SECOND)) {
		seen[a.id]++;
		got++;
	}
	outbox_attach(s->agent.outbox, NULL); /* qmgr is gone: reports wait */
	while (take_answer(s, &a, 20000)) {
		seen[a.id]++;
		got++;
	}
	ipc_link_destroy(&s->ours);
	ipc_link_destroy(&s->theirs);
	for (uint64_t i = N / 2; i < N; i++)
		order(s, i, serial, &ticket, "", three, 1);
	link_up(s);
	while (got < N && take_answer(s, &a, 5 * CLOCK_SECOND)) {
		seen[a.id]++;
		got++;
	}
	for (size_t i = 0; i < N; i++)
		assert_int_equal(seen[i], 1);
	buf_free(&ticket);
	stage_free(s);
}

/* ---- mailboxes ------------------------------------------------------------------------------------------------------------- */

/* The only file of a folder, its content to be freed. */
static char *only_file(const char *folder)
{
	char name[300] = "";
	size_t len;
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.') {
			assert_string_equal(name, "");
			snprintf(name, sizeof name, "%s", e->d_name);
		}
	closedir(dir);
	char *path = mem_printf("%s/%s", folder, name);
	char *text = io_read_file(AT_FDCWD, path, 65536, &len);
	free(path);
	assert_non_null(text);
	return text;
}

static void mailboxes_of_the_own_user(void **state)
{
	(void)state;
	if (geteuid() == 0) {
		print_message("# skip: root has no mailboxes\n");
		skip();
	}
	char base[] = "/tmp/ostler-vmail-XXXXXX";
	assert_non_null(mkdtemp(base));
	char *main_cf = mem_printf("virtual_mailbox_base = %s\nvirtual_minimum_uid = 1\n"
				   "virtual_mailbox_maps = inline:{a@example.org=deep/a/, b@example.org=b}\n"
				   "virtual_uid_maps = static:%u\nvirtual_gid_maps = static:%u\n",
				   base, geteuid(), getegid());
	struct stage *s = stage_new("virtual", "virtual", main_cf);
	struct buf ticket = BUF_INIT;
	struct answer a;
	link_up(s);
	uint64_t serial = store(s, 3, 0, &ticket);
	order(s, 1, serial, &ticket, "example.org", three, 3);
	assert_true(take_answer(s, &a, 5 * CLOCK_SECOND));
	for (size_t i = 0; i < a.n; i++) {
		const char *want = a.rcpt[i] == 0 ? "delivered to maildir" :
				   a.rcpt[i] == 1 ? "delivered to mailbox" :
						    "unknown user: \"c@example.org\"";
		assert_string_equal(a.reason[i], want);
		assert_int_equal(a.status[i], a.rcpt[i] == 2 ? RCPT_FAILED : RCPT_SENT);
	}
	char *path = mem_printf("%s/deep/a/new", base), *text = only_file(path);
	assert_string_equal(text, "Return-Path: <sender@example.com>\nX-Original-To: x@example.org\n"
				  "Delivered-To: a@example.org\nSubject: x\n\nbody\nFrom here\n");
	free(path);
	free(text);
	path = mem_printf("%s/b", base);
	size_t len;
	text = io_read_file(AT_FDCWD, path, 65536, &len);
	assert_memory_equal(text, "From sender@example.com  ", 25);
	assert_non_null(strstr(text, "\nDelivered-To: b@example.org\nSubject: x\n\nbody\n>From here\n\n"));
	free(path);
	free(text);
	buf_free(&ticket);
	stage_free(s);
	scratch_remove(mem_strdup(base));
	free(main_cf);
}

int main(void)
{
	/* Mailboxes are written rootless here: root would be refused. */
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sent_is_durable_and_told),
		cmocka_unit_test(a_result_that_cannot_be_written_goes_elsewhere),
		cmocka_unit_test(success_that_is_to_be_told_is_owed),
		cmocka_unit_test(failed_and_deferred),
		cmocka_unit_test(a_ticket_that_leads_nowhere),
		cmocka_unit_test(several_in_one_call),
		cmocka_unit_test(new_mail_does_not_wait_for_a_flush),
		cmocka_unit_test(orders_that_make_no_sense),
		cmocka_unit_test(all_flights_are_listed),
		cmocka_unit_test(many_at_once_and_a_new_qmgr_meanwhile),
		cmocka_unit_test(mailboxes_of_the_own_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
