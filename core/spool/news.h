/* SPDX-License-Identifier: Apache-2.0
 * What passes between the keeper's two threads: jobs to the mover, which does everything that waits for a
 * disk, and news back. Each belongs to the side that has it. */
#ifndef SPOOL_NEWS_H
#define SPOOL_NEWS_H

#include "spool/envelope.h"
#include "spool/home.h"
#include "spool/keeper.h"

/* A result that stands in a log, for a message that is still here. One allocation each. */
struct pending {
	struct pending *next;
	uint32_t log; /* number */
	struct result_row row;
	char texts[];
};
struct pending *pending_new(uint32_t log, const struct result_row *);
void pending_free(struct pending *); /* the whole list */

/* A message that the mover came across. */
struct found {
	struct keeper_summary summary; /* its states include the pending results */
	uint32_t number, at, length;   /* the record in the journal; number 0: a file */
	uint64_t notice_of;
	uint32_t notice_round, rounds;
	bool named, foreign;
	uint32_t void_log; /* a copy in the journal that does not count: the log that says so; 0: it counts */
	struct pending *pending;
};

enum job_kind {
	JOB_STOP,
	JOB_SCAN,   /* everything, once */
	JOB_LOOK,   /* segments and logs; all: also names of message files */
	JOB_GAP,    /* a stretch of a segment for which no hint came */
	JOB_REREAD, /* result logs */
	JOB_READ,   /* message files by serial: are they messages? */
	JOB_LOAD,
	JOB_UPDATE, /* into the message's file, which is made if need be */
	JOB_REMOVE, /* the message leaves the spool; in the journal only `forced` needs a step: then it
		       becomes VOID */
	JOB_VOID,   /* a copy in the journal */
	JOB_SET_ASIDE,
	JOB_RECYCLE,
	JOB_RECYCLE_LOG,
};

struct stretch { /* how far a segment has been read */
	bool known, closed;
	uint32_t number;
	uint32_t id; /* of its salt */
	uint64_t read_to, sequence;
};

struct job {
	struct job *next;
	enum job_kind kind;
	uint64_t serial;
	void *token;
	bool asked;  /* by qmgr: answer it */
	bool absent; /* of a message that was not known when it was asked for: nothing was done */
	bool ghost;  /* UPDATE failed: a file may be left; REMOVE: it must be gone durably as well */
	bool forced; /* REMOVE: whatever its recipients' state */
	/* where the message is, for LOAD, UPDATE, REMOVE, VOID, SET_ASIDE */
	bool in_file, named, unsure; /* unsure: its content is to be verified */
	struct ticket place;
	struct arena *arena;         /* of what follows */
	struct spool_update *change; /* UPDATE */
	struct pending *pending;   /* UPDATE: to be folded in; the entry's, which is busy until the answer */
	struct stretch *stretches; /* LOOK, GAP */
	size_t nstretches;
	bool all;
	uint64_t *serials; /* READ */
	size_t nserials;
	uint32_t number; /* RECYCLE, RECYCLE_LOG */
	uint32_t id;
	/* the answer */
	bool ok, gone; /* gone: there is no such message, or result log, any more */
	struct spool_envelope *env;
	struct salt salt; /* RECYCLE: the new one */
	uint32_t rounds;
	bool moved;                /* UPDATE: it lives in a file now */
	bool rewritten;            /* UPDATE: its file was written anew */
	bool appended;             /* UPDATE: to its file, from file->at on */
	struct message_file *file; /* the mover's, on the way */
	struct ost_why why;
};

enum news_kind {
	NEWS_JOB,
	NEWS_SEGMENT,
	NEWS_FILES,
	NEWS_NAMES,
	NEWS_LOG,
	NEWS_JOURNAL,
	NEWS_SCANNED,
	NEWS_TICK
};

struct news {
	struct news *next;
	enum news_kind kind;
	struct job *job; /* JOB */
	/* SEGMENT: what it is now; with the messages in it. FILES: messages alone */
	struct segment_header header;
	struct stretch read;
	bool locked, unreadable;
	struct found *found;
	size_t nfound;
	uint64_t *serials; /* NAMES: all message files there are, in pieces */
	size_t nserials;
	/* LOG: results and voids that were read in it */
	struct pending *results; /* each with its serial in the row */
	struct spool_void *voids;
	size_t nvoids;
	bool scanning; /* LOG: part of the first scan: refs alone */
	bool partial;  /* SCANNED: something could not be read, and may be found later */
	struct arena *arena;
};

/* The two queues. */
struct post;
struct post *post_new(void);
void post_free(struct post **);   /* with all that is still in it */
int post_fd(const struct post *); /* readable while there is news */
void post_job(struct post *, struct job *);
/* Waits for jobs, at most until `deadline` (clock_mono); takes all of them, in order. NULL: the time has
 * come. */
struct job *post_take_jobs(struct post *, int64_t deadline);
struct job *post_take_jobs_at_once(struct post *); /* those that are there; NULL: none */
void post_news(struct post *, struct news *);      /* waits while much news is unread */
/* At most so many, in order; NULL: none. The descriptor stays readable while there is more. */
struct news *post_take_news(struct post *, size_t most);
bool post_wait_news(struct post *); /* until there is some */

struct job *job_new(enum job_kind);
void job_free(struct job *);
struct news *news_new(enum news_kind);
void news_free(struct news *);

#endif
