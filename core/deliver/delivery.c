/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "deliver/clerk.h"
#include "ipc/protocol.h"
#include "module/module.h"

_Static_assert(OST_MSG_8BITMIME == MSG_8BITMIME && OST_MSG_SMTPUTF8 == MSG_SMTPUTF8 &&
		       OST_MSG_REQUIRETLS == MSG_REQUIRETLS && OST_MSG_PROBE == MSG_VERIFY,
	       "the module's flags are the spool's");

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

static const char *text_of(struct arena *a, const struct tlv *f)
{
	return arena_strndup(a, f->data, f->len);
}

/* One F_RCPT_GROUP; false: no recipient in it. */
static bool parse_rcpt(struct delivery *d, const struct tlv *group, uint32_t at)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	uint64_t index = UINT64_MAX;
	while (tlv_next(&r, &f)) {
		if (f.type == F_RCPT)
			tlv_u64(&f, &index);
		else if (f.type == F_ADDRESS)
			d->rcpts[at].address = d->rcpts[at].original = text_of(d->arena, &f);
	}
	d->index[at] = (uint32_t)index;
	return !r.bad && index <= UINT32_MAX && d->rcpts[at].address;
}

/* How many fields of a type there are, to size the arrays. */
static size_t count_fields(const void *body, size_t len, unsigned type)
{
	struct tlv_reader r = tlv_read(body, len);
	struct tlv f;
	size_t n = 0;
	while (tlv_next(&r, &f))
		n += f.type == type;
	return n;
}

static bool parse_field(struct delivery *d, const struct tlv *f)
{
	uint64_t n = 0;
	switch (f->type) {
	case F_ID:
		return tlv_u64(f, &d->id);
	case F_SERIAL:
		return tlv_u64(f, &d->serial);
	case F_ACTIVE_SINCE:
		if (!tlv_u64(f, &n))
			return false;
		d->active_since = (int64_t)n;
		return true;
	case F_RETRIED:
		if (!tlv_u64(f, &n))
			return false;
		d->crew = n != RETRIED_NOT ? CREW_RETRIED : CREW_FRESH;
		d->patient = n == RETRIED_BESIDE;
		return true;
	case F_TICKET:
		d->ticket = arena_dup(d->arena, f->data, f->len);
		d->ticket_len = f->len;
		return true;
	case F_NEXTHOP:
		d->pub.nexthop = text_of(d->arena, f);
		return true;
	case F_QUEUE_ID:
		d->pub.queue_id = text_of(d->arena, f);
		return true;
	case F_RCPT_GROUP:
		return parse_rcpt(d, f, d->pub.nrcpts++);
	default:
		return true;
	}
}

struct delivery *delivery_parse(struct agent *agent, const void *body, size_t len, struct ost_why *why)
{
	CHECK_MAGIC(agent, AGENT_MAGIC);
	struct delivery *d = MEM_NEW(struct delivery);
	size_t n = count_fields(body, len, F_RCPT_GROUP);
	d->magic = AGENT_MAGIC;
	d->agent = agent;
	d->stored.fd = -1;
	d->arena = arena_new();
	d->rcpts = arena_alloc(d->arena, (n + 1) * sizeof(struct ost_delivery_rcpt));
	d->index = arena_alloc(d->arena, (n + 1) * sizeof(uint32_t));
	d->outcomes = arena_alloc(d->arena, (n + 1) * sizeof(struct outcome));
	d->pub.size = sizeof d->pub;
	d->pub.rcpts = d->rcpts;
	d->pub.nexthop = "";
	d->pub.sender = "";
	d->taken = clock_mono();
	d->taken_utc = clock_utc();
	struct tlv_reader r = tlv_read(body, len);
	struct tlv f;
	bool ok = true;
	while (ok && tlv_next(&r, &f))
		ok = parse_field(d, &f);
	if (!ok || r.bad || n == 0 || !d->pub.queue_id || !d->serial) {
		why_set(why, "qmgr sent a delivery that cannot be understood");
		delivery_destroy(&d);
	}
	return d;
}

void delivery_destroy(struct delivery **dp)
{
	struct delivery *d = *dp;
	if (!d)
		return;
	CHECK_MAGIC(d, AGENT_MAGIC);
	if (d->stored.arena)
		spool_stored_free(&d->stored);
	arena_destroy(&d->arena);
	d->magic = 0;
	free(d);
	*dp = NULL;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* What the module sees of the message; false: the message and qmgr's order do not fit. */
static bool fill_in(struct delivery *d)
{
	const struct spool_envelope *e = d->stored.env;
	if (e->serial != d->serial)
		return false;
	d->pub.flags = e->flags & (OST_MSG_8BITMIME | OST_MSG_SMTPUTF8 | OST_MSG_REQUIRETLS | OST_MSG_PROBE);
	d->pub.sender = e->sender ? e->sender : "";
	d->pub.envid = e->envid;
	d->pub.ret = e->ret;
	d->pub.content_size = d->stored.size;
	d->pub.arrival = e->arrival;
	d->pub.deadline = clock_mono() + d->agent->call_timeout;
	for (uint32_t i = 0; i < d->pub.nrcpts; i++) {
		if (d->index[i] >= e->nrcpts)
			return false;
		const struct spool_rcpt *r = &e->rcpts[d->index[i]];
		d->rcpts[i].original = r->original ? r->original : r->address;
		d->rcpts[i].orcpt = r->orcpt;
		d->rcpts[i].notify = r->notify;
	}
	return true;
}

/* One call of deliver(): what it began with, and what the module took along. The thread's own. */
struct round {
	struct delivery *open; /* not finished */
	struct delivery *over; /* finished, and not with the clerk yet: a list by finished_next */
};

static void round_add(struct round *round, struct delivery *d)
{
	d->round = round;
	d->round_next = round->open;
	round->open = d;
}

static void round_remove(struct delivery *d)
{
	struct delivery **at = &d->round->open;
	while (*at != d)
		at = &(*at)->round_next;
	*at = d->round_next;
	d->round = NULL;
}

/* Its recipients all have an outcome now. */
static void close_up(struct delivery *d)
{
	round_remove(d);
	report_rest(d, OST_DEFERRED, "4.3.0", "the transport gave no answer for this recipient");
	d->finished = clock_mono();
}

/* The last one waits for deliver() to return: then this thread has the time to do the clerk's work. */
void delivery_finish(struct delivery *d)
{
	CHECK_MAGIC(d, AGENT_MAGIC);
	struct round *round = d->round;
	assert(round);
	close_up(d);
	if (round->open)
		clerk_take(d->agent->clerk, d, false);
	else
		round->over = d;
}

/* Something is wrong on our side: every recipient is tried again later. */
static void put_off(struct delivery *d, const char *text)
{
	d->finished = clock_mono();
	report_rest(d, OST_DEFERRED, "4.3.0", text);
	clerk_take(d->agent->clerk, d, false);
}

/* Gets the message; false: there is nothing to deliver, and this delivery has come to its end. */
static bool get_message(struct delivery *d)
{
	struct ost_why why = { .text = "" };
	switch (spool_fetch_unread(d->agent->spool, d->ticket, d->ticket_len, &d->stored, &why)) {
	case FETCH_OK:
		break;
	case FETCH_GONE:
		report_gone(d);
		return false;
	case FETCH_DAMAGED:
	case FETCH_FAILED:
		log_error("%s: cannot read the message: %s", d->pub.queue_id, why.text);
		d->pub.arrival = d->taken_utc;
		put_off(d, "the message cannot be read from the spool");
		return false;
	}
	if (fill_in(d))
		return true;
	log_error("%s: qmgr names a message or a recipient that its ticket does not lead to", d->pub.queue_id);
	put_off(d, "internal error: no such message");
	return false;
}

/* To the same next hop? */
static bool goes_along(const void *ctx, const void *job)
{
	const struct delivery *d = ctx, *other = job;
	return strcmp(d->pub.nexthop, other->pub.nexthop) == 0;
}

struct delivery *delivery_next(struct delivery *d)
{
	struct agent *a = d->agent;
	struct delivery *next;
	CHECK_MAGIC(d, AGENT_MAGIC);
	assert(d->round);
	do
		next = crew_take(a->crews[d->crew], goes_along, d);
	while (next && !get_message(next));
	if (!next)
		return NULL;
	round_add(d->round, next);
	next->pub.instance = mod_handle(a->module);
	mod_prolong(a->module, next->pub.deadline);
	return next;
}

/* Calls the module, whatever it does: afterwards each recipient has an outcome. */
void delivery_run(struct delivery *d)
{
	CHECK_MAGIC(d, AGENT_MAGIC);
	struct agent *a = d->agent;
	struct round round = { .open = NULL, .over = NULL };
	if (!get_message(d))
		return;
	round_add(&round, d);
	d->pub.instance = mod_handle(a->module);
	if (d->pub.flags & OST_MSG_PROBE && !(a->ops->ops.flags & OST_TRANSPORT_PROBES)) {
		report_rest(d, OST_SENT, "2.0.0", arena_printf(d->arena, "delivers to transport %s", a->transport));
	} else {
		mod_enter(a->module, "deliver", d->pub.deadline);
		a->ops->deliver(mod_self(a->module), &d->pub);
		mod_leave(a->module);
	}
	while (round.open) {
		d = round.open;
		close_up(d);
		d->finished_next = round.over;
		round.over = d;
	}
	clerk_take(a->clerk, round.over, true);
}
