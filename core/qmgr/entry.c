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

enum { TURN_MAX = 2000 }; /* entries handled in one turn of the loop */

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

void entry_unlink(struct qmgr *q, struct entry *e)
{
	struct entry_list *list = list_of(q, e);
	if (list)
		TAILQ_REMOVE(list, e, link);
	else if (e->state == ENTRY_DEFERRED)
		schedule_remove(&q->schedule, e);
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

void entry_flush_all(struct qmgr *q)
{
	struct entry *e;
	while ((e = schedule_first(&q->schedule)))
		entry_make_due(q, e, ENTRY_FORCED);
}

int64_t entry_next_due(const struct qmgr *q)
{
	const struct entry *e = schedule_first(&q->schedule);
	return e ? e->due : CLOCK_NEVER;
}

/* The next entry that may become active: the two lists take turns. */
static struct entry *next_incoming(struct qmgr *q)
{
	struct entry *fresh = TAILQ_FIRST(&q->lists[ENTRY_INCOMING]);
	struct entry *retried = TAILQ_FIRST(&q->retried);
	if (fresh && retried)
		q->retried_turn = !q->retried_turn;
	else
		q->retried_turn = retried != NULL;
	return q->retried_turn ? retried : fresh;
}

bool entry_has_room(const struct qmgr *q)
{
	return q->counts[ENTRY_ACTIVE] + q->counts[ENTRY_LOADING] < (uint64_t)q->settings.active_limit &&
	       (q->recipients < q->settings.recipient_limit || q->counts[ENTRY_ACTIVE] == 0);
}

bool entry_admit(struct qmgr *q)
{
	struct entry *e;
	int64_t now = clock_mono();
	int done = 0;
	for (; (e = schedule_first(&q->schedule)) && e->due <= now && done < TURN_MAX; done++)
		entry_make_due(q, e, 0);
	for (int n = 0; entry_has_room(q) && (e = next_incoming(q)); n++) {
		if (n == TURN_MAX)
			return true;
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
