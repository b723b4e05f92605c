/* SPDX-License-Identifier: Apache-2.0
 * What the files of this folder share: the opened spool, and the bytes that pass as hints, tickets and
 * receipts. */
#ifndef SPOOL_HOME_H
#define SPOOL_HOME_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/syncwhole.h"
#include "spool/segment.h"
#include "spool/spool.h"

#define SPOOL_MAGIC 0x5b001a11u

enum { SPOOL_FDS = 64 }; /* journal segments that readers keep open */

/* The folders of a spool, X(name): struct spool has a descriptor of this name for each. */
#define SPOOL_FOLDERS(X) X(journal) X(results) X(message) X(named) X(corrupt)

struct spool {
	unsigned magic;
	char *path;
	int root, journal, results, message, named, corrupt; /* folders */
	struct spool_options options;                        /* without zeros */
	struct sys sys;
	struct segment_family journal_family, results_family;
	struct syncwhole whole; /* the mover's: of the folder `message` */
	_Atomic uint64_t draft_bytes; /* held by all drafts of this process */

	pthread_mutex_t serial_lock; /* guards the block of serials in hand */
	uint64_t serial_next, serial_end;

	pthread_mutex_t room_lock; /* guards the last look at the file system */
	int64_t room_looked;       /* clock_mono() */
	uint64_t room_bytes;
	bool room_inodes, room_known, room_near; /* near: a second's mail may reach the limit */

	pthread_rwlock_t fds_lock; /* guards the list of open segments; descriptors stay open once listed */
	int fds[SPOOL_FDS + 1];    /* by number; -1: not open */
};

/* A serial that was never given before; false when no block could be reserved. */
bool serial_draw(struct spool *, uint64_t *serial, struct ost_why *);
/* Sees to it that serials up to this one are never drawn (again): after the serial file was lost. */
bool serial_skip(struct spool *, uint64_t serial, struct ost_why *);
/* Makes the file, unless it is there. */
bool serial_create(int root, const struct sys *, uint64_t first, struct ost_why *);

/* A journal segment open for reading; *own: the caller closes it. -1 with errno. */
int spool_segment_fd(struct spool *, uint32_t number, bool *own);

enum spool_outcome spool_outcome_of_errno(int error);

/* ---- bytes that others carry ----------------------------------------------------------------- */

enum ticket_home { TICKET_NONE = 0, TICKET_JOURNAL = 1, TICKET_FILE = 2 };
struct ticket {
	enum ticket_home home;
	uint64_t serial;
	uint32_t number, length; /* of a journal record, the whole of it */
	uint64_t at;
	struct salt salt;
};
void ticket_put(struct buf *, const struct ticket *);
bool ticket_get(const void *p, size_t n, struct ticket *);

/* A hint is a row of these fields (base/tlv.h): HINT_BATCH says where the HINT_MESSAGEs behind it are. */
enum { HINT_BATCH = 1, HINT_MESSAGE = 2, HINT_FILE = 3 };
struct hint_batch {
	uint32_t number, count;
	struct salt salt;
	uint64_t start, end;     /* the batch's bytes; all before end is durable */
	uint64_t first_sequence; /* of the batch's first record; with count 0: of the next one to come */
};
struct hint_message { /* then the envelope's bytes, if they are not too many */
	uint64_t serial, at;
	uint32_t length, spare;
};
enum { HINT_ENVELOPE_MAX = 16 * 1024, HINT_MAX = 60 * 1024 };

struct receipt {
	uint32_t number, salt_id; /* the result segment */
};

/* Are there inodes for the files of messages that leave the journal? The last ones are for result logs and
 * notices: a message in the journal is safe where it is. */
bool spool_may_move(struct spool *);

#endif
