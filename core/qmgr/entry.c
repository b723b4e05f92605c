/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/entry.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "qmgr/backoff.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"

enum {
	TURN_MAX = 500,   /* entries handled in one turn of the loop */
	LOADING_MAX = 64, /* asked of the keeper at a time: what else it is asked for must not wait long */
};

struct entry *entry_find(struct qmgr *q, uint64_t serial)
{
	struct entry *e;
	HASH_FIND(hh, q->entries, &serial, sizeof serial, e);
	return e;
}

struct entry *entry_new(struct qmgr *q, uint64_t serial)
{
	struct entry *e = MEM_NEW(struct entry);
	e->serial = serial;
	e->state = ENTRY_LEAVING; /* in no list; the caller moves it */
	HASH_ADD(hh, q->entries, serial, sizeof e->serial, e);
	q->counts[ENTRY_LEAVING]++;
	return e;
}

/* The list that the entry is in; NULL: its state has none. */
static struct entry_list *list_of(struct qmgr *q, const struct entry *e)
{
	switch (e->state) {
	case ENTRY_DEFERRED:
	case ENTRY_LEAVING:
		return NULL;
	case ENTRY_INCOMING:
		return e->flags & ENTRY_RETRIED ? &q->retried : &q->lists[ENTRY_INCOMING];
	default:
		return &q->lists[e->state];
	}
}

/* Does it take of the room that mail which is tried again may have? */
static bool is_retried_in(const struct entry *e)
{
	return e->flags & ENTRY_RETRIED && (e->state == ENTRY_LOADING || e->state == ENTRY_ACTIVE);
}

void entry_unlink(struct qmgr *q, struct entry *e)
{
	struct entry_list *list = list_of(q, e);
	if (list)
		TAILQ_REMOVE(list, e, link);
	else if (e->state == ENTRY_DEFERRED)
		schedule_remove(schedule_has(&q->flushing, e) ? &q->flushing : &q->schedule, e);
	q->retried_in -= is_retried_in(e);
	q->counts[e->state]--;
	e->state = ENTRY_LEAVING;
	q->counts[ENTRY_LEAVING]++;
}

void entry_move(struct qmgr *q, struct entry *e, enum entry_state state)
{
	assert(state != ENTRY_DEFERRED);
	entry_unlink(q, e);
	q->counts[ENTRY_LEAVING]--;
	q->counts[state]++;
	e->state = (uint8_t)state;
	q->retried_in += is_retried_in(e);
	struct entry_list *list = list_of(q, e);
	if (list)
		TAILQ_INSERT_TAIL(list, e, link);
}

void entry_defer(struct qmgr *q, struct entry *e, int64_t wait)
{
	entry_unlink(q, e);
	q->counts[ENTRY_LEAVING]--;
	q->counts[ENTRY_DEFERRED]++;
	e->state = ENTRY_DEFERRED;
	schedule_add(&q->schedule, e, clock_mono() + wait);
}

void entry_release(struct qmgr *q, struct entry *e)
{
	if (e->state != ENTRY_LEAVING || e->message || e->asked > 0)
		return;
	HASH_DEL(q->entries, e);
	q->counts[ENTRY_LEAVING]--;
	free(e);
}

const char *entry_queue(enum entry_state state)
{
	static const char *const names[ENTRY_STATES] = {
		[ENTRY_INCOMING] = "incoming", [ENTRY_LOADING] = "incoming", [ENTRY_ACTIVE] = "active",
		[ENTRY_DEFERRED] = "deferred", [ENTRY_HOLD] = "hold",        [ENTRY_FLIGHT] = "active",
		[ENTRY_LEAVING] = "active",
	};
	return names[state];
}

void entry_make_due(struct qmgr *q, struct entry *e, unsigned flags)
{
	assert(e->state == ENTRY_DEFERRED || e->state == ENTRY_HOLD);
	entry_unlink(q, e);
	e->flags |= (uint8_t)(flags | ENTRY_RETRIED);
	entry_move(q, e, ENTRY_INCOMING);
}

/* The schedule becomes the flush as it is, however long it is. */
static void start_flush(struct qmgr *q)
{
	schedule_free(&q->flushing);
	q->flushing = q->schedule;
	q->schedule = (struct schedule){ 0 };
	q->flush_again = false;
}

void entry_flush_all(struct qmgr *q)
{
	if (q->flushing.count > 0)
		q->flush_again = true;
	else
		start_flush(q);
}

int64_t entry_next_due(const struct qmgr *q)
{
	const struct entry *e = schedule_first(&q->schedule);
	return e ? e->due : CLOCK_NEVER;
}

/* The next entry that is tried again: one that was due, or one of the flush. NULL: none, or no room. */
static struct entry *next_retried(struct qmgr *q)
{
	if (!entry_has_room(q, true) || q->counts[ENTRY_LOADING] >= pace_limit(&q->pace, clock_mono()))
		return NULL;
	if (!TAILQ_EMPTY(&q->retried))
		return TAILQ_FIRST(&q->retried);
	if (q->flushing.count == 0 && q->flush_again)
		start_flush(q);
	struct entry *e = schedule_any(&q->flushing);
	if (e)
		entry_make_due(q, e, ENTRY_FORCED);
	return e;
}

/* The next entry that may become active: new mail and mail that is tried again take turns. */
static struct entry *next_incoming(struct qmgr *q)
{
	struct entry *fresh = entry_has_room(q, false) ? TAILQ_FIRST(&q->lists[ENTRY_INCOMING]) : NULL;
	struct entry *retried = fresh && q->retried_turn ? NULL : next_retried(q);
	q->retried_turn = retried != NULL;
	return retried ? retried : fresh;
}

bool entry_has_room(const struct qmgr *q, bool retried)
{
	uint64_t in = q->counts[ENTRY_ACTIVE] + q->counts[ENTRY_LOADING];
	uint64_t most = (uint64_t)q->settings.active_limit;
	int64_t recipients = q->settings.recipient_limit;
	if (in == 0)
		return true;
	if (retried &&
	    (q->retried_in >= (most + 1) / 2 || (q->recipients >= recipients / 2 && q->retried_in > 0)))
		return false;
	return in < most && (q->recipients < recipients || q->counts[ENTRY_ACTIVE] == 0);
}

/* Asks the keeper once more to remove it. */
static void remove_again(struct qmgr *q, struct entry *e)
{
	entry_unlink(q, e);
	e->flags &= (uint8_t)~ENTRY_OVER;
	e->asked++;
	keeper_delete(q->keeper, e->serial, &q->delete_answer);
}

bool entry_admit(struct qmgr *q)
{
	struct entry *e;
	int64_t now = clock_mono();
	int done = 0;
	for (; (e = schedule_first(&q->schedule)) && e->due <= now && done < TURN_MAX; done++)
		entry_make_due(q, e, 0);
	for (int n = 0; q->counts[ENTRY_LOADING] < LOADING_MAX && (e = next_incoming(q)); n++) {
		if (n == TURN_MAX)
			return true;
		if (e->flags & ENTRY_OVER) {
			remove_again(q, e);
			continue;
		}
		if (flight_holds(q, e)) {
			entry_move(q, e, ENTRY_FLIGHT);
			continue;
		}
		entry_move(q, e, ENTRY_LOADING);
		e->asked++;
		keeper_load(q->keeper, e->serial, &q->load_answer);
	}
	return done == TURN_MAX;
}
