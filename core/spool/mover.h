/* SPDX-License-Identifier: Apache-2.0
 * The keeper's second thread: it reads, moves, syncs, removes and recycles, and decides nothing. Everything
 * here is that thread's alone, but for the post. */
#ifndef SPOOL_MOVER_H
#define SPOOL_MOVER_H

#include <uthash.h>

#include "spool/aside.h"
#include "spool/file.h"
#include "spool/folder.h"
#include "spool/news.h"
#include "spool/results.h"
#include "spool/scan.h"

struct mover_log {   /* how far a result log has been read */
	uint32_t id; /* of the salt of the life that was read; 0: none */
	uint64_t read_to, sequence;
	bool done; /* closed, and read to its end */
	bool kept; /* something in it could not be read or understood: it is not to be recycled */
};

struct serial_results { /* first scan: results by message */
	uint64_t serial;
	struct pending *list;
	UT_hash_handle hh;
};
struct void_copy { /* first scan: copies that do not count */
	struct spool_void what;
	uint32_t log;
	UT_hash_handle hh;
};

struct mover {
	struct spool *spool;
	struct post *post;
	struct spool_results *own_log; /* voids go here */
	struct mover_log *logs;        /* by number */
	uint32_t nlogs;
	bool scanning;                  /* the first scan, until it is through with the journal */
	bool in_files;                  /* the first scan, or a look, is going through the files */
	bool partial;  /* the first scan could not read something: what it knows of results and voids is kept */
	uint64_t highest;               /* serial that was found by the first scan */
	struct job *later;              /* jobs that wait for the end of the scan, in order */
	struct serial_results *results; /* while scanning, and afterwards when the scan was partial */
	struct void_copy *voids;        /* the same */
	struct spool_void
		*owed_voids; /* whose file is durable, but that is not noted: no file goes before it is */
	size_t nowed;
	struct job *removed, **last_removed; /* names that are gone, but not durably yet */
	int64_t sync_at; /* clock_mono(): not before is that made durable, unless something waits for it */
	bool (*stopping)(void *ctx);
	void *ctx;
};

struct finds { /* a growing row of messages */
	struct found *items;
	size_t n, cap;
};

/* mover_find.c: what is in the spool. */
void mover_scan(struct mover *);
void mover_look(struct mover *, const struct job *);
void mover_gap(struct mover *, const struct job *);
void mover_read_files(struct mover *, const struct job *);
/* A segment without a good header: it is set aside if it is damaged, and left if it cannot be read now, or is held. */
void mover_no_header(struct mover *, int fd, int dir, const char *name, bool locked);
/* A writer that died may have written what it did not live to sync. It counts from now on, so it is made durable. */
void mover_settle(struct mover *, int fd, const struct segment_header *, bool locked);
/* mover_logs.c */
void mover_read_logs(struct mover *, bool open_too); /* also those that somebody writes */
void mover_forget_results(struct mover *);
/* mover_write.c: each takes a list of jobs and answers all of them. */
void mover_update(struct mover *, struct job *);
void mover_void(struct mover *, struct job *);
void mover_remove(struct mover *, struct job *); /* leaves answers to mover_sync_removed() */
void mover_sync_removed(struct mover *); /* makes durable that names are gone */
void mover_recycle(struct mover *, struct job *);
/* mover.c */
void mover_load(struct mover *, struct job *);
void mover_answer(struct mover *, struct job *);
void *mover_run(void *mover);
/* In the middle of going through the files: what can be done for messages that are known already. */
void mover_meanwhile(struct mover *);
/* Makes copies void durably, those owed first. */
bool mover_note_voids(struct mover *, const struct spool_void *, size_t n, struct ost_why *);

/* The states of recipients in few numbers. */
struct keeper_summary mover_summary(const struct spool_envelope *);
/* Adds a message to a row. */
struct found *finds_add(struct finds *);
/* Opens a file of the spool for reading. -1: errno. The first scan waits while the process has no descriptor or memory to
 * spare: what it does not see is delivered again. */
int mover_open(struct mover *, int dir, const char *name);
/* The same for a list of segments. */
struct folder_list mover_segments(struct mover *, int dir);
/* Takes the results known of this message out of the scan's table and applies them. */
struct pending *mover_take_results(struct mover *, uint64_t serial, struct spool_envelope *);

#endif
