/* SPDX-License-Identifier: Apache-2.0
 * A stage for the keeper's tests: a spool with a writer and a keeper, and what the keeper told. */
#ifndef TEST_SPOOL_STAGE_H
#define TEST_SPOOL_STAGE_H

#include "helper.h"

#include "spool/keeper.h"

enum { STAGE_MAX = 4096 };

struct stage {
	char *path;
	struct spool_options options;
	struct spool *spool;
	struct spool_writer *writer;
	struct keeper *keeper;
	struct arena *arena;
	struct hint_catch hints; /* those that were not passed on */
	bool lose_hints;
	/* What the keeper told. */
	struct keeper_summary found[STAGE_MAX];
	size_t nfound;
	bool scanned;
	size_t loaded, updated, reread, results;
	bool ok;                    /* of the last updated() */
	struct spool_envelope *env; /* of the last loaded(): a copy, or NULL */
	uint64_t last_serial;
	struct spool_result last_result;
};

/* For cmocka: a spool of eight segments of 256 KiB, with writer and keeper. */
int stage_setup(void **state);
int stage_teardown(void **state);
/* The spool closed and opened again, as after an orderly end of everything. */
void stage_restart(struct stage *);
/* For stage_wait_stats(): so many recyclings at least, so many messages. */
bool stats_recycled(const struct keeper_stats *, uint64_t n);
bool stats_messages(const struct keeper_stats *, uint64_t n);

struct stage *stage_new(uint64_t segment_size, uint64_t segment_count);
struct stage *stage_at(char *path, uint64_t segment_size, uint64_t segment_count); /* a spool that is there */
void stage_free(struct stage *);
void stage_open_writer(struct stage *);
void stage_close_writer(struct stage *);
/* Opens the keeper and scans. Everything told before is forgotten. */
void stage_open_keeper(struct stage *);
void stage_start_keeper(struct stage *); /* without waiting for the end of the scan */
void stage_make_keeper(struct stage *);  /* which has not been told to scan */
void stage_close_keeper(struct stage *);
/* Dispatches until *count has reached want, or fails after 20 s. */
void stage_wait(struct stage *, const size_t *count, size_t want);
/* Dispatches for so many seconds at least. */
void stage_run(struct stage *, double seconds);
/* Dispatches until the keeper's statistics satisfy; fails after 20 s. */
void stage_wait_stats(struct stage *, bool (*good)(const struct keeper_stats *, uint64_t), uint64_t n);
/* Stores a message with so many recipients; answers its serial. */
uint64_t stage_store(struct stage *, size_t size, size_t nrcpts);
uint64_t stage_store_env(struct stage *, size_t size, const struct spool_envelope *);
/* Is it among those found? */
const struct keeper_summary *stage_found(const struct stage *, uint64_t serial);
/* Loads: s->env, or NULL. */
struct spool_envelope *stage_load(struct stage *, uint64_t serial);
/* Updates one recipient, waits, answers ok. */
bool stage_update(struct stage *, uint64_t serial, uint32_t rcpt, enum rcpt_status, int64_t next_try);
/* Fetches by the keeper's ticket and compares content and serial. */
void stage_check_content(struct stage *, uint64_t serial, size_t size);
/* How many files are in a folder of the spool. */
size_t stage_count_files(const struct stage *, const char *folder);

#endif
