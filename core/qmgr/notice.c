/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/notice.h"

#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "bounce/notice.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"
#include "qmgr/settle.h"

enum { BODY_SOFT_MAX = 48 * 1024, KINDS_MAX = 3 };

/* The notices of one message that are under way at bounce: one struct for each, all of them counted in the
 * first. */
struct notice {
	struct message *message;
	enum notice_kind kind;
};

/* ---- which --------------------------------------------------------------------------------------------------- */

static bool concerns(const struct rcpt *r, enum notice_kind kind)
{
	static const enum rcpt_status about[] = {
		[NOTICE_FAILURE] = RCPT_FAILED,
		[NOTICE_DELAY] = RCPT_DEFERRED,
		[NOTICE_SUCCESS] = RCPT_SENT_OWED,
		[NOTICE_DOUBLE] = RCPT_FAILED,
	};
	return r->state == R_FINAL && r->status == about[kind] && notice_wanted(kind, r->notify);
}

static bool any_concerned(const struct message *m, enum notice_kind kind)
{
	for (uint32_t i = 0; i < m->nrcpts; i++)
		if (concerns(&m->rcpts[i], kind))
			return true;
	return false;
}

/* A failure is told to the sender; if there is none, to the postmaster; if that failed, to nobody. */
static bool failure_kind(struct qmgr *q, struct message *m, enum notice_kind *kind)
{
	*kind = NOTICE_FAILURE;
	if (m->sender[0] && strcasecmp(m->sender, q->settings.double_bounce) != 0)
		return any_concerned(m, *kind);
	*kind = NOTICE_DOUBLE;
	if (!any_concerned(m, *kind))
		return false;
	if (m->sender[0]) {
		log_warning("%s: undeliverable postmaster notification discarded", m->queue_id);
		return false;
	}
	return q->settings.notify_double_bounce;
}

/* The kinds of notices to be made now. */
static size_t choose(struct qmgr *q, struct message *m, enum notice_kind kinds[KINDS_MAX])
{
	size_t n = 0;
	enum notice_kind kind;
	if (failure_kind(q, m, &kind))
		kinds[n++] = kind;
	bool reachable = m->sender[0] && strcasecmp(m->sender, q->settings.double_bounce) != 0;
	if (reachable && any_concerned(m, NOTICE_SUCCESS))
		kinds[n++] = NOTICE_SUCCESS;
	if (m->warn_at > 0 && clock_utc() >= m->warn_at) {
		m->warned = true;
		if (reachable && any_concerned(m, NOTICE_DELAY))
			kinds[n++] = NOTICE_DELAY;
	}
	return n;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static void put_head(struct qmgr *q, struct message *m, enum notice_kind kind, uint64_t number)
{
	struct buf *b = &q->scratch;
	struct buf ticket = BUF_INIT;
	keeper_ticket(q->keeper, m->serial, &ticket);
	buf_reset(b);
	tlv_put_u64(b, F_ID, number);
	tlv_put_u64(b, F_SERIAL, m->serial);
	tlv_put_u64(b, F_ROUND, m->rounds);
	tlv_put_u64(b, F_KIND, kind);
	tlv_put(b, F_TICKET, 0, ticket.data, ticket.len);
	buf_free(&ticket);
}

static void put_result(struct buf *b, const struct rcpt *r)
{
	size_t mark = tlv_open(b, F_RESULT, 0);
	tlv_put_u64(b, F_RCPT, r->index);
	tlv_put_str(b, F_ADDRESS, r->address);
	tlv_put_u64(b, F_STATUS, r->status);
	tlv_put_str(b, F_DSN, r->dsn);
	tlv_put_str(b, F_REASON, r->reason);
	tlv_put_str(b, F_MTA, r->mta);
	tlv_put_str(b, F_DIAGNOSTIC, r->diagnostic);
	tlv_close(b, mark);
}

/* M_NOTICE, in several messages when there are many recipients. */
static void send_notice(struct qmgr *q, struct message *m, enum notice_kind kind, uint64_t number)
{
	put_head(q, m, kind, number);
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		if (!concerns(&m->rcpts[i], kind))
			continue;
		if (q->scratch.len > BODY_SOFT_MAX) {
			tlv_put_u64(&q->scratch, F_FLAGS, NOTICE_MORE);
			peer_send(q->notices.peer, M_NOTICE, q->scratch.data, q->scratch.len);
			put_head(q, m, kind, number);
		}
		put_result(&q->scratch, &m->rcpts[i]);
	}
	peer_send(q->notices.peer, M_NOTICE, q->scratch.data, q->scratch.len);
}

/* One answer, or none to come: the message goes on when it was the last. */
static void notice_end(struct qmgr *q, struct message *m, bool ok)
{
	assert(m->notices > 0);
	m->notices--;
	m->notices_failed |= !ok;
	if (m->notices > 0)
		return;
	bool good = !m->notices_failed;
	m->notices_failed = false;
	m->round_used = true;
	settle_noticed(q, m, good);
}

static void on_message(struct qmgr *q, struct peer *p, const struct ipc_message *msg)
{
	struct tlv_reader r = tlv_read(msg->body, msg->len);
	struct tlv f;
	uint64_t number = 0, good = 0;
	(void)p;
	if (msg->type == M_HINT)
		keeper_hint(q->keeper, msg->body, msg->len);
	if (msg->type != M_NOTICED)
		return;
	while (tlv_next(&r, &f)) {
		if (f.type == F_ID)
			tlv_u64(&f, &number);
		else if (f.type == F_GOOD)
			tlv_u64(&f, &good);
	}
	struct notice *n = slots_take(&q->notices.asked, number);
	if (!n)
		return;
	struct message *m = n->message;
	free(n);
	notice_end(q, m, good);
}

/* Bounce is gone: whether it stored what it was asked for, the spool will say. */
static void on_closed(struct qmgr *q, struct peer *p)
{
	uint64_t number = 0;
	(void)p;
	q->notices.peer = NULL;
	q->notices.retry_at = clock_mono() + CLOCK_SECOND;
	if (q->keeper)
		keeper_look(q->keeper);
	for (struct notice *n; (n = slots_next(&q->notices.asked, &number));) {
		struct message *m = n->message;
		free(slots_take(&q->notices.asked, number));
		notice_end(q, m, false);
	}
}

static const struct peer_ops notice_ops = { .message = on_message, .closed = on_closed };

/* Is bounce there? If not it is asked for. */
static bool connected(struct qmgr *q)
{
	struct notice_client *c = &q->notices;
	if (!c->peer && !c->linking && clock_mono() >= c->retry_at) {
		c->linking = true;
		q->host.connect(q->host.ctx, "bounce");
	}
	return c->peer != NULL;
}

void notice_linked(struct qmgr *q, struct ipc_link *link)
{
	struct notice_client *c = &q->notices;
	c->linking = false;
	c->retry_at = clock_mono() + CLOCK_SECOND;
	if (!link)
		return;
	c->peer = peer_new(q, link, &notice_ops, NULL, "bounce", 0);
	qmgr_retry(q);
}

bool notice_start(struct qmgr *q, struct message *m)
{
	enum notice_kind kinds[KINDS_MAX];
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	size_t n = choose(q, m, kinds);
	m->notices = 0;
	for (size_t i = 0; i < n; i++) {
		if (keeper_notice_known(q->keeper, m->serial, notice_round(m->rounds, kinds[i], false))) {
			m->round_used = true;
			continue;
		}
		if (!connected(q)) {
			settle_later(q, m);
			return true;
		}
		struct notice *notice = MEM_NEW(struct notice);
		*notice = (struct notice){ .message = m, .kind = kinds[i] };
		m->notices++;
		send_notice(q, m, kinds[i], slots_add(&q->notices.asked, notice));
	}
	return m->notices > 0;
}

void notice_init(struct qmgr *q)
{
	q->notices.retry_at = 0;
}

void notice_destroy(struct qmgr *q)
{
	uint64_t number = 0;
	while (slots_next(&q->notices.asked, &number))
		free(slots_take(&q->notices.asked, number));
	slots_free(&q->notices.asked);
}
