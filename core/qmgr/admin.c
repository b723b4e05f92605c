/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/admin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "qmgr/qmgr.h"

#define ADMIN_MAGIC    0x93670007u
#define ADMIN_OP_MAGIC 0x93670008u
enum { UNDER_WAY_MAX = 200, NAME_MAX_LEN = 255 };

struct admin_op {
	struct answer answer; /* first member: the keeper's token */
	unsigned magic;
	struct admin *admin; /* NULL: the command is gone */
	const struct admin_work *work;
	uint64_t *serials;
	size_t count, size, next, under_way;
	bool running;
	struct admin_result result;
};

/* ---- working through a list ---------------------------------------------------------------------------------- */

static void op_free(struct admin_op *op)
{
	if (op->admin)
		op->admin->op = NULL;
	free(op->serials);
	free(op->result.site);
	op->magic = 0;
	free(op);
}

static void op_answered(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	op->under_way--;
	if (e)
		entry_release(q, e);
	admin_op_run(q, op);
}

static void op_loaded(struct qmgr *q, struct answer *a, uint64_t serial, const struct spool_envelope *env)
{
	struct admin_op *op = (struct admin_op *)a;
	struct entry *e = entry_find(q, serial);
	CHECK_MAGIC(op, ADMIN_OP_MAGIC);
	if (e)
		e->asked--;
	if (e && env)
		op->work->loaded(q, op, e, env);
	op_answered(q, op, e);
}

static void op_updated(struct qmgr *q, struct answer *a, uint64_t serial, bool ok)
{
	struct admin_op *op = (struct admin_op *)a;
	struct entry *e = entry_find(q, serial);
	CHECK_MAGIC(op, ADMIN_OP_MAGIC);
	if (e) {
		e->asked--;
		op->work->updated(q, op, e, ok);
	}
	op_answered(q, op, e);
}

struct admin_op *admin_op_new(struct qmgr *q, struct admin *a, const struct admin_work *work)
{
	struct admin_op *op = MEM_NEW(struct admin_op);
	(void)q;
	op->magic = ADMIN_OP_MAGIC;
	op->answer.loaded = op_loaded;
	op->answer.updated = op_updated;
	op->admin = a;
	op->work = work;
	a->op = op;
	return op;
}

void admin_op_add(struct admin_op *op, uint64_t serial)
{
	CHECK_MAGIC(op, ADMIN_OP_MAGIC);
	if (op->count == op->size) {
		op->size = op->size ? op->size * 2 : 64;
		op->serials = mem_realloc_array(op->serials, op->size, sizeof *op->serials);
	}
	op->serials[op->count++] = serial;
}

void admin_op_run(struct qmgr *q, struct admin_op *op)
{
	CHECK_MAGIC(op, ADMIN_OP_MAGIC);
	if (op->running)
		return;
	op->running = true;
	while (op->next < op->count && op->under_way < UNDER_WAY_MAX) {
		if (op->admin && peer_congested(op->admin->peer))
			break; /* drained() goes on */
		struct entry *e = entry_find(q, op->serials[op->next++]);
		if (e && e->state != ENTRY_LEAVING)
			op->under_way += op->work->start(q, op, e);
	}
	op->running = false;
	bool list_over = op->next == op->count || (!op->admin && op->work == &admin_list_work);
	if (list_over && op->under_way == 0) {
		if (op->admin)
			op->work->finish(q, op);
		op_free(op);
	}
}

struct peer *admin_op_peer(const struct admin_op *op)
{
	CHECK_MAGIC(op, ADMIN_OP_MAGIC);
	return op->admin ? op->admin->peer : NULL;
}

struct admin_result *admin_op_result(struct admin_op *op)
{
	CHECK_MAGIC(op, ADMIN_OP_MAGIC);
	return &op->result;
}

void *admin_op_token(struct admin_op *op)
{
	CHECK_MAGIC(op, ADMIN_OP_MAGIC);
	return &op->answer;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

static void send_reply(struct qmgr *q, struct peer *p, bool good, uint64_t count, const char *reason)
{
	buf_reset(&q->scratch);
	tlv_put_u64(&q->scratch, F_GOOD, good);
	tlv_put_u64(&q->scratch, F_COUNT, count);
	tlv_put_str(&q->scratch, F_REASON, reason);
	peer_send(p, M_QUEUE_REPLY, q->scratch.data, q->scratch.len);
}

void admin_reply(struct qmgr *q, struct admin_op *op)
{
	const struct admin_result *r = &op->result;
	send_reply(q, op->admin->peer, r->failed == 0, r->count, r->reason);
}

static char *field_text(const struct tlv *f)
{
	return mem_strndup(f->data, f->len < NAME_MAX_LEN ? f->len : NAME_MAX_LEN);
}

/* What a request says. */
struct request {
	uint64_t op;
	char *queue, *site;
	size_t ids;
};

static void read_request(const struct ipc_message *msg, struct request *in)
{
	struct tlv_reader r = tlv_read(msg->body, msg->len);
	struct tlv f;
	*in = (struct request){ 0 };
	while (tlv_next(&r, &f)) {
		if (f.type == F_OP)
			tlv_u64(&f, &in->op);
		else if (f.type == F_QUEUE && !in->queue)
			in->queue = field_text(&f);
		else if (f.type == F_SITE && !in->site)
			in->site = field_text(&f);
		else if (f.type == F_QUEUE_ID)
			in->ids++;
	}
}

static bool in_queue(const struct entry *e, const char *queue)
{
	return e->state != ENTRY_LEAVING && (!queue || strcmp(queue, entry_queue(e->state)) == 0);
}

/* The messages that a request names, or all. */
static void add_named(struct qmgr *q, struct admin_op *op, const struct ipc_message *msg,
		      const struct request *in)
{
	if (in->ids == 0) {
		for (const struct entry *e = q->entries; e; e = e->hh.next)
			if (in_queue(e, in->queue))
				admin_op_add(op, e->serial);
		return;
	}
	struct tlv_reader r = tlv_read(msg->body, msg->len);
	struct tlv f;
	while (tlv_next(&r, &f)) {
		uint64_t serial;
		char *text = f.type == F_QUEUE_ID ? field_text(&f) : NULL;
		const struct entry *e = text && queue_id_parse(text, &serial) ? entry_find(q, serial) : NULL;
		if (e && in_queue(e, in->queue))
			admin_op_add(op, e->serial);
		free(text);
	}
}

static void on_list(struct qmgr *q, struct admin *a, const struct ipc_message *msg, const struct request *in)
{
	struct admin_op *op = admin_op_new(q, a, &admin_list_work);
	op->result.tickets = a->trusted && in->ids > 0;
	add_named(q, op, msg, in);
	admin_op_run(q, op);
}

static void on_change(struct qmgr *q, struct admin *a, const struct ipc_message *msg,
		      const struct request *in)
{
	if (in->op < QUEUE_DELETE || in->op > QUEUE_REQUEUE) {
		send_reply(q, a->peer, false, 0, "unknown operation");
		return;
	}
	struct admin_op *op = admin_op_new(q, a, &admin_change_work);
	op->result.op = in->op;
	add_named(q, op, msg, in);
	admin_op_run(q, op);
}

static void on_flush(struct qmgr *q, struct admin *a, const struct ipc_message *msg, const struct request *in)
{
	if (in->site) {
		struct admin_op *op = admin_op_new(q, a, &admin_site_work);
		op->result.site = mem_strdup(in->site);
		add_named(q, op, msg, in);
		admin_op_run(q, op);
	} else if (in->ids > 0) {
		struct admin_op *op = admin_op_new(q, a, &admin_change_work);
		op->result.op = QUEUE_REQUEUE;
		add_named(q, op, msg,
			  &(struct request){ .ids = in->ids, .queue = (char *)(uintptr_t) "deferred" });
		admin_op_run(q, op);
	} else {
		uint64_t count = q->counts[ENTRY_DEFERRED];
		transports_revive(q);
		entry_flush_all(q);
		send_reply(q, a->peer, true, count, NULL);
	}
}

static const struct {
	unsigned type;
	void (*run)(struct qmgr *, struct admin *, const struct ipc_message *, const struct request *);
	size_t users; /* offset of the list of users in the settings; 0: trusted ones alone */
} requests[] = {
	{ M_QUEUE_LIST, on_list, offsetof(struct qmgr_settings, mailq_users) },
	{ M_QUEUE_FLUSH, on_flush, offsetof(struct qmgr_settings, flush_users) },
	{ M_QUEUE_CHANGE, on_change, 0 },
};

static bool allowed(const struct qmgr *q, const struct admin *a, size_t users)
{
	if (a->trusted)
		return true;
	if (users == 0)
		return false;
	const char *list;
	memcpy(&list, (const char *)&q->settings + users, sizeof list);
	return admin_user_allowed(list, a->uid);
}

static void on_message(struct qmgr *q, struct peer *p, const struct ipc_message *msg)
{
	struct admin *a = p->ctx;
	struct request in;
	CHECK_MAGIC(a, ADMIN_MAGIC);
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		if (requests[i].type != msg->type)
			continue;
		if (!allowed(q, a, requests[i].users)) {
			send_reply(q, p, false, 0, "permission denied");
		} else if (a->op) {
			send_reply(q, p, false, 0, "a request is under way");
		} else {
			read_request(msg, &in);
			requests[i].run(q, a, msg, &in);
			free(in.queue);
			free(in.site);
		}
		return;
	}
	peer_doom(p);
}

static void on_drained(struct qmgr *q, struct peer *p)
{
	struct admin *a = p->ctx;
	CHECK_MAGIC(a, ADMIN_MAGIC);
	if (a->op)
		admin_op_run(q, a->op);
}

static void on_closed(struct qmgr *q, struct peer *p)
{
	struct admin *a = p->ctx;
	CHECK_MAGIC(a, ADMIN_MAGIC);
	struct admin_op *op = a->op;
	if (op) {
		op->admin = NULL;
		if (q->keeper)
			admin_op_run(q, op);
		else
			op_free(op);
	}
	q->commands--;
	a->magic = 0;
	free(a);
}

static const struct peer_ops admin_ops = { .message = on_message,
					   .closed = on_closed,
					   .drained = on_drained };

void admin_new(struct qmgr *q, struct ipc_link *link)
{
	struct admin *a = MEM_NEW(struct admin);
	unsigned gid;
	int pid = 0;
	a->magic = ADMIN_MAGIC;
	a->uid = (unsigned)-1;
	if (ipc_peer(link, &a->uid, &gid, &pid))
		a->trusted = a->uid == 0 || a->uid == geteuid();
	a->peer = peer_new(q, link, &admin_ops, a, "command", pid);
	q->commands++;
}
