/* SPDX-License-Identifier: Apache-2.0
 * The keeper's own state, for keeper.c, keeper_news.c and keeper_jobs.c. One thread's, but for `stop` and
 * what the mover has. */
#ifndef SPOOL_KEEPER_STATE_H
#define SPOOL_KEEPER_STATE_H

#include <uthash.h>

#include "spool/index.h"
#include "spool/mover.h"
#include "spool/notices.h"

#define KEEPER_MAGIC 0x4ee9e401u

enum {
	MOVE_AFTER = 60,
	FOLD_AFTER = 30,
	MOVE_AGAIN_AFTER = 10, /* when a move or a fold has failed: nobody waits for it */
	MOVES_MAX = 1024,
	LOOK_TICKS = 2,
	RELOAD_TICKS = 60,
	KEPT_HINTS_MAX = 64 << 20,
	NEWS_PER_DISPATCH = 32, /* what else the caller has to do must not wait long */
};

struct blocked { /* jobs that wait for an entry's present job, in order */
	uint64_t serial;
	struct job *first, **last;
	UT_hash_handle hh;
};

struct serials { /* a growing row */
	uint64_t *items;
	size_t n, cap;
};

struct fold_queue { /* messages with results that are to go to their files some time */
	struct {
		uint64_t serial;
		uint32_t since;
	} * items;
	size_t first, n, cap;
};

struct keeper {
	unsigned magic;
	struct spool *spool;
	struct keeper_events events;
	void *ctx;
	int lock; /* the spool's lock */
	struct post *post;
	struct mover mover;
	pthread_t thread;
	atomic_bool stop; /* a scan that is under way ends */
	struct entry_index index;
	struct notices *notices;
	struct blocked *blocked;
	struct serials retry;  /* removals that failed */
	struct serials reload; /* messages that could not be read when qmgr asked */
	struct serials held;   /* during the scan: notices all of whose recipients are done */
	struct fold_queue folds;
	struct buf hints; /* that came too early, before the scan was through or of a new life: u32 length,
			     bytes */
	bool replaying;   /* those hints are being taken: what nobody looks at is passed over */
	bool scan_asked, journal_scanned, scanned, closing;
	struct job *early, **last_early; /* before the scan is asked for: what would read results in vain */
	bool blind;                      /* a segment could not be read: no result log is recycled */
	size_t jobs;                     /* with the mover */
	size_t moves;                    /* of them, moves that the keeper wanted itself */
	uint32_t no_moves_before;        /* second of the keeper's life */
	bool looking;                    /* a look is under way */
	bool looking_at_all, look_again; /* a full one; and another is asked for */
	int64_t opened;                  /* clock_mono() */
	unsigned ticks;
	struct keeper_stats stats;
};

/* Seconds of the keeper's life. */
uint32_t keeper_now(const struct keeper *);

/* keeper_jobs.c: what is asked of the mover, and its answers. */
void keeper_post(struct keeper *, struct job *);
/* A job for one message: now, or when the present one is done. The entry may be gone when this returns. */
void keeper_submit(struct keeper *, struct entry *, struct job *);
void keeper_answer(struct keeper *, struct job *); /* frees it */
/* The message's recipients are all done. */
void keeper_end(struct keeper *, struct entry *);
/* A segment's life is over: what was in it is gone for good. */
void keeper_life_over(struct keeper *, uint32_t number);
void keeper_check_segment(struct keeper *, uint32_t number);
void keeper_check_log(struct keeper *, uint32_t number);
void keeper_check_all_logs(struct keeper *);

/* keeper_news.c: what the mover came across, and hints. */
void keeper_take_news(struct keeper *, struct news *);
void keeper_take_hint(struct keeper *, const void *hint, size_t len);
/* Keeps a hint that comes too early. */
void keeper_keep_hint(struct keeper *, const void *hint, size_t len);
/* The mover has looked at a segment in a life that was new: the hints that wait for it. */
void keeper_take_early_hints(struct keeper *, const struct job *);
/* keeper_tick.c: what is done every second. */
void keeper_tick(struct keeper *);
void keeper_start_look(struct keeper *, bool all);
/* Results for this message wait to be folded into its file. */
void keeper_fold_later(struct keeper *, uint64_t serial);
void serials_add(struct serials *, uint64_t);

#endif
