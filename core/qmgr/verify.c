/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/verify.h"

#include "base/log.h"
#include "base/tlv.h"
#include "ipc/protocol.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"

void verify_tell(struct qmgr *q, const struct message *m)
{
	struct buf *b = &q->scratch;
	buf_reset(b);
	if (!q->resolve.peer) { /* smtpd asks again later */
		log_warning("%s: the result of an address probe is lost: resolve is not there", m->queue_id);
		return;
	}
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		const struct rcpt *r = &m->rcpts[i];
		if (r->state != R_FINAL)
			continue;
		size_t mark = tlv_open(b, F_RESULT, 0);
		tlv_put_str(b, F_ADDRESS, r->original ? r->original : r->address);
		tlv_put_u64(b, F_STATUS, r->status);
		tlv_put_str(b, F_REASON, r->reason);
		tlv_close(b, mark);
	}
	peer_send(q->resolve.peer, M_VERIFIED, b->data, b->len);
}
