/* SPDX-License-Identifier: Apache-2.0
 * A message on its way in: for draft.c, writer.c and named.c. */
#ifndef SPOOL_DRAFT_H
#define SPOOL_DRAFT_H

#include "mail/wireform.h"
#include "spool/append.h"
#include "spool/file.h"

#define DRAFT_MAGIC  0xd4af7001u
#define WRITER_MAGIC 0x5b3717e4u

enum { DRAFT_PREFIX_ROOM = 1024, DRAFT_ROOM = RECORD_HEAD + DRAFT_PREFIX_ROOM };

struct spool_writer {
	unsigned magic;
	struct spool *spool;
	struct append *append;
	spool_hint_fn *hint;
	void *hint_ctx;
	_Atomic int drafts; /* open ones, for the check at close */
};

struct spool_draft {
	struct append_item item; /* first: the group commit hands it back */
	unsigned magic;
	struct spool_writer *writer;
	uint64_t serial, size; /* of the content with LF line ends, the prefix included */
	int error;             /* errno of the first failure; 0: none */
	struct buf text;       /* DRAFT_ROOM bytes, content, at the end the envelope; streaming: content to be
				  flushed, in wire form */
	struct wire_tally tally; /* streaming: of all that was written */
	struct buf prefix;
	uint64_t counted; /* bytes of the process's budget */
	bool streaming;
	struct message_file file; /* when streaming */
	struct sum_stream *sum;
	size_t body_at, body_len; /* the envelope's bytes in text, once it is laid out */
	spool_done_fn *done;
	void *done_ctx;
};

/* Lays a draft that is in memory out as one record. */
void draft_lay_out(struct spool_draft *, const struct spool_envelope *);
/* Writes what a streaming draft still holds in memory. False: errno. */
bool draft_flush(struct spool_draft *);
/* Turns a draft that is in memory into a streaming one. Failures stick. */
void draft_to_file(struct spool_draft *);
/* Ends a streaming draft: envelope and head. `body` receives the envelope's bytes. Not durable yet. False:
 * errno. */
bool draft_seal(struct spool_draft *, const struct spool_envelope *, struct buf *body);
void draft_free(struct spool_draft *);

/* Tells the hint function of a message in a file. */
void writer_hint_file(struct spool_writer *, uint64_t serial, const char *body, size_t body_len);

#endif
