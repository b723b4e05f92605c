/* SPDX-License-Identifier: Apache-2.0 */
#include "bounce/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/tlv.h"

bool notice_request_id(const struct ipc_message *m, uint64_t *id)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	while (tlv_next(&r, &f))
		if (f.type == F_ID)
			return tlv_u64(&f, id);
	return false;
}

struct notice_request *notice_request_new(void)
{
	struct notice_request *q = MEM_NEW(struct notice_request);
	q->arena = arena_new();
	return q;
}

void notice_request_free(struct notice_request **qp)
{
	struct notice_request *q = *qp;
	if (!q)
		return;
	free(q->rcpts);
	arena_destroy(&q->arena);
	free(q);
	*qp = NULL;
}

static const char *text_of(struct notice_request *q, const struct tlv *f)
{
	return arena_strndup(q->arena, f->data, f->len);
}

static bool add_rcpt(struct notice_request *q, const struct tlv *group)
{
	struct tlv_reader reader = tlv_read(group->data, group->len);
	struct tlv f;
	struct notice_rcpt r = { .index = UINT32_MAX };
	uint64_t n;
	while (tlv_next(&reader, &f)) {
		if (f.type == F_RCPT && tlv_u64(&f, &n))
			r.index = (uint32_t)n;
		else if (f.type == F_STATUS && tlv_u64(&f, &n))
			r.status = (uint32_t)n;
		else if (f.type == F_ADDRESS)
			r.address = text_of(q, &f);
		else if (f.type == F_DSN)
			r.dsn = text_of(q, &f);
		else if (f.type == F_REASON)
			r.reason = text_of(q, &f);
		else if (f.type == F_MTA)
			r.mta = text_of(q, &f);
		else if (f.type == F_DIAGNOSTIC)
			r.diagnostic = text_of(q, &f);
	}
	if (reader.bad || !r.address || q->nrcpts == NOTICE_RCPTS_MAX)
		return !reader.bad && r.address;
	if (q->nrcpts == q->room) {
		q->room = q->room ? q->room * 2 : 8;
		q->rcpts = mem_realloc_array(q->rcpts, q->room, sizeof *q->rcpts);
	}
	q->rcpts[q->nrcpts++] = r;
	return true;
}

bool notice_request_add(struct notice_request *q, const struct ipc_message *m)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	uint64_t n = 0;
	bool good = true, more = false;
	while (good && tlv_next(&r, &f)) {
		switch (f.type) {
		case F_ID:
			good = tlv_u64(&f, &q->id);
			break;
		case F_SERIAL:
			good = tlv_u64(&f, &q->serial);
			break;
		case F_ROUND:
			good = tlv_u64(&f, &n) && n < UINT32_MAX / NOTICE_ROUND_STEP;
			q->round = (uint32_t)n;
			break;
		case F_KIND:
			good = tlv_u64(&f, &n) && n >= NOTICE_FAILURE && n <= NOTICE_DOUBLE;
			q->kind = good ? (enum notice_kind)n : NOTICE_FAILURE;
			break;
		case F_TICKET:
			q->ticket = arena_dup(q->arena, f.data, f.len);
			q->ticket_len = f.len;
			break;
		case F_FLAGS:
			more = tlv_u64(&f, &n) && n & NOTICE_MORE;
			break;
		case F_RESULT:
			good = add_rcpt(q, &f);
			break;
		default:
			break;
		}
	}
	q->complete = !more;
	return good && !r.bad && q->serial && q->kind;
}
