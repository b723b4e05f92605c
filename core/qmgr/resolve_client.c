/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/resolve_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "qmgr/job.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"

enum { BODY_SOFT_MAX = 48 * 1024, TEXT_MAX = 2048 };
/* Longer than any table's deadline. */
#define PATIENCE (300 * CLOCK_SECOND)

struct ask {
	struct message *message;
	struct rcpt *rcpt;
};

static const char *asked_address(const struct message *m, const struct rcpt *r)
{
	return m->redirect ? m->redirect : r->address;
}

/* Sends the collected questions. */
static void send_body(struct qmgr *q)
{
	struct resolve_client *c = &q->resolve;
	if (c->body.len > 0 && c->peer)
		peer_send(c->peer, M_RESOLVE, c->body.data, c->body.len);
	buf_reset(&c->body);
}

static void write_ask(struct qmgr *q, const struct message *m, const struct rcpt *r)
{
	struct resolve_client *c = &q->resolve;
	size_t mark = tlv_open(&c->body, F_ASK, 0);
	tlv_put_u64(&c->body, F_ID, r->ask);
	tlv_put_str(&c->body, F_ADDRESS, asked_address(m, r));
	tlv_put_str(&c->body, F_SENDER, m->sender);
	if (m->flags & MSG_VERIFY)
		tlv_put_u64(&c->body, F_KIND, ASK_PROBE);
	tlv_close(&c->body, mark);
	if (c->body.len > BODY_SOFT_MAX)
		send_body(q);
}

void resolve_ask(struct qmgr *q, struct message *m, struct rcpt *r)
{
	struct ask *a = MEM_NEW(struct ask);
	*a = (struct ask){ .message = m, .rcpt = r };
	if (q->resolve.asks.used == 0)
		q->resolve.heard_at = clock_mono();
	r->ask = slots_add(&q->resolve.asks, a);
	if (q->resolve.peer)
		write_ask(q, m, r);
}

void resolve_forget(struct qmgr *q, struct rcpt *r)
{
	free(slots_take(&q->resolve.asks, r->ask));
	r->ask = 0;
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

struct found_route {
	uint64_t id, verdict;
	struct tlv transport, nexthop, address, dsn, reason;
};

static bool read_answer(const struct tlv *group, struct found_route *f)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv t;
	*f = (struct found_route){ .verdict = RESOLVE_DEFER };
	while (tlv_next(&r, &t)) {
		switch (t.type) {
		case F_ID:
			tlv_u64(&t, &f->id);
			break;
		case F_VERDICT:
			tlv_u64(&t, &f->verdict);
			break;
		case F_TRANSPORT:
			f->transport = t;
			break;
		case F_NEXTHOP:
			f->nexthop = t;
			break;
		case F_ADDRESS:
			f->address = t;
			break;
		case F_DSN:
			f->dsn = t;
			break;
		case F_REASON:
			f->reason = t;
			break;
		default:
			break;
		}
	}
	return !r.bad;
}

/* A field as a string of bounded length. */
static const char *text_of(const struct tlv *t, char text[TEXT_MAX])
{
	size_t n = t->len < TEXT_MAX ? t->len : TEXT_MAX - 1;
	if (n > 0)
		memcpy(text, t->data, n);
	text[n] = '\0';
	return text;
}

/* The resolver could not or would not name a route. */
static void no_route(struct qmgr *q, struct message *m, struct rcpt *r, const struct found_route *f)
{
	char dsn[TEXT_MAX], reason[TEXT_MAX];
	bool bounce = f->verdict == RESOLVE_BOUNCE;
	text_of(&f->dsn, dsn);
	text_of(&f->reason, reason);
	rcpt_finish_ours(q, m, r,
			 &(struct outcome){
				 .status = bounce ? RCPT_FAILED : RCPT_DEFERRED,
				 .dsn = *dsn     ? dsn
					: bounce ? "5.3.0"
						 : "4.3.0",
				 .reason = *reason ? reason : "address resolver failure",
			 });
}

static void take_answer(struct qmgr *q, const struct found_route *f)
{
	char transport[TEXT_MAX], nexthop[TEXT_MAX], address[TEXT_MAX];
	struct ask *a = slots_take(&q->resolve.asks, f->id);
	if (!a)
		return; /* withdrawn meanwhile */
	struct message *m = a->message;
	struct rcpt *r = a->rcpt;
	free(a);
	r->ask = 0;
	message_pin(m);
	if (f->verdict != RESOLVE_OK || f->transport.len == 0)
		no_route(q, m, r, f);
	else
		job_route(q, m, r, text_of(&f->transport, transport), text_of(&f->nexthop, nexthop),
			  f->address.len ? text_of(&f->address, address) : asked_address(m, r));
	if (m->unresolved == 0)
		jobs_queue(q, m);
	message_unpin(q, m);
}

static void on_message(struct qmgr *q, struct peer *p, const struct ipc_message *msg)
{
	struct tlv_reader r = tlv_read(msg->body, msg->len);
	struct tlv group;
	struct found_route f;
	if (msg->type != M_RESOLVED)
		return;
	q->resolve.heard_at = clock_mono();
	while (tlv_next(&r, &group)) {
		if (group.type != F_ANSWER)
			continue;
		if (!read_answer(&group, &f))
			break;
		take_answer(q, &f);
	}
	if (r.bad)
		peer_doom(p);
}

static void on_closed(struct qmgr *q, struct peer *p)
{
	(void)p;
	q->resolve.peer = NULL;
	q->resolve.retry_at = clock_mono() + CLOCK_SECOND;
	buf_reset(&q->resolve.body);
}

static const struct peer_ops resolve_ops = { .message = on_message, .closed = on_closed };

/* Asks for a link. */
static void connect_again(struct qmgr *q)
{
	struct resolve_client *c = &q->resolve;
	if (c->asked)
		return;
	c->asked = true;
	q->host.connect(q->host.ctx, "resolve");
}

/* Asks everything that has no answer again. */
void resolve_linked(struct qmgr *q, struct ipc_link *link)
{
	struct resolve_client *c = &q->resolve;
	c->asked = false;
	c->retry_at = clock_mono() + CLOCK_SECOND;
	if (!link)
		return;
	buf_reset(&c->body);
	c->peer = peer_new(q, link, &resolve_ops, NULL, "resolve", 0);
	c->heard_at = clock_mono();
	uint64_t number = 0;
	for (struct ask *a; (a = slots_next(&c->asks, &number));)
		write_ask(q, a->message, a->rcpt);
}

void resolve_flush(struct qmgr *q)
{
	struct resolve_client *c = &q->resolve;
	if (!c->peer && c->asks.used > 0 && clock_mono() >= c->retry_at)
		connect_again(q);
	send_body(q);
}

void resolve_tick(struct qmgr *q)
{
	struct resolve_client *c = &q->resolve;
	if (!c->peer || c->asks.used == 0 || clock_mono() - c->heard_at < PATIENCE)
		return;
	log_warning("the address resolver does not answer: asking anew");
	peer_destroy(&c->peer);
}

void resolve_destroy(struct qmgr *q)
{
	uint64_t number = 0;
	for (struct ask *a; (a = slots_next(&q->resolve.asks, &number));)
		free(slots_take(&q->resolve.asks, number));
	slots_free(&q->resolve.asks);
	buf_free(&q->resolve.body);
}
