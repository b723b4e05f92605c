/* SPDX-License-Identifier: Apache-2.0
 * The spool as the queue manager sees it. The keeper finds messages, keeps count of what may be forgotten,
 * and does all slow work (reading, moving to files, syncs, removal, recycling) in a mover thread of its own.
 * All calls come from one thread, none waits for a disk; answers are events, run by keeper_dispatch() on that
 * thread. */
#ifndef SPOOL_KEEPER_H
#define SPOOL_KEEPER_H

#include "spool/spool.h"

struct keeper;

struct keeper_summary { /* what qmgr must know of a message that waits */
	uint64_t serial, size;
	int64_t arrival, next_try; /* next_try: the earliest of its deferred recipients; 0: now */
	uint32_t flags;            /* MSG_* */
	uint32_t open_rcpts;       /* neither sent nor done */
	uint32_t owed;             /* RCPT_FAILED or RCPT_SENT_OWED: a notice is due */
};

struct keeper_events {
	/* A message is in the spool that qmgr did not know (a hint, recovery, a dead writer's segment). env
	 * is given when it was at hand (a hint), else NULL: keeper_load() it when its time has come. Once per
	 * serial while it lives. */
	void (*found)(void *ctx, const struct keeper_summary *, const struct spool_envelope *env);
	/* Recovery has been through everything that was readable at the start. */
	void (*scanned)(void *ctx);
	/* Answer to keeper_load(): env is valid during the call, its recipients' states include all results
	 * known. NULL: gone, set aside as damaged (logged), or not to be read now: then it is found again
	 * when it can be read. */
	void (*loaded)(void *ctx, uint64_t serial, void *token, const struct spool_envelope *env);
	/* Answer to keeper_update(): durable (or not: then qmgr tries again later). */
	void (*updated)(void *ctx, uint64_t serial, void *token, bool ok);
	/* Answer to keeper_reread(). Each recipient that a durable result finished meanwhile has been told by
	 * result(). */
	void (*reread)(void *ctx, void *token);
	void (*result)(void *ctx, const struct spool_result *);
};

/* One keeper per spool: takes its lock; false with "is in use by …" when another holds it. */
struct keeper *keeper_open(struct spool *, const struct keeper_events *, void *ctx, struct ost_why *);
void keeper_close(struct keeper **);   /* finishes queued work first */
int keeper_fd(const struct keeper *);  /* readable when keeper_dispatch() has something to do */
void keeper_dispatch(struct keeper *); /* a bounded piece of it */

void keeper_scan(struct keeper *); /* start recovery: found() …, then scanned() */
/* Bytes that a writer's hint function produced, or spool_writer_report(). */
void keeper_hint(struct keeper *, const void *hint, size_t len);
/* A process that had the spool open died, or queue_run_delay has passed: look at what is unlocked now. */
void keeper_look(struct keeper *);
/* Reads the result logs again (a living agent has come back: what it finished is in them). */
void keeper_reread(struct keeper *, void *token);

void keeper_load(struct keeper *, uint64_t serial, void *token);
/* The ticket with which another process fetches the message; empty when it is not known. */
void keeper_ticket(struct keeper *, uint64_t serial, struct buf *ticket);
/* An agent reported results with this receipt: the log that holds them is needed until the message is gone.
 */
void keeper_receipt(struct keeper *, uint64_t serial, const void *receipt, size_t len);

struct keeper_change { /* zeros: nothing changes */
	const struct spool_result
		*results;        /* states of recipients; DEFERRED ones with their next_try in .next_try[] */
	const int64_t *next_try; /* parallel to results; may be NULL */
	size_t nresults;
	uint32_t set_flags, clear_flags; /* MSG_HOLD … */
	uint32_t notice_round;           /* rounds of notices stored so far; 0: as it was */
	int64_t warn_at;                 /* 0: as it was; -1: none any more */
};
/* Makes the change durable, in the message's file (a message that is in the journal moves there). updated()
 * follows. The change is copied before this returns. */
void keeper_update(struct keeper *, uint64_t serial, const struct keeper_change *, void *token);
/* Every recipient is RCPT_SENT or RCPT_DONE by durable results or updates: the message leaves the spool. */
void keeper_finish(struct keeper *, uint64_t serial);
/* postsuper -d: gone whatever its recipients' state; durable when updated() says so. */
void keeper_delete(struct keeper *, uint64_t serial, void *token);
/* Has the notice (of, round) been stored already, as far as recovery and hints know? */
bool keeper_notice_known(struct keeper *, uint64_t of, uint32_t round);

struct keeper_stats {
	uint64_t messages, journal_segments, journal_free, result_segments, files_moved, recycled;
};
void keeper_stats(struct keeper *, struct keeper_stats *);

#endif
