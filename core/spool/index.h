/* SPDX-License-Identifier: Apache-2.0
 * What the keeper remembers: messages by serial, journal segments, result logs. One thread's, the one that
 * calls the keeper. A million waiting messages is what it is built for: 48 bytes each, and 4 to 8 in the hash
 * table. */
#ifndef SPOOL_INDEX_H
#define SPOOL_INDEX_H

#include "spool/keeper.h"
#include "spool/news.h"

enum {
	ENTRY_FILE = 1,  /* the message's file is its home; else its segment */
	ENTRY_BUSY = 2,  /* a job for it is with the mover: others wait */
	ENTRY_GONE = 4,  /* left the spool; kept until its segment is recycled, for the logs that name it */
	ENTRY_NAMED = 8, /* its file has a second name */
	ENTRY_FOREIGN = 16,   /* of a later version: left in place */
	ENTRY_NOTICE = 32,    /* a notice about another message */
	ENTRY_FINISH = 64,    /* finished, but must wait for the message it is about */
	ENTRY_REMOVING = 128, /* its removal is under way */
	ENTRY_UNSURE = 256,   /* a file that was there already: its content has not been verified */
	ENTRY_GHOST = 512,    /* in the journal; a move failed half way, and its file may come back */
};
enum { NO_ENTRY = 0 };

struct entry {
	uint64_t serial;
	struct pending *pending; /* results that are in logs and not yet in its file */
	uint32_t at, length;     /* of the record in its segment */
	uint32_t next, prev;     /* in one of its segment's lists: slots of entries, 0: none */
	uint32_t born;           /* second of the keeper's life in which it was found */
	uint16_t segment;        /* number, 0: none */
	uint16_t flags;
	uint8_t rounds; /* of notices stored, durable; 255 and more is 255 */
};

struct journal_segment {
	bool known, used, closed, unreadable, recycling;
	struct salt salt;
	uint32_t id;                /* salt_id() */
	uint32_t asked;             /* of a life that the mover was asked to look at; 0: none */
	uint32_t first, last, live; /* entries that wait, in order, and their number */
	uint32_t gone;              /* list of those that have left the spool */
	uint64_t read_to, sequence; /* all records before it are known; the last one's number */
	uint64_t *logs;             /* bits: result logs that are needed until it is recycled */
	size_t words;
};

struct result_log {
	bool known, closed, recycling; /* closed: its writer is through, and all of it has been read */
	uint32_t id, refs;             /* refs: pending results and segments that need it */
};

struct entry_index {
	struct entry **blocks; /* entries by slot; slot 0 is none */
	uint32_t slots, free;  /* free: head of the list of unused ones, by .next */
	uint32_t *table;       /* open addressing: slots */
	size_t mask;
	size_t count, live;
	struct journal_segment *segments; /* by number */
	struct result_log *logs;          /* by number */
	uint32_t nsegments, nlogs;        /* length of the arrays */
};

void index_init(struct entry_index *);
void index_free(struct entry_index *);
struct entry *index_find(struct entry_index *, uint64_t serial);
/* A new one; the serial must not be there. Pointers stay good until it is dropped. */
struct entry *index_add(struct entry_index *, uint64_t serial);
void index_drop(struct entry_index *, struct entry *); /* not in a segment's list, no pending results */

/* Grown as needed; never NULL. Pointers are good until the next of these calls. */
struct journal_segment *index_segment(struct entry_index *, uint32_t number);
struct result_log *index_log(struct entry_index *, uint32_t number);

/* Puts an entry at the end of a segment's list of those that wait, or takes it out. */
void segment_link(struct entry_index *, struct entry *, uint32_t number);
void segment_unlink(struct entry_index *, struct entry *);
struct entry *segment_first(struct entry_index *, const struct journal_segment *);
struct entry *segment_next(struct entry_index *, const struct entry *);

/* A segment needs a log until it is recycled. */
void segment_needs_log(struct entry_index *, uint32_t number, uint32_t log);
void segment_forget_logs(struct entry_index *, uint32_t number);
/* Puts results in front of an entry's list, each with its reference to a log; drops from one on (NULL: none).
 */
void entry_add_pending(struct entry_index *, struct entry *, struct pending *);
void entry_drop_pending(struct entry_index *, struct entry *, struct pending *from);
/* The entry has left the spool while its record lies in a segment: the segment needs the logs now. */
void entry_bury(struct entry_index *, struct entry *);
/* Drops all that are gone of a segment. */
void segment_forget_gone(struct entry_index *, uint32_t number);

#endif
