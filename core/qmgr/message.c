/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "qmgr/backoff.h"
#include "qmgr/job.h"
#include "qmgr/qmgr.h"
#include "qmgr/settle.h"

enum { TEXT_MAX = 600 };

/* ---- from the envelope --------------------------------------------------------------------------------------- */

/* What the window does with a recipient of the envelope. */
enum place { PLACE_NOT, PLACE_TRY, PLACE_OWED, PLACE_LATER };

static enum place place_of(const struct qmgr *q, const struct spool_rcpt *r, bool forced, int64_t now)
{
	switch (r->status) {
	case RCPT_PENDING:
		return PLACE_TRY;
	case RCPT_DEFERRED:
		return forced || backoff_due(&q->settings, r->next_try, now) ? PLACE_TRY : PLACE_LATER;
	case RCPT_FAILED:
	case RCPT_SENT_OWED:
		return PLACE_OWED;
	case RCPT_SENT:
	case RCPT_DONE:
	default:
		return PLACE_NOT;
	}
}

/* What of an envelope goes into memory. */
struct window {
	uint32_t count, open;
	size_t text;
	int64_t later;
	bool more;
};

static size_t text_size(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

/* Counts, within the limits, the recipients to be tried, and those that a notice is owed for. */
static struct window measure(const struct qmgr *q, const struct spool_envelope *env, bool forced, int64_t now)
{
	struct window w = { .text = text_size(env->sender ? env->sender : "") +
				    text_size(env->content_filter) + text_size(env->redirect) };
	int64_t room = q->settings.recipient_limit - q->recipients;
	if (room < q->settings.recipient_minimum)
		room = q->settings.recipient_minimum;
	for (size_t i = 0; i < env->nrcpts; i++) {
		const struct spool_rcpt *r = &env->rcpts[i];
		enum place place = place_of(q, r, forced, now);
		if (place == PLACE_LATER && (!w.later || r->next_try < w.later))
			w.later = r->next_try;
		if (place != PLACE_TRY && place != PLACE_OWED)
			continue;
		if (w.count >= room) {
			w.more = true;
			break;
		}
		w.count++;
		w.open += place == PLACE_TRY;
		w.text += text_size(r->address) + text_size(r->original);
	}
	return w;
}

/* Copies a string to *at and moves *at behind it. */
static const char *put_text(char **at, const char *s)
{
	if (!s)
		return NULL;
	size_t n = strlen(s) + 1;
	char *copy = memcpy(*at, s, n);
	*at += n;
	return copy;
}

static struct arena *message_arena(struct message *m)
{
	if (!m->arena)
		m->arena = arena_new();
	return m->arena;
}

static const char *keep_text(struct message *m, const char *s)
{
	char clean[TEXT_MAX];
	if (!s)
		return NULL;
	return arena_strdup(message_arena(m), sanitize_into(clean, sizeof clean, s, strlen(s), SANITIZE_LOG));
}

static void fill_rcpt(struct message *m, struct rcpt *r, uint32_t index, const struct spool_rcpt *from,
		      bool owed, char **text)
{
	*r = (struct rcpt){
		.address = put_text(text, from->address),
		.original = put_text(text, from->original),
		.index = index,
		.state = owed ? R_FINAL : R_RESOLVING,
		.status = (uint8_t)from->status,
		.notify = (uint8_t)from->notify,
		.tried = from->attempts > 0 || from->last_try > 0,
		.waited = from->status == RCPT_DEFERRED,
	};
	if (owed) {
		r->dsn = keep_text(m, from->dsn);
		r->reason = keep_text(m, from->reason);
		r->mta = keep_text(m, from->mta);
		r->diagnostic = keep_text(m, from->diagnostic);
	}
}

/* One block of memory for the message, its window and their strings. */
static struct message *message_new(struct qmgr *q, struct entry *e, const struct spool_envelope *env,
				   int64_t now)
{
	bool forced = e->flags & ENTRY_FORCED || env->flags & MSG_FLUSH;
	struct window w = measure(q, env, forced, now);
	struct message *m = mem_alloc(sizeof *m + w.count * sizeof(struct rcpt) + w.text);
	struct rcpt *rcpts = (struct rcpt *)(m + 1);
	char *text = (char *)(rcpts + w.count);
	*m = (struct message){
		.magic = MESSAGE_MAGIC,
		.flags = env->flags,
		.entry = e,
		.serial = env->serial ? env->serial : e->serial,
		.size = env->size,
		.arrival = env->arrival,
		.warn_at = env->warn_at,
		.active_since = now,
		.later = w.later,
		.rounds = env->rounds,
		.total = (uint32_t)env->nrcpts,
		.rcpts = rcpts,
		.nrcpts = w.count,
		.open = w.open,
		.unresolved = w.open,
		.more = w.more,
		.class = e->flags & ENTRY_RETRIED ? MAIL_RETRIED : MAIL_FRESH,
		.sender = put_text(&text, env->sender ? env->sender : ""),
		.content_filter = put_text(&text, env->content_filter),
		.redirect = put_text(&text, env->redirect),
	};
	TAILQ_INIT(&m->jobs);
	queue_id_text(m->queue_id, m->serial, q->settings.long_queue_ids);
	uint32_t n = 0;
	for (size_t i = 0; i < env->nrcpts && n < w.count; i++) {
		enum place place = place_of(q, &env->rcpts[i], forced, now);
		if (place == PLACE_TRY || place == PLACE_OWED)
			fill_rcpt(m, &rcpts[n++], (uint32_t)i, &env->rcpts[i], place == PLACE_OWED, &text);
	}
	q->recipients += w.count;
	return m;
}

void message_activate(struct qmgr *q, struct entry *e, const struct spool_envelope *env)
{
	struct message *m = message_new(q, e, env, clock_utc());
	entry_move(q, e, ENTRY_ACTIVE);
	e->message = m;
	e->flags &= (uint8_t)~ENTRY_FORCED;
	if (m->open > 0)
		log_info("%s: from=<%s>, size=%llu, nrcpt=%u (queue active)", m->queue_id, m->sender,
			 (unsigned long long)m->size, (unsigned)m->total);
	for (uint32_t i = 0; i < m->nrcpts; i++)
		if (m->rcpts[i].state == R_RESOLVING)
			resolve_ask(q, m, &m->rcpts[i]);
	message_check(q, m);
}

void message_destroy(struct qmgr *q, struct message **mp)
{
	struct message *m = *mp;
	if (!m)
		return;
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	assert(TAILQ_EMPTY(&m->jobs) && m->flying == 0);
	if (m->stuck)
		TAILQ_REMOVE(&q->stuck, m, stuck_link);
	m->entry->message = NULL;
	q->recipients -= m->nrcpts;
	arena_destroy(&m->arena);
	m->magic = 0;
	free(m);
	*mp = NULL;
}

struct rcpt *message_rcpt(struct message *m, uint32_t index)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	uint32_t low = 0, high = m->nrcpts;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (m->rcpts[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->nrcpts && m->rcpts[low].index == index ? &m->rcpts[low] : NULL;
}

/* ---- results ------------------------------------------------------------------------------------------------- */

/* Leaves the state it has for a final one. */
static void rcpt_close(struct message *m, struct rcpt *r, enum rcpt_state state)
{
	assert(r->state < R_FINAL && m->open > 0);
	if (r->state == R_RESOLVING)
		m->unresolved--;
	r->state = (uint8_t)state;
	m->open--;
}

void rcpt_finish(struct message *m, struct rcpt *r, const struct outcome *o)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	rcpt_close(m, r, R_FINAL);
	r->status = (uint8_t)o->status;
	r->tried = true;
	if (o->status == RCPT_SENT || o->status == RCPT_DONE)
		return; /* nobody asks why */
	r->dsn = keep_text(m, o->dsn);
	r->reason = keep_text(m, o->reason);
	r->mta = keep_text(m, o->mta);
	r->diagnostic = keep_text(m, o->diagnostic);
}

/* "1.2", "0.05", "0": seconds as Postfix's delay= and delays= show them. */
static const char *seconds_text(char *text, size_t size, int64_t us)
{
	if (us < 0)
		us = 0;
	if (us >= 10 * CLOCK_SECOND)
		snprintf(text, size, "%lld", (long long)((us + CLOCK_SECOND / 2) / CLOCK_SECOND));
	else if (us >= CLOCK_SECOND)
		snprintf(text, size, "%.2g", (double)us / CLOCK_SECOND);
	else if (us >= CLOCK_SECOND / 100)
		snprintf(text, size, "%.2f", (double)us / CLOCK_SECOND);
	else
		snprintf(text, size, us < CLOCK_SECOND / 1000 ? "0" : "0.01");
	return text;
}

void rcpt_finish_ours(struct qmgr *q, struct message *m, struct rcpt *r, const struct outcome *o)
{
	char delay[32], before[32], queued[32];
	bool tried = r->tried;
	int64_t now = clock_utc();
	(void)q;
	rcpt_finish(m, r, o);
	/* To wait for a destination that is down is no attempt: it cannot make the recipient expire. */
	r->tried = tried || o->status != RCPT_DEFERRED;
	r->ours = true;
	log_info("%s: to=<%s>%s%s%s, relay=none, delay=%s, delays=%s/%s/0/0, dsn=%s, status=%s (%s)",
		 m->queue_id, r->address, r->original ? ", orig_to=<" : "", r->original ? r->original : "",
		 r->original ? ">" : "", seconds_text(delay, sizeof delay, now - m->arrival),
		 seconds_text(before, sizeof before, m->active_since - m->arrival),
		 seconds_text(queued, sizeof queued, now - m->active_since), r->dsn ? r->dsn : "4.3.0",
		 o->status == RCPT_DEFERRED ? "deferred" : "bounced", r->reason ? r->reason : "");
}

void message_withdraw(struct qmgr *q, struct message *m)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	jobs_withdraw(q, m);
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		struct rcpt *r = &m->rcpts[i];
		if (r->state != R_RESOLVING && r->state != R_QUEUED)
			continue;
		if (r->state == R_RESOLVING)
			resolve_forget(q, r);
		rcpt_close(m, r, R_WITHDRAWN);
	}
}

void message_check(struct qmgr *q, struct message *m)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	if (m->pinned > 0)
		return;
	if (m->stage == STAGE_GONE) {
		struct entry *e = m->entry;
		if (m->flying > 0 || m->notices > 0)
			return;
		message_destroy(q, &m);
		entry_release(q, e);
	} else if (m->stage == STAGE_DELIVERING && m->open == 0 && m->flying == 0) {
		settle(q, m);
	}
}

void message_pin(struct message *m)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	assert(m->pinned < UINT8_MAX);
	m->pinned++;
}

void message_unpin(struct qmgr *q, struct message *m)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	assert(m->pinned > 0);
	m->pinned--;
	message_check(q, m);
}
