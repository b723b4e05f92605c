/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/settle.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "qmgr/backoff.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"
#include "qmgr/verify.h"

/* What the window's recipients add up to. */
struct sum {
	uint32_t deferred, owed, unsaved, untouched;
};

static struct sum add_up(const struct message *m)
{
	struct sum s = { 0 };
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		const struct rcpt *r = &m->rcpts[i];
		if (r->state == R_WITHDRAWN)
			s.untouched++;
		else if (r->status == RCPT_DEFERRED)
			s.deferred++;
		else if (r->status == RCPT_FAILED || r->status == RCPT_SENT_OWED)
			s.owed++;
		s.unsaved += r->state == R_FINAL && r->status == RCPT_FAILED && r->ours;
	}
	return s;
}

void settle_later(struct qmgr *q, struct message *m)
{
	if (!m->stuck)
		TAILQ_INSERT_TAIL(&q->stuck, m, stuck_link);
	m->stuck = true;
}

/* Has any recipient got a state that is worth a write? That one which waited before waits again, untried (its
 * destination is known to be down), is not: after a restart it is tried a little sooner. */
static bool any_news(const struct message *m)
{
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		const struct rcpt *r = &m->rcpts[i];
		if (r->state == R_FINAL && !(r->status == RCPT_DEFERRED && r->ours && r->waited))
			return true;
	}
	return false;
}

/* Deferred recipients of a message whose time has passed fail, but only those that have been tried. */
static void expire(struct qmgr *q, struct message *m)
{
	bool any = false;
	if (!backoff_expired(&q->settings, !m->sender[0], m->arrival, clock_utc()))
		return;
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		struct rcpt *r = &m->rcpts[i];
		if (r->state != R_FINAL || r->status != RCPT_DEFERRED || !r->tried)
			continue;
		r->status = RCPT_FAILED;
		r->ours = any = true;
	}
	if (any)
		log_info("%s: from=<%s>, status=expired, returned to sender", m->queue_id, m->sender);
}

/* ---- saving -------------------------------------------------------------------------------------------------- */

/* What is to be made durable about the window. */
struct saving {
	struct spool_result *results;
	int64_t *next_try;
	size_t n;
};

/* done: owed recipients have had their notice. */
static struct saving saving_new(const struct message *m, bool done, int64_t now, int64_t next_try)
{
	struct saving s = {
		.results = mem_alloc((m->nrcpts + 1) * sizeof *s.results),
		.next_try = mem_alloc((m->nrcpts + 1) * sizeof *s.next_try),
	};
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		const struct rcpt *r = &m->rcpts[i];
		bool owed = r->status == RCPT_FAILED || r->status == RCPT_SENT_OWED;
		if (r->state != R_FINAL)
			continue;
		s.next_try[s.n] = r->status == RCPT_DEFERRED ? next_try : 0;
		s.results[s.n++] = (struct spool_result){
			.serial = m->serial,
			.rcpt = r->index,
			.status = owed && done ? RCPT_DONE : (enum rcpt_status)r->status,
			.when = now,
			.dsn = r->dsn,
			.reason = r->reason,
			.mta = r->mta,
			.diagnostic = r->diagnostic,
		};
	}
	return s;
}

/* Asks the keeper to save the window's states; settle_saved() follows. */
static void save(struct qmgr *q, struct message *m, enum message_stage stage, struct keeper_change *change,
		 int64_t next_try)
{
	struct saving s = saving_new(m, stage == STAGE_UPDATING, clock_utc(), next_try);
	change->results = s.results;
	change->next_try = s.next_try;
	change->nresults = s.n;
	m->stage = (uint8_t)stage;
	m->entry->asked++;
	keeper_update(q->keeper, m->serial, change, &q->save_answer);
	free(s.results);
	free(s.next_try);
}

/* ---- the steps ----------------------------------------------------------------------------------------------- */

/* All recipients are done: the message leaves the spool. */
static void leave(struct qmgr *q, struct message *m, bool unsaved)
{
	struct entry *e = m->entry;
	log_info("%s: removed", m->queue_id);
	message_destroy(q, &m);
	entry_unlink(q, e);
	if (unsaved) {
		e->asked++;
		keeper_delete(q->keeper, e->serial, &q->delete_answer);
	} else {
		keeper_finish(q->keeper, e->serial);
		entry_release(q, e);
	}
}

static void rest(struct qmgr *q, struct message *m);

/* Saves what the next round starts from, if there is anything new. */
static void put_back(struct qmgr *q, struct message *m)
{
	struct keeper_change change = {
		.set_flags = m->entry->flags & ENTRY_HELD ? MSG_HOLD : 0,
		.clear_flags = MSG_FLUSH & m->flags,
		.notice_round = m->round_used ? m->rounds + 1 : 0,
		.warn_at = m->warned ? -1 : 0,
	};
	if (!any_news(m) && !m->round_used && !m->warned && !change.set_flags && !change.clear_flags)
		rest(q, m);
	else
		save(q, m, STAGE_UPDATING, &change, backoff_next_try(&q->settings, m->arrival, clock_utc()));
}

/* Notices are stored or there were none to make. */
static void after_notices(struct qmgr *q, struct message *m)
{
	struct sum s = add_up(m);
	if (s.deferred == 0 && s.untouched == 0 && !m->more && !m->later)
		leave(q, m, s.owed + s.unsaved > 0);
	else
		put_back(q, m);
}

static void make_notices(struct qmgr *q, struct message *m)
{
	m->stage = STAGE_NOTICES;
	if (!notice_start(q, m))
		after_notices(q, m);
}

void settle(struct qmgr *q, struct message *m)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	assert(m->stage == STAGE_DELIVERING && m->open == 0);
	expire(q, m);
	struct sum s = add_up(m);
	if (m->flags & MSG_VERIFY && s.untouched == 0) {
		verify_tell(q, m);
		leave(q, m, true);
		return;
	}
	if (s.unsaved > 0) {
		struct keeper_change change = { 0 };
		save(q, m, STAGE_SAVING, &change, backoff_next_try(&q->settings, m->arrival, clock_utc()));
	} else {
		make_notices(q, m);
	}
}

/* Where the message goes when its states are saved. */
static void rest(struct qmgr *q, struct message *m)
{
	struct entry *e = m->entry;
	struct sum s = add_up(m);
	int64_t now = clock_utc();
	int64_t wait = CLOCK_NEVER;
	if (s.deferred > 0)
		wait = backoff_wait(&q->settings, backoff_next_try(&q->settings, m->arrival, now), now);
	if (m->later && backoff_wait(&q->settings, m->later, now) < wait)
		wait = backoff_wait(&q->settings, m->later, now);
	bool at_once = m->more || s.untouched > 0 || (e->flags & ENTRY_FORCED);
	message_destroy(q, &m);
	if (e->flags & ENTRY_HELD) {
		e->flags &= (uint8_t)~ENTRY_HELD;
		entry_move(q, e, ENTRY_HOLD);
	} else if (at_once) {
		entry_unlink(q, e);
		e->flags |= ENTRY_RETRIED;
		entry_move(q, e, ENTRY_INCOMING);
	} else {
		entry_defer(q, e, wait);
	}
}

void settle_saved(struct qmgr *q, struct message *m, bool ok)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	if (m->stage == STAGE_GONE) {
		message_check(q, m);
	} else if (!ok) {
		log_warning("%s: its state could not be saved; trying again soon", m->queue_id);
		settle_later(q, m);
	} else if (m->stage == STAGE_SAVING) {
		make_notices(q, m);
	} else {
		assert(m->stage == STAGE_UPDATING);
		rest(q, m);
	}
}

void settle_noticed(struct qmgr *q, struct message *m, bool ok)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	if (m->stage == STAGE_GONE)
		message_check(q, m);
	else if (ok)
		after_notices(q, m);
	else
		settle_later(q, m);
}

void settle_again(struct qmgr *q, struct message *m)
{
	CHECK_MAGIC(m, MESSAGE_MAGIC);
	assert(m->stuck);
	TAILQ_REMOVE(&q->stuck, m, stuck_link);
	m->stuck = false;
	switch (m->stage) {
	case STAGE_SAVING:
		m->stage = STAGE_DELIVERING;
		settle(q, m);
		break;
	case STAGE_NOTICES:
		make_notices(q, m);
		break;
	case STAGE_UPDATING:
		put_back(q, m);
		break;
	default:
		message_check(q, m);
	}
}
