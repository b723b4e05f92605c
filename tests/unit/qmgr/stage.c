/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "qmgr/inbound.h"
#include "qmgr/report.h"
#include "tests/unit/spool/helper.h"

enum { QUIET_ROUNDS = 40, DEADLINE_SECONDS = 20, NO_SUCH_PID = 0x3ffffff0 };

/* ---- links --------------------------------------------------------------------------------------------------- */

/* Two ends; *far is qmgr's. */
static struct ipc_link *pair(const char *role, int *far)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	*far = fds[1];
	return ipc_link_new(fds[0], role);
}

/* Gives qmgr a link to a process that is played here. */
static void give_link(struct stage *s, const char *role)
{
	struct ipc_link **mine = strcmp(role, "resolve") == 0 ? &s->resolver : &s->bounce;
	int far;
	ipc_link_destroy(mine);
	*mine = pair(role, &far);
	qmgr_linked(s->qmgr, role, ipc_link_new(far, "qmgr"));
}

static void host_connect(void *ctx, const char *role)
{
	struct stage *s = ctx;
	if (strcmp(role, "resolve") == 0)
		s->resolver_wanted = true;
	else if (s->no_bounce)
		qmgr_linked(s->qmgr, role, NULL);
	else
		give_link(s, role);
}

/* The answer to a request for a link, some time after it. */
static bool play_links(struct stage *s)
{
	if (!s->resolver_wanted || s->no_resolver)
		return false;
	s->resolver_wanted = false;
	give_link(s, "resolve");
	return true;
}

static void host_want(void *ctx, const char *service)
{
	struct stage *s = ctx;
	snprintf(s->wanted, sizeof s->wanted, "%s", service);
}

static bool host_has_service(void *ctx, const char *service)
{
	(void)ctx;
	return strcmp(service, "nosuch") != 0;
}

static void on_hint(void *ctx, const void *hint, size_t len)
{
	struct stage *s = ctx;
	if (s->qmgr)
		keeper_hint(s->qmgr->keeper, hint, len);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

struct stage *stage_open(const char *more)
{
	struct stage *s = test_calloc(1, sizeof *s);
	struct ost_why why = { "" };
	char *main_cf = mem_printf("compatibility_level = 3.6\nmyhostname = mx.example.com\nmydestination =\n"
				   "minimal_backoff_time = 1000s\nqmgr_message_recipient_minimum = 1\n%s",
				   more);
	fixture_open(&s->fix, main_cf, NULL);
	free(main_cf);
	s->path = scratch_spool();
	s->spool = spool_open(s->path, NULL, &why);
	assert_non_null(s->spool);
	s->writer = spool_writer_open(s->spool, on_hint, s, &why);
	assert_non_null(s->writer);
	s->base = event_base_new();
	s->ticker = event_new(s->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(s->ticker, &(const struct timeval){ .tv_usec = 2000 });
	stage_start_qmgr(s, "");
	return s;
}

void stage_start_qmgr(struct stage *s, const char *living_agents)
{
	struct ost_why why = { "" };
	const struct qmgr_host host = {
		.ctx = s, .connect = host_connect, .want = host_want, .has_service = host_has_service
	};
	s->qmgr = qmgr_new(s->fix.view, s->base, &host);
	if (!qmgr_open_spool(s->qmgr, s->spool, &why))
		fail_msg("%s", why.text);
	flight_expect(s->qmgr, living_agents);
	int fd = keeper_fd(s->qmgr->keeper);
	assert_true(fd >= 0);
	stage_settle(s);
}

void stage_stop_qmgr(struct stage *s)
{
	qmgr_destroy(&s->qmgr);
	ipc_link_destroy(&s->resolver);
	ipc_link_destroy(&s->bounce);
}

static void player_end(struct player *p)
{
	ipc_link_destroy(&p->link);
	spool_results_close(&p->results);
	for (size_t i = 0; i < p->norders; i++)
		free(p->orders[i].ticket);
	free(p->orders);
	*p = (struct player){ 0 };
}

void stage_close(struct stage *s)
{
	if (s->qmgr)
		stage_stop_qmgr(s);
	for (size_t i = 0; i < s->nagents; i++)
		player_end(&s->agents[i]);
	event_free(s->ticker);
	event_base_free(s->base);
	spool_writer_close(&s->writer);
	spool_close(&s->spool);
	scratch_remove(s->path);
	buf_free(&s->hints);
	fixture_close(&s->fix);
	test_free(s);
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

uint64_t stage_store_envelope(struct stage *s, struct spool_envelope *env)
{
	struct spool_draft *d = spool_draft_new(s->writer);
	static const char content[] = "Subject: test\n\nHello.\n";
	uint64_t serial = spool_draft_serial(d);
	spool_draft_write(d, content, sizeof content - 1);
	if (!env->arrival)
		env->arrival = clock_utc();
	env->size = sizeof content - 1;
	assert_int_equal(spool_draft_commit_wait(&d, env), SPOOL_STORED);
	return serial;
}

uint64_t stage_store(struct stage *s, const char *sender, ...)
{
	struct spool_rcpt rcpts[16] = { 0 };
	struct spool_envelope env = { .sender = sender, .rcpts = rcpts };
	va_list ap;
	va_start(ap, sender);
	for (const char *r; (r = va_arg(ap, const char *));)
		rcpts[env.nrcpts++].address = r;
	va_end(ap);
	return stage_store_envelope(s, &env);
}

uint64_t stage_store_many(struct stage *s, const char *sender, const char *format, unsigned n)
{
	struct arena *a = arena_new();
	struct spool_envelope env = { .sender = sender, .nrcpts = n };
	const char *u = strstr(format, "%u");
	assert_non_null(u);
	env.rcpts = arena_alloc(a, n * sizeof *env.rcpts);
	for (unsigned i = 0; i < n; i++)
		env.rcpts[i].address = arena_printf(a, "%.*s%u%s", (int)(u - format), format, i, u + 2);
	uint64_t serial = stage_store_envelope(s, &env);
	arena_destroy(&a);
	return serial;
}

/* ---- the resolver -------------------------------------------------------------------------------------------- */

/* "user@TRANSPORT.rest" goes to TRANSPORT with the whole domain as nexthop; two transports stand for
 * verdicts. */
static void answer_ask(struct buf *out, const struct tlv *group)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	uint64_t id = 0;
	char address[200] = "", transport[64] = "";
	while (tlv_next(&r, &f)) {
		if (f.type == F_ID)
			tlv_u64(&f, &id);
		else if (f.type == F_ADDRESS)
			snprintf(address, sizeof address, "%.*s", (int)f.len, f.data);
	}
	const char *domain = strrchr(address, '@');
	assert_non_null(domain);
	domain++;
	snprintf(transport, sizeof transport, "%.*s", (int)strcspn(domain, "."), domain);
	bool bad = strcmp(transport, "bad") == 0, later = strcmp(transport, "later") == 0;
	size_t mark = tlv_open(out, F_ANSWER, 0);
	tlv_put_u64(out, F_ID, id);
	tlv_put_u64(out, F_VERDICT, bad ? RESOLVE_BOUNCE : later ? RESOLVE_DEFER : RESOLVE_OK);
	tlv_put_str(out, F_TRANSPORT, transport);
	tlv_put_str(out, F_NEXTHOP, domain);
	tlv_put_str(out, F_ADDRESS, address);
	if (bad || later)
		tlv_put_str(out, F_DSN, bad ? "5.1.3" : "4.3.0");
	if (bad || later)
		tlv_put_str(out, F_REASON, bad ? "bad address syntax" : "address resolver failure");
	tlv_close(out, mark);
}

static bool play_resolver(struct stage *s)
{
	struct ipc_message m;
	bool moved = false;
	/* One message a round: its answers must find room, since nobody reads them meanwhile. */
	if (s->resolver && ipc_receive(s->resolver, &m, 0) == IPC_GOT) {
		struct tlv_reader r = tlv_read(m.body, m.len);
		struct tlv f;
		struct buf out = BUF_INIT;
		assert_int_equal(m.type, M_RESOLVE);
		while (tlv_next(&r, &f))
			if (f.type == F_ASK)
				answer_ask(&out, &f);
		ipc_send(s->resolver, M_RESOLVED, out.data, out.len);
		buf_free(&out);
		moved = true;
	}
	return moved;
}

/* ---- bounce -------------------------------------------------------------------------------------------------- */

static bool play_bounce(struct stage *s)
{
	struct ipc_message m;
	bool moved = false;
	while (s->bounce && ipc_receive(s->bounce, &m, 0) == IPC_GOT) {
		struct asked_notice *n = &s->notices[s->nnotices++];
		struct tlv_reader r = tlv_read(m.body, m.len);
		struct tlv f;
		assert_int_equal(m.type, M_NOTICE);
		assert_true(s->nnotices <= 50);
		*n = (struct asked_notice){ 0 };
		while (tlv_next(&r, &f)) {
			if (f.type == F_ID)
				tlv_u64(&f, &n->id);
			else if (f.type == F_SERIAL)
				tlv_u64(&f, &n->serial);
			else if (f.type == F_KIND)
				tlv_u64(&f, &n->kind);
			else if (f.type == F_ROUND)
				tlv_u64(&f, &n->round);
			n->nresults += f.type == F_RESULT;
		}
		moved = true;
	}
	return moved;
}

void stage_noticed(struct stage *s, size_t notice, bool good)
{
	struct buf b = BUF_INIT;
	tlv_put_u64(&b, F_ID, s->notices[notice].id);
	tlv_put_u64(&b, F_GOOD, good);
	ipc_send(s->bounce, M_NOTICED, b.data, b.len);
	buf_free(&b);
}

/* ---- agents -------------------------------------------------------------------------------------------------- */

struct player *stage_agent(struct stage *s, const char *service, unsigned limit, int pid,
			   const uint64_t *flights)
{
	struct player *p = &s->agents[s->nagents++];
	struct buf b = BUF_INIT;
	struct ost_why why;
	char detail[100];
	int far;
	assert_true(s->nagents <= 4);
	p->pid = pid ? pid : NO_SUCH_PID + (int)s->nagents;
	p->orders = mem_zalloc(ORDERS_MAX * sizeof *p->orders);
	p->results = spool_results_open(s->spool, &why);
	assert_non_null(p->results);
	p->link = pair("agent", &far);
	snprintf(detail, sizeof detail, "agent %s %d", service, p->pid);
	inbound_peer(s->qmgr, far, detail);
	tlv_put_str(&b, F_SERVICE, service);
	tlv_put_u64(&b, F_LIMIT, limit);
	for (; flights && *flights; flights++) {
		size_t mark = tlv_open(&b, F_FLIGHT, 0);
		tlv_put_u64(&b, F_SERIAL, *flights);
		tlv_put_u64(&b, F_RCPT, 0);
		tlv_close(&b, mark);
	}
	ipc_send(p->link, M_AGENT_HELLO, b.data, b.len);
	buf_free(&b);
	return p;
}

static void take_order_rcpt(struct order *o, const struct tlv *group)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	uint64_t n;
	while (tlv_next(&r, &f)) {
		if (f.type == F_RCPT && tlv_u64(&f, &n))
			o->rcpts[o->nrcpts++] = (uint32_t)n;
		else if (f.type == F_ADDRESS && !o->address[0])
			snprintf(o->address, sizeof o->address, "%.*s", (int)f.len, f.data);
	}
}

static void take_order(struct player *p, const struct ipc_message *m)
{
	struct order *o = &p->orders[p->norders++];
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	assert_true(p->norders <= ORDERS_MAX);
	assert_int_equal(m->type, M_DELIVER);
	while (tlv_next(&r, &f)) {
		if (f.type == F_ID)
			tlv_u64(&f, &o->id);
		else if (f.type == F_SERIAL)
			tlv_u64(&f, &o->serial);
		else if (f.type == F_NEXTHOP)
			snprintf(o->nexthop, sizeof o->nexthop, "%.*s", (int)f.len, f.data);
		else if (f.type == F_RCPT_GROUP)
			take_order_rcpt(o, &f);
		else if (f.type == F_TICKET)
			o->ticket = mem_dup(f.data, o->ticket_len = f.len);
	}
	if (player_open(p) > p->most)
		p->most = player_open(p);
}

size_t player_open(const struct player *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->norders; i++)
		n += !p->orders[i].done;
	return n;
}

struct order *player_order_for(struct player *p, uint64_t serial)
{
	for (size_t i = 0; i < p->norders; i++)
		if (!p->orders[i].done && p->orders[i].serial == serial)
			return &p->orders[i];
	return NULL;
}

/* Makes the results durable; the receipt goes to out. */
static void record(struct player *p, const struct order *o, enum rcpt_status status, struct buf *receipt)
{
	struct spool_result results[ORDER_RCPTS];
	struct ost_why why;
	for (uint32_t i = 0; i < o->nrcpts; i++)
		results[i] = (struct spool_result){ .serial = o->serial,
						    .rcpt = o->rcpts[i],
						    .status = status,
						    .when = clock_utc(),
						    .dsn = "2.0.0",
						    .reason = "done" };
	assert_true(spool_results_append(p->results, results, o->nrcpts, receipt, &why));
}

void player_record(struct player *p, const struct order *o, enum rcpt_status status)
{
	struct buf receipt = BUF_INIT;
	record(p, o, status, &receipt);
	buf_free(&receipt);
}

void player_report(struct player *p, struct order *o, enum rcpt_status status, const char *text,
		   unsigned flags)
{
	struct buf b = BUF_INIT, receipt = BUF_INIT;
	if (status != RCPT_DEFERRED)
		record(p, o, status, &receipt);
	tlv_put_u64(&b, F_ID, o->id);
	tlv_put_u64(&b, F_SERIAL, o->serial);
	if (receipt.len > 0)
		tlv_put(&b, F_RECEIPT, 0, receipt.data, receipt.len);
	for (uint32_t i = 0; i < o->nrcpts; i++) {
		size_t mark = tlv_open(&b, F_RESULT, 0);
		tlv_put_u64(&b, F_RCPT, o->rcpts[i]);
		tlv_put_u64(&b, F_STATUS, status);
		tlv_put_str(&b, F_DSN,
			    status == RCPT_DEFERRED ? "4.4.1"
			    : status == RCPT_FAILED ? "5.1.1"
						    : "2.0.0");
		tlv_put_str(&b, F_REASON, text);
		tlv_put_u64(&b, F_FLAGS, flags);
		tlv_close(&b, mark);
	}
	ipc_send(p->link, M_DELIVERED, b.data, b.len);
	o->done = true;
	buf_free(&b);
	buf_free(&receipt);
}

void player_gone(struct player *p, struct order *o)
{
	struct buf b = BUF_INIT;
	tlv_put_u64(&b, F_ID, o->id);
	tlv_put_u64(&b, F_SERIAL, o->serial);
	tlv_put_u64(&b, F_GONE, 1);
	ipc_send(p->link, M_DELIVERED, b.data, b.len);
	o->done = true;
	buf_free(&b);
}

void player_die(struct player *p)
{
	ipc_link_destroy(&p->link);
	spool_results_close(&p->results);
}

static bool play_agents(struct stage *s)
{
	struct ipc_message m;
	bool moved = false;
	for (size_t i = 0; i < s->nagents; i++) {
		while (s->agents[i].link && ipc_receive(s->agents[i].link, &m, 0) == IPC_GOT) {
			take_order(&s->agents[i], &m);
			moved = true;
		}
	}
	return moved;
}

/* ---- time goes on -------------------------------------------------------------------------------------------- */

/* One round of everybody. True: something moved. */
static bool round_of_all(struct stage *s)
{
	bool moved = false;
	if (s->qmgr) {
		keeper_dispatch(s->qmgr->keeper);
		event_base_loop(s->base, EVLOOP_ONCE);
		moved |= qmgr_turn(s->qmgr);
	}
	moved |= play_resolver(s);
	moved |= play_links(s);
	moved |= play_bounce(s);
	moved |= play_agents(s);
	return moved;
}

/* Does the keeper still owe an answer? */
static bool keeper_owes(const struct stage *s)
{
	for (const struct entry *e = s->qmgr ? s->qmgr->entries : NULL; e; e = e->hh.next) {
		if (e->asked > 0 || e->state == ENTRY_LOADING)
			return true;
	}
	return s->qmgr && !s->qmgr->scanned;
}

void stage_settle(struct stage *s)
{
	int64_t deadline = clock_mono() + DEADLINE_SECONDS * CLOCK_SECOND;
	for (int quiet = 0; quiet < QUIET_ROUNDS && clock_mono() < deadline;)
		quiet = round_of_all(s) || keeper_owes(s) ? 0 : quiet + 1;
}

void stage_until(struct stage *s, bool (*cond)(struct stage *))
{
	int64_t deadline = clock_mono() + DEADLINE_SECONDS * CLOCK_SECOND;
	while (!cond(s)) {
		if (clock_mono() > deadline)
			fail_msg("what was waited for did not happen");
		round_of_all(s);
	}
}

struct entry *stage_entry(struct stage *s, uint64_t serial)
{
	return entry_find(s->qmgr, serial);
}

bool stage_empty(struct stage *s)
{
	return HASH_COUNT(s->qmgr->entries) == 0;
}
