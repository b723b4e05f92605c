/* SPDX-License-Identifier: Apache-2.0 */
#include "command/queue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/link.h"
#include "process/paths.h"
#include "process/privileges.h"

enum { CONNECT_SECONDS = 10, ANSWER_SECONDS = 3600, IDS_BODY_MAX = 64 * 1024 };

struct queue {
	const struct cfg_view *view;
	struct ipc_link *link; /* NULL: offline */
	struct offline *offline;
	struct spool *spool; /* opened for reading messages, online */
};

/* ---- opening ------------------------------------------------------------------------------------------------- */

bool queue_become_owner(const struct cfg_view *view, struct ost_why *why)
{
	struct identity owner;
	if (geteuid() != 0)
		return true;
	return identity_of(cfg_str(view, P_mail_owner), &owner, why) && privileges_drop(&owner, false, why);
}

struct spool *queue_open_spool(const struct cfg_view *view, struct ost_why *why)
{
	const struct spool_options options = {
		.segment_size = (uint64_t)cfg_size(view, P_ostler_journal_segment_size),
		.segment_count = (uint64_t)cfg_int(view, P_ostler_journal_segments),
		.file_threshold = (uint64_t)cfg_size(view, P_ostler_message_file_threshold),
		.long_queue_ids = cfg_bool(view, P_enable_long_queue_ids),
	};
	if (!queue_become_owner(view, why))
		return NULL;
	char *path = instance_path(view, PLACE_SPOOL);
	struct spool *spool = spool_open(path, &options, why);
	free(path);
	return spool;
}

struct queue *queue_open(const struct config *config, enum queue_mode mode, struct ost_why *why)
{
	struct queue *q = MEM_NEW(struct queue);
	q->view = config_main_view(config);
	char *path = instance_path(q->view, PLACE_QMGR);
	q->link = ipc_connect(path, "command", clock_mono() + CONNECT_SECONDS * CLOCK_SECOND, why);
	free(path);
	if (!q->link && mode == QUEUE_EITHER)
		q->offline = offline_open(q->view, why);
	if (!q->link && !q->offline)
		queue_close(&q);
	return q;
}

void queue_close(struct queue **qp)
{
	struct queue *q = *qp;
	if (!q)
		return;
	ipc_link_destroy(&q->link);
	offline_close(&q->offline);
	if (q->spool)
		spool_close(&q->spool);
	free(q);
	*qp = NULL;
}

bool queue_offline(const struct queue *q)
{
	return q->offline != NULL;
}

struct spool *queue_spool(struct queue *q, struct ost_why *why)
{
	if (q->offline)
		return offline_spool(q->offline);
	if (!q->spool)
		q->spool = queue_open_spool(q->view, why);
	return q->spool;
}

/* ---- talking to qmgr ----------------------------------------------------------------------------------------- */

static bool next_message(struct queue *q, struct ipc_message *m, struct ost_why *why)
{
	switch (ipc_receive(q->link, m, clock_mono() + ANSWER_SECONDS * CLOCK_SECOND)) {
	case IPC_GOT:
		return true;
	case IPC_AGAIN:
		return why_set(why, "the queue manager does not answer");
	case IPC_CLOSED:
	default:
		return why_set(why, "the queue manager has closed the connection");
	}
}

static bool send_request(struct queue *q, unsigned type, const struct buf *body, struct ost_why *why)
{
	return ipc_send(q->link, type, body->data, body->len) ||
	       why_set(why, "the queue manager has closed the connection");
}

/* M_QUEUE_REPLY; adds to *count. */
static bool read_reply(const struct ipc_message *m, uint64_t *count, struct ost_why *why)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	uint64_t good = 0, n = 0;
	why_set(why, "the queue manager refuses");
	while (tlv_next(&r, &f)) {
		if (f.type == F_GOOD)
			tlv_u64(&f, &good);
		else if (f.type == F_COUNT)
			tlv_u64(&f, &n);
		else if (f.type == F_REASON)
			why_set(why, "%.*s", (int)f.len, f.data);
	}
	*count += n;
	return good;
}

/* One request with some of the ids, and its reply. */
static bool exchange(struct queue *q, unsigned type, const struct buf *body, uint64_t *count,
		     struct ost_why *why)
{
	struct ipc_message m;
	if (!send_request(q, type, body, why) || !next_message(q, &m, why))
		return false;
	if (m.type != M_QUEUE_REPLY)
		return why_set(why, "the queue manager gives a strange answer");
	return read_reply(&m, count, why);
}

bool queue_change(struct queue *q, enum queue_op op, const char *const *ids, size_t nids, const char *only,
		  uint64_t *count, struct ost_why *why)
{
	*count = 0;
	if (q->offline)
		return offline_change(q->offline, op, ids, nids, only, count, why);
	struct buf body = BUF_INIT;
	size_t at = 0;
	bool ok = true;
	do {
		buf_reset(&body);
		tlv_put_u64(&body, F_OP, op);
		tlv_put_str(&body, F_QUEUE, only);
		while (at < nids && body.len < IDS_BODY_MAX)
			tlv_put_str(&body, F_QUEUE_ID, ids[at++]);
		ok = exchange(q, M_QUEUE_CHANGE, &body, count, why);
	} while (ok && at < nids);
	buf_free(&body);
	return ok;
}

bool queue_flush(struct queue *q, const char *id, const char *site, struct ost_why *why)
{
	struct buf body = BUF_INIT;
	uint64_t count = 0;
	tlv_put_str(&body, F_QUEUE_ID, id);
	tlv_put_str(&body, F_SITE, site);
	bool ok = exchange(q, M_QUEUE_FLUSH, &body, &count, why);
	buf_free(&body);
	return ok;
}

/* ---- listing ------------------------------------------------------------------------------------------------- */

/* A message's listing as it comes in, perhaps in several parts. */
struct listing {
	struct arena *arena;
	struct queue_entry entry;
	size_t room;
};

static const char *text_of(struct listing *l, const struct tlv *f)
{
	return arena_strndup(l->arena, f->data, f->len);
}

static void add_rcpt(struct listing *l, const struct tlv *group)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	struct queue_rcpt rcpt = { .address = "" };
	while (tlv_next(&r, &f)) {
		if (f.type == F_ADDRESS)
			rcpt.address = text_of(l, &f);
		else if (f.type == F_REASON)
			rcpt.reason = text_of(l, &f);
	}
	if (l->entry.nrcpts == l->room) {
		l->room = l->room ? l->room * 2 : 16;
		l->entry.rcpts = mem_realloc_array(l->entry.rcpts, l->room, sizeof *l->entry.rcpts);
	}
	l->entry.rcpts[l->entry.nrcpts++] = rcpt;
}

/* One M_QUEUE_ENTRY; true: the message is complete. */
static bool add_part(struct listing *l, const struct ipc_message *m)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	uint64_t n;
	bool more = false;
	while (tlv_next(&r, &f)) {
		switch (f.type) {
		case F_QUEUE:
			l->entry.queue = text_of(l, &f);
			break;
		case F_QUEUE_ID:
			l->entry.id = text_of(l, &f);
			break;
		case F_SENDER:
			l->entry.sender = text_of(l, &f);
			break;
		case F_ARRIVAL:
			if (tlv_u64(&f, &n))
				l->entry.arrival = (int64_t)n;
			break;
		case F_SIZE:
			tlv_u64(&f, &l->entry.size);
			break;
		case F_TICKET:
			l->entry.ticket = arena_dup(l->arena, f.data, f.len);
			l->entry.ticket_len = f.len;
			break;
		case F_RCPT_GROUP:
			add_rcpt(l, &f);
			break;
		case F_COUNT:
			more = true;
			break;
		default:
			break;
		}
	}
	return !more;
}

static void listing_reset(struct listing *l)
{
	struct queue_rcpt *rcpts = l->entry.rcpts;
	arena_reset(l->arena);
	l->entry = (struct queue_entry){ .queue = "", .id = "", .sender = "", .rcpts = rcpts };
}

bool queue_list(struct queue *q, const char *const *ids, size_t nids, queue_entry_fn *each, void *ctx,
		struct ost_why *why)
{
	if (q->offline)
		return offline_list(q->offline, ids, nids, each, ctx, why);
	struct buf body = BUF_INIT;
	struct listing l = { .arena = arena_new() };
	struct ipc_message m = { 0 };
	uint64_t ignored = 0;
	for (size_t i = 0; i < nids; i++)
		tlv_put_str(&body, F_QUEUE_ID, ids[i]);
	bool ok = send_request(q, M_QUEUE_LIST, &body, why);
	listing_reset(&l);
	while (ok && (ok = next_message(q, &m, why)) && m.type != M_QUEUE_END) {
		if (m.type == M_QUEUE_REPLY)
			ok = read_reply(&m, &ignored, why);
		if (m.type != M_QUEUE_ENTRY || !add_part(&l, &m))
			continue;
		each(ctx, &l.entry);
		listing_reset(&l);
	}
	free(l.entry.rcpts);
	arena_destroy(&l.arena);
	buf_free(&body);
	return ok;
}
