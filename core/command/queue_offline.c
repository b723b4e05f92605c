/* SPDX-License-Identifier: Apache-2.0
 * The queue without qmgr: the spool's own keeper, in this process. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "command/queue.h"
#include "spool/keeper.h"

struct known {
	uint64_t serial;
	uint32_t flags;
	int64_t next_try;
};

struct offline {
	struct spool *spool;
	struct keeper *keeper;
	struct known *list;
	size_t count, size;
	bool scanned, answered, ok;
	/* While listing. */
	queue_entry_fn *each;
	void *ctx;
	const struct known *current;
	bool long_ids;
};

/* ---- the keeper's events ------------------------------------------------------------------------------------- */

static void on_found(void *ctx, const struct keeper_summary *s, const struct spool_envelope *env)
{
	struct offline *o = ctx;
	(void)env;
	if (o->count == o->size) {
		o->size = o->size ? o->size * 2 : 256;
		o->list = mem_realloc_array(o->list, o->size, sizeof *o->list);
	}
	o->list[o->count++] =
		(struct known){ .serial = s->serial, .flags = s->flags, .next_try = s->next_try };
}

static void on_scanned(void *ctx)
{
	struct offline *o = ctx;
	o->scanned = true;
}

static const char *queue_name(const struct known *k)
{
	if (k->flags & MSG_HOLD)
		return "hold";
	return k->next_try ? "deferred" : "incoming";
}

static void on_loaded(void *ctx, uint64_t serial, void *token, const struct spool_envelope *env)
{
	struct offline *o = ctx;
	char id[QUEUE_ID_SIZE];
	struct buf ticket = BUF_INIT;
	(void)token;
	o->answered = true;
	if (!env)
		return;
	struct queue_rcpt *rcpts = mem_alloc((env->nrcpts + 1) * sizeof *rcpts);
	keeper_ticket(o->keeper, serial, &ticket);
	struct queue_entry e = {
		.queue = queue_name(o->current),
		.id = queue_id_text(id, serial, o->long_ids),
		.sender = env->sender ? env->sender : "",
		.arrival = env->arrival,
		.size = env->size,
		.ticket = ticket.data,
		.ticket_len = ticket.len,
		.rcpts = rcpts,
	};
	for (size_t i = 0; i < env->nrcpts; i++) {
		const struct spool_rcpt *r = &env->rcpts[i];
		if (r->status == RCPT_PENDING || r->status == RCPT_DEFERRED || r->status == RCPT_FAILED)
			rcpts[e.nrcpts++] =
				(struct queue_rcpt){ r->address,
						     r->status == RCPT_PENDING ? NULL : r->reason };
	}
	o->each(o->ctx, &e);
	free(rcpts);
	buf_free(&ticket);
}

static void on_updated(void *ctx, uint64_t serial, void *token, bool ok)
{
	struct offline *o = ctx;
	(void)serial;
	(void)token;
	o->answered = true;
	o->ok = ok;
}

static void on_reread(void *ctx, void *token)
{
	(void)ctx;
	(void)token;
}

static void on_result(void *ctx, const struct spool_result *r)
{
	(void)ctx;
	(void)r;
}

static const struct keeper_events events = {
	.found = on_found,
	.scanned = on_scanned,
	.loaded = on_loaded,
	.updated = on_updated,
	.reread = on_reread,
	.result = on_result,
};

/* Runs the keeper until *flag is set. */
static void wait_for(struct offline *o, const bool *flag)
{
	struct pollfd p = { .fd = keeper_fd(o->keeper), .events = POLLIN };
	while (!*flag) {
		poll(&p, 1, -1);
		keeper_dispatch(o->keeper);
	}
}

/* ---- the queue ----------------------------------------------------------------------------------------------- */

struct offline *offline_open(const struct cfg_view *view, struct ost_why *why)
{
	struct offline *o = MEM_NEW(struct offline);
	o->long_ids = cfg_bool(view, P_enable_long_queue_ids);
	o->spool = queue_open_spool(view, why);
	o->keeper = o->spool ? keeper_open(o->spool, &events, o, why) : NULL;
	if (!o->keeper) {
		offline_close(&o);
		return NULL;
	}
	keeper_scan(o->keeper);
	wait_for(o, &o->scanned);
	return o;
}

void offline_close(struct offline **op)
{
	struct offline *o = *op;
	if (!o)
		return;
	keeper_close(&o->keeper);
	if (o->spool)
		spool_close(&o->spool);
	free(o->list);
	free(o);
	*op = NULL;
}

struct spool *offline_spool(struct offline *o)
{
	return o->spool;
}

/* Is the message among those that are meant? */
static bool is_meant(const struct known *k, const char *const *ids, size_t nids, const char *only)
{
	uint64_t serial;
	if (only && strcmp(only, queue_name(k)) != 0)
		return false;
	for (size_t i = 0; i < nids; i++)
		if (queue_id_parse(ids[i], &serial) && serial == k->serial)
			return true;
	return nids == 0;
}

bool offline_list(struct offline *o, const char *const *ids, size_t nids, queue_entry_fn *each, void *ctx,
		  struct ost_why *why)
{
	(void)why;
	o->each = each;
	o->ctx = ctx;
	for (size_t i = 0; i < o->count; i++) {
		if (!is_meant(&o->list[i], ids, nids, NULL))
			continue;
		o->current = &o->list[i];
		o->answered = false;
		keeper_load(o->keeper, o->list[i].serial, NULL);
		wait_for(o, &o->answered);
	}
	return true;
}

/* One message; true: it was changed. */
static bool change_one(struct offline *o, struct known *k, enum queue_op op, struct ost_why *why)
{
	struct keeper_change change = { 0 };
	bool held = k->flags & MSG_HOLD;
	switch (op) {
	case QUEUE_DELETE:
		keeper_delete(o->keeper, k->serial, NULL);
		break;
	case QUEUE_HOLD:
		change.set_flags = MSG_HOLD;
		break;
	case QUEUE_RELEASE:
	case QUEUE_REQUEUE:
	default:
		change.clear_flags = MSG_HOLD;
		change.set_flags = MSG_FLUSH;
	}
	if ((op == QUEUE_HOLD && held) || (op == QUEUE_RELEASE && !held))
		return false;
	o->answered = false;
	if (op != QUEUE_DELETE)
		keeper_update(o->keeper, k->serial, &change, NULL);
	wait_for(o, &o->answered);
	if (!o->ok)
		why_set(why, "the change could not be made durable");
	return o->ok;
}

bool offline_change(struct offline *o, enum queue_op op, const char *const *ids, size_t nids,
		    const char *only, uint64_t *count, struct ost_why *why)
{
	bool good = true;
	for (size_t i = 0; i < o->count; i++) {
		if (!is_meant(&o->list[i], ids, nids, only))
			continue;
		o->ok = true;
		if (change_one(o, &o->list[i], op, why))
			(*count)++;
		good = good && o->ok;
	}
	return good;
}
