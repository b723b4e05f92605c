/* SPDX-License-Identifier: Apache-2.0
 * Segments: files of one size, written with zeros once and then recycled, that hold the journal and the
 * result logs.
 *
 * The first 4 KiB hold the header twice (offsets 0 and 2048), written in turn, each with an epoch and a sum:
 * the good one with the higher epoch counts. Who holds the lock of a USED segment appends to it; a FREE one
 * is taken under the lock. */
#ifndef SPOOL_SEGMENT_H
#define SPOOL_SEGMENT_H

#include "base/why.h"
#include "spool/record.h"
#include "spool/sys.h"

enum segment_kind { SEGMENT_JOURNAL = 1, SEGMENT_RESULTS = 2 };
enum segment_state { SEGMENT_FREE = 1, SEGMENT_USED = 2 };
enum { SEGMENT_HEADER = 4096, SEGMENT_NAME = 16, SEGMENT_MIN = 64 * 1024 };

struct segment_family { /* one folder of segments */
	const struct sys *sys;
	int dir;
	enum segment_kind kind;
	uint64_t size;    /* of new ones, a multiple of RECORD_BORDER */
	uint32_t count;   /* at most that many; numbers are 1 … count */
	uint64_t reserve; /* bytes that must stay free on the disk when one is made */
};

struct segment_header {
	enum segment_kind kind;
	uint32_t number;
	uint64_t size;
	enum segment_state state;
	uint64_t epoch;
	struct salt salt;
	uint64_t end;      /* what lies from here on does not count; 0: open, or its writer died */
	uint64_t sequence; /* with end: of the last record before it */
};

struct segment { /* as its writer sees it */
	int fd;
	struct sys_identity identity;
	struct segment_header header;
	uint64_t tail;     /* the next batch starts here */
	uint64_t sequence; /* of the last record */
};

char *segment_name(char name[SEGMENT_NAME], uint32_t number);
bool segment_parse_name(const char *name, uint32_t *number);
/* False: neither copy is good (why says so), or it could not be read. */
bool segment_read_header(int fd, struct segment_header *, struct ost_why *);
/* After it was false: is the header damaged, rather than not to be read now? */
bool segment_header_lost(int fd);

/* The header, and whether somebody holds the segment. When nobody does, the header is the last word of a
 * writer that is gone. */
bool segment_read_settled(int fd, struct segment_header *, bool *locked, struct ost_why *);

enum segment_got { SEGMENT_GOT, SEGMENT_NONE_FREE, SEGMENT_NO_SPACE, SEGMENT_ERROR };
/* Takes a free segment, looking from *next on (which is moved), or makes a new one. */
enum segment_got segment_take(const struct segment_family *, uint32_t *next, struct segment *,
			      struct ost_why *);
/* The writer is through with it: notes the end (not synced: who reads on past it finds nothing) and lets the
 * lock go. */
void segment_close(const struct segment_family *, struct segment *);
/* A sync failed: the end is put before the batch at s->tail, durably, and the segment closed. False: not even
 * that. */
bool segment_cut(const struct segment_family *, struct segment *, struct ost_why *);
/* Everything in it is forgotten: a new salt, durable. fd is open for writing; *h is the new header. Takes the
 * lock for the while; false also when somebody holds it. */
bool segment_recycle(const struct segment_family *, int fd, struct segment_header *h, struct ost_why *);

/* The same by removing the file, for one more than is needed. */
bool segment_discard(const struct segment_family *, int fd, const struct segment_header *, struct ost_why *);

#endif
