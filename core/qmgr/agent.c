/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "ostler/transport.h"
#include "qmgr/job.h"
#include "qmgr/qmgr.h"
#include "qmgr/report.h"

#define AGENT_MAGIC 0x93670006u
enum {
	DELIVER_BODY_MAX = 48 * 1024, /* recipients beyond it go with the next delivery */
	SETBACKS_MAX = 2,             /* how often a recipient is tried again at once after a setback */
	LIMIT_MAX = 100000,
};

/* Deliveries of an agent that is gone, until it is known what became of them. */
struct loss {
	struct answer answer; /* of keeper_reread(); first member */
	int pid;
	bool asked;
	struct delivery_list deliveries;
	TAILQ_ENTRY(loss) link;
};

/* ---- handing out --------------------------------------------------------------------------------------------- */

/* Writes M_DELIVER's recipients; those that do not fit are cut off the list and returned. */
static struct rcpt *put_recipients(struct buf *b, struct rcpt *list)
{
	struct rcpt *last = NULL;
	for (struct rcpt *r = list; r; last = r, r = r->next) {
		if (last && b->len > DELIVER_BODY_MAX) {
			last->next = NULL;
			return r;
		}
		size_t mark = tlv_open(b, F_RCPT_GROUP, 0);
		tlv_put_u64(b, F_RCPT, r->index);
		tlv_put_str(b, F_ADDRESS, r->address);
		tlv_close(b, mark);
	}
	return NULL;
}

/* Makes the order in q->scratch. False: the keeper does not know where the message is. */
static bool put_order(struct qmgr *q, const struct delivery *d)
{
	struct buf *b = &q->scratch;
	const struct message *m = d->message;
	struct buf ticket = BUF_INIT;
	keeper_ticket(q->keeper, m->serial, &ticket);
	buf_reset(b);
	tlv_put_u64(b, F_ID, d->number);
	tlv_put_u64(b, F_SERIAL, m->serial);
	tlv_put(b, F_TICKET, 0, ticket.data, ticket.len);
	tlv_put_str(b, F_NEXTHOP, d->destination->nexthop);
	tlv_put_str(b, F_QUEUE_ID, m->queue_id);
	tlv_put_u64(b, F_ACTIVE_SINCE, (uint64_t)m->active_since);
	if (m->class == MAIL_RETRIED)
		tlv_put_u64(b, F_RETRIED, pace_is_fresh(&q->pace, clock_mono()) ? RETRIED_BESIDE : RETRIED);
	bool known = ticket.len > 0;
	buf_free(&ticket);
	return known;
}

static void delivery_end(struct qmgr *q, struct delivery *d);

void agent_deliver(struct qmgr *q, struct agent *a, struct destination *to, enum mail_class class)
{
	struct message *m;
	uint32_t count;
	struct rcpt *list = job_take(q, to, class, to->transport->settings.recipient_limit, &m, &count);
	struct delivery *d = MEM_NEW(struct delivery);
	CHECK_MAGIC(a, AGENT_MAGIC);
	*d = (struct delivery){ .message = m, .destination = to, .agent = a, .rcpts = list };
	d->number = slots_add(&q->deliveries, d);
	TAILQ_INSERT_TAIL(&a->deliveries, d, link);
	a->busy++;
	to->busy++;
	to->transport->flying[class]++;
	q->transports.flying[class]++;
	m->flying++;
	bool known = put_order(q, d);
	struct rcpt *rest = put_recipients(&q->scratch, list);
	if (rest)
		job_again(q, m, to, rest);
	if (known) {
		peer_send(a->peer, M_DELIVER, q->scratch.data, q->scratch.len);
	} else {
		for (struct rcpt *r = list; r; r = r->next)
			rcpt_finish_ours(q, m, r,
					 &(struct outcome){ .status = RCPT_DEFERRED,
							    .dsn = "4.3.0",
							    .reason = "message is not at hand" });
		delivery_end(q, d);
		return;
	}
	destination_place(q, to);
}

/* The delivery is over: whoever was counted by it is not any more. Its recipients are final or in line again.
 */
static void delivery_end(struct qmgr *q, struct delivery *d)
{
	struct message *m = d->message;
	struct destination *to = d->destination;
	slots_take(&q->deliveries, d->number);
	if (d->agent) {
		TAILQ_REMOVE(&d->agent->deliveries, d, link);
		d->agent->busy--;
	}
	to->busy--;
	to->transport->flying[m->class]--;
	q->transports.flying[m->class]--;
	m->flying--;
	destination_pause(q, to);
	destination_place(q, to);
	transport_touch(q, to->transport);
	free(d);
	message_check(q, m);
}

/* ---- results ------------------------------------------------------------------------------------------------- */

/* What a report says about the destination: the last word of a delivery's recipients. */
struct verdict {
	bool worked, failed;
	char dsn[12], reason[400];
};

static void take_result(struct delivery *d, const struct report *r, struct verdict *v)
{
	struct rcpt *rcpt = message_rcpt(d->message, (uint32_t)r->rcpt);
	if (!rcpt || rcpt->state != R_FLIGHT)
		return;
	enum rcpt_status status = (enum rcpt_status)r->status;
	if (status != RCPT_SENT && status != RCPT_SENT_OWED && status != RCPT_FAILED)
		status = RCPT_DEFERRED;
	if (status == RCPT_DEFERRED && r->flags & OST_REPORT_DESTINATION) {
		v->failed = true;
		snprintf(v->dsn, sizeof v->dsn, "%s", r->dsn ? r->dsn : "");
		snprintf(v->reason, sizeof v->reason, "%s", r->reason ? r->reason : "");
	} else {
		v->worked = true;
	}
	rcpt_finish(d->message, rcpt,
		    &(struct outcome){ .status = status,
				       .dsn = r->dsn,
				       .reason = r->reason,
				       .mta = r->mta,
				       .diagnostic = r->diagnostic });
}

/* Recipients that got no result: again at once, or later after too many setbacks. */
static void try_again(struct qmgr *q, struct delivery *d, const char *what)
{
	struct message *m = d->message;
	struct rcpt *again = NULL, **tail = &again;
	if (m->stage == STAGE_GONE)
		return;
	bool held = m->entry->flags & ENTRY_HELD;
	for (struct rcpt *r = d->rcpts, *next; r; r = next) {
		next = r->next;
		if (r->state != R_FLIGHT)
			continue;
		r->tried = true;
		if (++r->setbacks > SETBACKS_MAX || held) {
			rcpt_finish_ours(
				q, m, r,
				&(struct outcome){ .status = RCPT_DEFERRED, .dsn = "4.3.0", .reason = what });
			continue;
		}
		*tail = r;
		tail = &r->next;
	}
	*tail = NULL;
	d->rcpts = NULL;
	if (again)
		job_again(q, m, d->destination, again);
}

struct delivered {
	uint64_t id, serial;
	struct tlv receipt;
	bool gone, more;
};

static void read_delivered(const struct ipc_message *msg, struct delivered *out)
{
	struct tlv_reader r = tlv_read(msg->body, msg->len);
	struct tlv f;
	uint64_t n;
	*out = (struct delivered){ 0 };
	while (tlv_next(&r, &f)) {
		switch (f.type) {
		case F_ID:
			tlv_u64(&f, &out->id);
			break;
		case F_SERIAL:
			tlv_u64(&f, &out->serial);
			break;
		case F_RECEIPT:
			out->receipt = f;
			break;
		case F_GONE:
			out->gone = tlv_u64(&f, &n) && n;
			break;
		case F_COUNT:
			out->more = true;
			break;
		default:
			break;
		}
	}
}

static void take_results(struct delivery *d, const struct ipc_message *msg, struct verdict *v)
{
	struct tlv_reader r = tlv_read(msg->body, msg->len);
	struct tlv f;
	struct report report;
	while (tlv_next(&r, &f))
		if (f.type == F_RESULT && report_read(&report, &f))
			take_result(d, &report, v);
}

static void on_delivered(struct qmgr *q, struct agent *a, const struct ipc_message *msg)
{
	struct delivered in;
	struct verdict v = { 0 };
	read_delivered(msg, &in);
	if (in.receipt.len > 0)
		keeper_receipt(q->keeper, in.serial, in.receipt.data, in.receipt.len);
	struct delivery *d = slots_find(&q->deliveries, in.id);
	if (!d || d->agent != a || d->message->serial != in.serial) {
		flight_landed(q, a->pid, in.serial, in.more);
		return;
	}
	message_pin(d->message);
	struct message *m = d->message;
	take_results(d, msg, &v);
	if (!in.more) {
		if (in.gone)
			try_again(q, d, "the message has moved in the spool");
		else
			try_again(q, d, "the delivery agent gave no result");
		if (v.failed && !v.worked)
			destination_failed(q, d->destination, v.dsn, v.reason);
		else if (v.worked)
			destination_worked(q, d->destination);
		delivery_end(q, d);
	}
	message_unpin(q, m);
}

/* ---- agents come and go -------------------------------------------------------------------------------------- */

static void on_message(struct qmgr *q, struct peer *p, const struct ipc_message *msg)
{
	if (msg->type == M_DELIVERED)
		on_delivered(q, p->ctx, msg);
	else if (msg->type == M_AGENT_HELLO)
		agent_hello(q, p, msg);
}

static void loss_resolved(struct qmgr *, struct answer *);

/* The process is dead, so its result log is complete, or it has said what it has in hand: reads it. */
static void loss_ask(struct qmgr *q, struct loss *l)
{
	if (l->asked)
		return;
	l->asked = true;
	keeper_look(q->keeper);
	keeper_reread(q->keeper, &l->answer);
}

/* Has an agent of this process said what it has in hand? */
static bool is_listed(const struct transport *t, int pid)
{
	const struct agent *a;
	TAILQ_FOREACH(a, &t->agents, link)
	{
		if (a->pid == pid && a->listed)
			return true;
	}
	return false;
}

static void on_closed(struct qmgr *q, struct peer *p)
{
	struct agent *a = p->ctx;
	CHECK_MAGIC(a, AGENT_MAGIC);
	TAILQ_REMOVE(&a->transport->agents, a, link);
	transport_touch(q, a->transport);
	if (!TAILQ_EMPTY(&a->deliveries)) {
		struct loss *l = MEM_NEW(struct loss);
		struct delivery *d;
		l->answer.reread = loss_resolved;
		l->pid = a->pid;
		TAILQ_INIT(&l->deliveries);
		while ((d = TAILQ_FIRST(&a->deliveries))) {
			TAILQ_REMOVE(&a->deliveries, d, link);
			TAILQ_INSERT_TAIL(&l->deliveries, d, link);
			d->agent = NULL;
		}
		TAILQ_INSERT_TAIL(&q->agents.losses, l, link);
		log_warning("transport %s: agent process %d is gone with deliveries in hand",
			    a->transport->name, a->pid);
		if (is_listed(a->transport, a->pid)) /* it was quicker to come back */
			loss_ask(q, l);
	}
	a->magic = 0;
	free(a);
	agents_tick(q);
}

static const struct peer_ops agent_ops = { .message = on_message, .closed = on_closed };

void agent_result_found(struct qmgr *q, const struct spool_result *found)
{
	struct entry *e = entry_find(q, found->serial);
	struct message *m = e ? e->message : NULL;
	struct rcpt *r = m ? message_rcpt(m, found->rcpt) : NULL;
	if (!r || r->state >= R_FINAL || m->stage != STAGE_DELIVERING)
		return;
	if (r->state == R_FLIGHT) {
		/* Its delivery tells, unless the agent is gone. */
		uint64_t number = 0;
		struct delivery *d;
		while ((d = slots_next(&q->deliveries, &number)))
			if (d->message == m && !d->agent)
				break;
		if (!d)
			return;
	} else if (r->state == R_QUEUED) {
		job_remove_rcpt(q, m, r);
	} else {
		resolve_forget(q, r);
	}
	rcpt_finish(m, r,
		    &(struct outcome){ .status = found->status,
				       .dsn = found->dsn,
				       .reason = found->reason,
				       .mta = found->mta,
				       .diagnostic = found->diagnostic });
	message_check(q, m);
}

/* The logs have been read: what has no result now never had one. */
static void loss_resolved(struct qmgr *q, struct answer *answer)
{
	struct loss *l = (struct loss *)answer;
	struct delivery *d;
	while ((d = TAILQ_FIRST(&l->deliveries))) {
		struct message *m = d->message;
		TAILQ_REMOVE(&l->deliveries, d, link);
		message_pin(m);
		try_again(q, d, "the delivery agent died");
		if (m->stage == STAGE_DELIVERING && flight_holds(q, m->entry))
			message_withdraw(q, m); /* the agent came back, and has it in hand still */
		delivery_end(q, d);
		message_unpin(q, m);
	}
	TAILQ_REMOVE(&q->agents.losses, l, link);
	free(l);
}

void agents_died(struct qmgr *q, int pid)
{
	struct loss *l;
	TAILQ_FOREACH(l, &q->agents.losses, link)
	if (l->pid == pid)
		loss_ask(q, l);
	flight_died(q, pid);
}

/* This process has another link now, over which it has said what it has in hand. */
static void agents_returned(struct qmgr *q, int pid)
{
	struct loss *l;
	TAILQ_FOREACH(l, &q->agents.losses, link)
	if (l->pid == pid)
		loss_ask(q, l);
}

/* The master's word may be late or lost: a process that does not exist is dead. */
void agents_tick(struct qmgr *q)
{
	struct loss *l;
	TAILQ_FOREACH(l, &q->agents.losses, link)
	if (l->pid <= 0 || (kill(l->pid, 0) < 0 && errno == ESRCH))
		loss_ask(q, l);
}

struct hello {
	struct tlv service;
	uint64_t limit;
	bool more;
};

static void read_hello(const struct ipc_message *msg, struct hello *h)
{
	struct tlv_reader r = tlv_read(msg->body, msg->len);
	struct tlv f;
	*h = (struct hello){ 0 };
	while (tlv_next(&r, &f)) {
		if (f.type == F_SERVICE)
			h->service = f;
		else if (f.type == F_LIMIT)
			tlv_u64(&f, &h->limit);
		else if (f.type == F_COUNT)
			h->more = true;
	}
	if (h->limit > LIMIT_MAX)
		h->limit = LIMIT_MAX;
}

/* A link of which nothing was known is an agent's. */
static struct agent *agent_new(struct qmgr *q, struct peer *p, const struct tlv *service)
{
	char name[sizeof p->name];
	snprintf(name, sizeof name, "%.*s", (int)service->len, service->data);
	struct agent *a = MEM_NEW(struct agent);
	a->magic = AGENT_MAGIC;
	a->peer = p;
	a->pid = p->pid;
	a->transport = transport_get(q, name);
	TAILQ_INIT(&a->deliveries);
	TAILQ_INSERT_TAIL(&a->transport->agents, a, link);
	peer_become(p, &agent_ops, a, name);
	return a;
}

void agent_hello(struct qmgr *q, struct peer *p, const struct ipc_message *msg)
{
	struct hello h;
	read_hello(msg, &h);
	if (h.service.len == 0) {
		peer_doom(p);
		return;
	}
	struct agent *a = p->ops == &agent_ops ? p->ctx : agent_new(q, p, &h.service);
	if (!a->listed)
		flight_listed(q, a->pid, msg);
	if (h.more)
		return;
	a->limit = (uint32_t)h.limit;
	if (!a->listed) {
		flight_reported(q, a->pid);
		agents_returned(q, a->pid);
	}
	a->listed = true;
	transport_touch(q, a->transport);
}

void agents_init(struct qmgr *q)
{
	TAILQ_INIT(&q->agents.losses);
}

/* The end of the process: nothing is handed out any more. */
void agents_destroy(struct qmgr *q)
{
	uint64_t number = 0;
	struct loss *l;
	for (struct delivery *d; (d = slots_next(&q->deliveries, &number));) {
		if (d->agent) {
			TAILQ_REMOVE(&d->agent->deliveries, d, link);
			d->agent->busy--;
		}
		d->message->flying--;
		d->destination->busy--;
		slots_take(&q->deliveries, number);
		free(d);
	}
	while ((l = TAILQ_FIRST(&q->agents.losses))) {
		TAILQ_REMOVE(&q->agents.losses, l, link);
		free(l);
	}
	slots_free(&q->deliveries);
}
