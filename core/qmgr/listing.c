/* SPDX-License-Identifier: Apache-2.0
 * postqueue -p and -j: every message's envelope, read from the spool a few at a time. */
#include "base/buf.h"
#include "ipc/protocol.h"
#include "qmgr/admin.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"

enum { BODY_SOFT_MAX = 48 * 1024 };

static bool list_start(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	if (!admin_op_peer(op))
		return false;
	e->asked++;
	keeper_load(q->keeper, e->serial, admin_op_token(op));
	return true;
}

/* What the message is called, and, for root and the mail owner when he asks for single messages, where it is.
 */
static void put_head(struct qmgr *q, struct admin_op *op, const struct entry *e,
		     const struct spool_envelope *env)
{
	struct buf *b = &q->scratch;
	char id[QUEUE_ID_SIZE];
	bool held = e->flags & ENTRY_HELD;
	buf_reset(b);
	tlv_put_str(b, F_QUEUE, held ? "hold" : entry_queue(e->state));
	tlv_put_str(b, F_QUEUE_ID, queue_id_text(id, e->serial, q->settings.long_queue_ids));
	tlv_put_u64(b, F_ARRIVAL, (uint64_t)env->arrival);
	tlv_put_u64(b, F_SIZE, env->size);
	tlv_put_str(b, F_SENDER, env->sender ? env->sender : "");
	if (admin_op_result(op)->tickets) {
		struct buf ticket = BUF_INIT;
		keeper_ticket(q->keeper, e->serial, &ticket);
		tlv_put(b, F_TICKET, 0, ticket.data, ticket.len);
		buf_free(&ticket);
	}
}

/* M_QUEUE_ENTRY, in several messages when there are many recipients: all but the last have F_COUNT. */
static void list_loaded(struct qmgr *q, struct admin_op *op, struct entry *e,
			const struct spool_envelope *env)
{
	struct buf *b = &q->scratch;
	struct peer *p = admin_op_peer(op);
	if (!p)
		return;
	put_head(q, op, e, env);
	for (size_t i = 0; i < env->nrcpts; i++) {
		const struct spool_rcpt *r = &env->rcpts[i];
		if (r->status == RCPT_SENT || r->status == RCPT_SENT_OWED || r->status == RCPT_DONE)
			continue;
		if (b->len > BODY_SOFT_MAX) {
			tlv_put_u64(b, F_COUNT, 1);
			peer_send(p, M_QUEUE_ENTRY, b->data, b->len);
			put_head(q, op, e, env);
		}
		size_t mark = tlv_open(b, F_RCPT_GROUP, 0);
		tlv_put_str(b, F_ADDRESS, r->address);
		if (r->status != RCPT_PENDING)
			tlv_put_str(b, F_REASON, r->reason);
		tlv_close(b, mark);
	}
	peer_send(p, M_QUEUE_ENTRY, b->data, b->len);
	admin_op_result(op)->count++;
}

static void list_finish(struct qmgr *q, struct admin_op *op)
{
	(void)q;
	peer_send(admin_op_peer(op), M_QUEUE_END, "", 0);
}

const struct admin_work admin_list_work = {
	.start = list_start,
	.loaded = list_loaded,
	.finish = list_finish,
};
