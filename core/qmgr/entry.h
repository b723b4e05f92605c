/* SPDX-License-Identifier: Apache-2.0
 * Every message of the spool that qmgr knows, whether in memory or not: a small entry, found by its serial,
 * in one state.
 *
 *   INCOMING   found or due: waits for room in the active queue     (one of two lists)
 *   LOADING    keeper_load() has been asked for it
 *   ACTIVE     in memory as a struct message (message.h)
 *   DEFERRED   waits for a time, or for its turn in a flush         (the schedule, or the flush)
 *   HOLD       waits for the administrator
 *   FLIGHT     an agent that outlived the former qmgr is delivering it (flight.h)
 *   LEAVING    finished or deleted: the keeper is removing it
 */
#ifndef QMGR_ENTRY_H
#define QMGR_ENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uthash.h>

struct message;
struct qmgr;
struct keeper_summary;
struct spool_envelope;

enum entry_state {
	ENTRY_INCOMING,
	ENTRY_LOADING,
	ENTRY_ACTIVE,
	ENTRY_DEFERRED,
	ENTRY_HOLD,
	ENTRY_FLIGHT,
	ENTRY_LEAVING,
	ENTRY_STATES
};

enum {
	ENTRY_RETRIED = 0x1, /* has waited: MAIL_RETRIED. Changes only outside LOADING and ACTIVE */
	ENTRY_FORCED = 0x2,  /* every recipient is tried, whatever its next_try says (flush, requeue) */
	ENTRY_HELD = 0x4,    /* to be held as soon as it is out of the agents' hands */
	ENTRY_OVER = 0x8,    /* to be removed, and could not be: it is never made active again */
};

struct entry {
	UT_hash_handle hh;
	uint64_t serial;
	int64_t due;             /* clock_mono, while in the schedule */
	struct message *message; /* ACTIVE; may outlive LEAVING while agents still have it */
	TAILQ_ENTRY(entry) link; /* in the list of its state: all but DEFERRED and LEAVING */
	uint32_t heap_at;        /* schedule.c */
	uint8_t state, flags;
	uint16_t asked; /* answers of the keeper that are still to come */
};
TAILQ_HEAD(entry_list, entry);

struct entry *entry_find(struct qmgr *, uint64_t serial);
struct entry *entry_new(struct qmgr *, uint64_t serial); /* INCOMING, in no list yet */
/* Takes the entry out of whatever list its state has. */
void entry_unlink(struct qmgr *, struct entry *);
/* Out of its list and into the one of the new state. DEFERRED: use entry_defer(). */
void entry_move(struct qmgr *, struct entry *, enum entry_state);
void entry_defer(struct qmgr *, struct entry *,
		 int64_t wait); /* DEFERRED, due `wait` microseconds from now */
/* Frees a LEAVING entry that nothing refers to any more: no message, no answer to come. */
void entry_release(struct qmgr *, struct entry *);
/* Postfix's name of the queue that an entry in this state is in: "active", "deferred" … */
const char *entry_queue(enum entry_state);

/* Moves due entries to INCOMING, and INCOMING ones to the active queue while it has room; new mail and
 * retried mail take turns. Bounded work: answers true when there is more to do at once. */
bool entry_admit(struct qmgr *);
/* May one more message come into memory? Half of it is left to new mail. */
bool entry_has_room(const struct qmgr *, bool retried);
int64_t entry_next_due(const struct qmgr *); /* clock_mono; CLOCK_NEVER */
/* Everything that waits for a time is tried, as soon as there is room for it. */
void entry_flush_all(struct qmgr *);
void entry_make_due(struct qmgr *, struct entry *, unsigned flags); /* from DEFERRED or HOLD to INCOMING */

#endif
