/* SPDX-License-Identifier: Apache-2.0
 * The spool as smtpd, pickup, bounce and the delivery agents see it: storing messages, fetching them,
 * recording results. What only the queue manager does is in spool/keeper.h. Nothing outside this folder knows
 * about segments and files: hints, tickets and receipts are bytes to be passed on. */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/why.h"
#include "spool/message.h"

struct sys_call;
struct wire_tally;
struct stored_wire;
struct spool;         /* an opened spool folder; one per process, shared by all its threads */
struct spool_writer;  /* stores new messages: owns one journal segment at a time */
struct spool_draft;   /* one message on its way in; one thread at a time */
struct spool_results; /* an agent's result log: owns one result segment at a time */

struct spool_options {                        /* zeros mean the defaults in spool/README.md */
	uint64_t segment_size, segment_count; /* the journal, bytes and pieces */
	uint64_t file_threshold;              /* a larger message goes to a file at once (256 KiB) */
	uint64_t memory_budget;               /* of all drafts of this process; beyond it they go to files */
	uint64_t min_free; /* acceptance stops below this many bytes free (queue_minfree, message size); what
			      results, moves and notices need (32 MiB) is kept in any case */
	uint64_t update_limit; /* a message's file is written anew when more than this was appended (128 KiB),
				* and more than its content */
	bool long_queue_ids;
	/* For tests alone: asked before each step that changes the disk (spool/sys.h). */
	int (*hook)(void *ctx, const struct sys_call *);
	void *hook_ctx;
};

/* Makes the folders that are missing (mode 0700). The folder's owner is the caller. */
bool spool_create(const char *path, struct ost_why *);
struct spool *spool_open(const char *path, const struct spool_options *, struct ost_why *);
void spool_close(struct spool **);
const char *spool_path(const struct spool *);

enum spool_outcome {
	SPOOL_STORED = 0, /* on stable storage: the 250 may go out */
	SPOOL_NO_SPACE,   /* 452 4.3.1: disk or inodes; nothing was accepted */
	SPOOL_FAILED,     /* 451 4.3.0: a write or sync failed; nothing was accepted */
};

/* ---- storing --------------------------------------------------------------------------------- */

/* Called once a stored message is durable, from the committing thread, before its done(): `hint` is to be
 * sent to qmgr (best effort: qmgr finds the message without it, later). May hold several messages. Must not
 * block. */
typedef void spool_hint_fn(void *ctx, const void *hint, size_t len);
struct spool_writer *spool_writer_open(struct spool *, spool_hint_fn *, void *ctx, struct ost_why *);
void spool_writer_close(struct spool_writer **); /* when no draft is left */
/* What a worker tells qmgr when it has connected again: where it has written, up to which durable end. */
void spool_writer_report(struct spool_writer *, struct buf *hint);

/* Would a message of this size be accepted now? (MAIL FROM SIZE=, and before DATA.) Cheap: looks at most once
 * a second, while there is plenty. */
enum spool_outcome spool_has_room(struct spool *, uint64_t size);

struct spool_draft *spool_draft_new(struct spool_writer *); /* draws a serial */
uint64_t spool_draft_serial(const struct spool_draft *);
/* Appends content (wire lines ending in LF alone, no dot-stuffing). Errors are sticky and answered by the
 * commit. */
void spool_draft_write(struct spool_draft *, const void *p, size_t n);
/* Whole lines that are in wire form already, plain ones (mail/wireform.h), which *tally has counted. While a message goes to a file
 * and no line is half written, which spool_draft_takes_wire() tells. */
bool spool_draft_takes_wire(const struct spool_draft *);
void spool_draft_write_wire(struct spool_draft *, const void *p, size_t n, const struct wire_tally *);
uint64_t spool_draft_size(const struct spool_draft *); /* with LF line ends, as all sizes here */
/* Puts whole lines in front of all content: the Received header that is known only at the end. Once, before the
 * commit; at most SPOOL_PREPEND_MAX bytes, or the commit fails. */
enum { SPOOL_PREPEND_MAX = 60000 };
void spool_draft_prepend(struct spool_draft *, const void *p, size_t n);
/* Stores envelope and content; the record's serial and size are the draft's. Not blocking for longer than it
 * takes to queue, unless this thread becomes the leader of a batch or the message is in a file; done() is
 * called exactly once, perhaps before this returns, perhaps from another thread, after the message is durable
 * or refused. The draft is consumed. env is read before this returns. */
typedef void spool_done_fn(void *ctx, enum spool_outcome);
void spool_draft_commit(struct spool_draft **, const struct spool_envelope *, spool_done_fn *, void *ctx);
/* The same, waiting. */
enum spool_outcome spool_draft_commit_wait(struct spool_draft **, const struct spool_envelope *);
void spool_draft_discard(struct spool_draft **); /* accepts NULL */
/* For pickup: stores under an identity made from `name` (128 random bits in hex). SPOOL_STORED also when it
 * is there already, so that a crash between storing and removing the maildrop file makes no second message.
 * Waits. again: after a failure somebody comes again with this name, and finds out what became of it; else all of
 * it is taken back. */
enum spool_outcome spool_draft_commit_named(struct spool_draft **, const struct spool_envelope *,
					    const char *name, bool again);
/* When the maildrop file has been removed, or its writer knows that there need be none: the identity need not be remembered any
 * longer. */
void spool_named_forget(struct spool *, const char *name);
/* The identities that are remembered, and whose files have not changed since `before`: pickup forgets those whose maildrop file
 * is gone when it starts. */
void spool_named_each(struct spool *, time_t before, void (*each)(void *ctx, const char *name), void *ctx);

/* ---- fetching -------------------------------------------------------------------------------- */

enum spool_fetched { FETCH_OK = 0, FETCH_GONE, FETCH_DAMAGED, FETCH_FAILED };

struct spool_stored { /* a verified copy of a message; one thread's at a time */
	struct arena *arena;
	struct spool_envelope *env; /* recipients with their state as far as the message's home says */
	const char *data;           /* the content with LF line ends, when in memory; NULL: in fd */
	uint64_t size;              /* of the content with LF line ends */
	int fd;             /* a large message's file, read-only, or -1 */
	uint64_t fd_offset; /* the content starts here in fd */
	void *memory;       /* what data lies in */
	struct stored_wire *wire; /* the file has it in wire form; NULL: with LF line ends (or it is in memory) */
};
/* Reads the message a ticket (from qmgr) names; verified before it answers FETCH_OK. Free with
 * spool_stored_free(). */
enum spool_fetched spool_fetch(struct spool *, const void *ticket, size_t len, struct spool_stored *,
			       struct ost_why *);
/* The same, but the content of a large message in wire form is verified when it is read: whole, before the first byte of it is given
 * away, or, by spool_stored_wire(), on the way. What reads it answers -1 when it turns out damaged, after a log line. */
enum spool_fetched spool_fetch_unread(struct spool *, const void *ticket, size_t len, struct spool_stored *,
				      struct ost_why *);
void spool_stored_free(struct spool_stored *);
/* A descriptor for a child process: a sealed memfd with the content, or a duplicate of the large message's
 * file, with LF line ends. The offset of the content is put in *offset. -1 on failure. */
int spool_stored_fd(struct spool_stored *, uint64_t *offset);
/* The same in wire form; only when m->wire. */
int spool_stored_wire_fd(struct spool_stored *m, uint64_t *offset);
/* Content bytes [at, at+n) with LF line ends into p; answers the number read, less only at the end; -1 on an I/O error. Going on where
 * the last call ended costs least; any other place costs 64 KiB read anew. */
ssize_t spool_stored_read(struct spool_stored *, uint64_t at, void *p, size_t n);

/* Can the content be had in wire form (mail/wireform.h), ready to be sent? Only when no line is longer than `longest` bytes
 * (0: any length), the only CRs are those of line ends, and the last line has one. *size: its bytes in wire form. */
bool spool_stored_has_wire(const struct spool_stored *, uint64_t longest, uint64_t *size);
/* Lends bytes of it from `at` on, until the next call: how many, 0 only at the end, -1: error. What was not verified yet is read
 * from 0 on without gaps, and its last bytes are given away only when all of it is as it was stored: whoever has them has the
 * message. */
ssize_t spool_stored_wire(struct spool_stored *, uint64_t at, const char **p);

/* ---- results --------------------------------------------------------------------------------- */

struct spool_result {
	uint64_t serial;
	uint32_t rcpt; /* index in the envelope */
	enum rcpt_status status;
	int64_t when;
	const char *dsn, *reason, *mta, *diagnostic; /* as in spool_rcpt; NULL: none */
};
struct spool_results *spool_results_open(struct spool *, struct ost_why *);
void spool_results_close(struct spool_results **);
/* Durable before it returns true (group-committed with other threads' results). The receipt goes to qmgr with
 * the report. On false nothing may be reported: the agent ends, and its recipients are tried again. */
bool spool_results_append(struct spool_results *, const struct spool_result *, size_t n, struct buf *receipt,
			  struct ost_why *);
/* The same without waiting: done() once, from the committing thread. */
typedef void spool_result_done_fn(void *ctx, bool ok, const void *receipt, size_t len);
void spool_results_submit(struct spool_results *, const struct spool_result *, size_t n,
			  spool_result_done_fn *, void *ctx);

#endif
