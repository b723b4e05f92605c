/* SPDX-License-Identifier: Apache-2.0
 * Group commit onto a family of segments. Threads submit finished records; the first that finds no leader
 * leads: it writes all that wait with one pwritev, syncs once, and answers each, batch after batch until
 * nothing waits. */
#ifndef SPOOL_APPEND_H
#define SPOOL_APPEND_H

#include "spool/segment.h"

enum append_outcome {
	APPEND_DURABLE,
	APPEND_ELSEWHERE, /* no segment is to be had, or the record is too large for one: nothing was written
			   */
	APPEND_NO_SPACE,
	APPEND_FAILED,
};

struct append_item {
	struct append_item *next;
	/* Set by the submitter. The record stands in memory as it goes to disk, RECORD_HEAD bytes of room for
	 * the head first; of the head, sequence and at are the leader's. */
	char *record;
	size_t len;
	struct record_head head;
};

struct append_batch {
	enum append_outcome outcome;
	struct append_item *items; /* a list; each belongs to the receiver again */
	uint32_t number; /* with APPEND_DURABLE: the segment, its salt, and the batch's bytes in it */
	struct salt salt;
	uint64_t start, end;
	struct ost_why why; /* with the others */
};
/* Called by the leader for each batch, no lock held. Must not block for long: the next batch waits. */
typedef void append_done_fn(void *ctx, const struct append_batch *);

struct append;
struct append *append_open(const struct segment_family *, append_done_fn *, void *ctx);
void append_close(struct append **); /* nothing may be waiting; gives its segment back */
void append_submit(struct append *, struct append_item *);
/* Takes a segment now, so that the first record need not wait for it. */
bool append_prepare(struct append *, struct ost_why *);

struct append_place {    /* where the writer stands: everything before `end` is durable */
	uint32_t number; /* 0: nowhere */
	struct salt salt;
	uint64_t end, sequence;
};
struct append_place append_where(struct append *);

#endif
