/* SPDX-License-Identifier: Apache-2.0
 * Questions to the resolve process: where does this recipient go? Many to a packet; answers come in any
 * order. */
#ifndef QMGR_RESOLVE_CLIENT_H
#define QMGR_RESOLVE_CLIENT_H

#include <stdint.h>

#include <stdbool.h>

#include "base/buf.h"
#include "qmgr/slots.h"

struct qmgr;
struct message;
struct rcpt;
struct peer;
struct ipc_link;

struct resolve_client {
	struct peer *peer; /* NULL: not connected */
	bool asked;        /* a link has been asked for */
	struct slots asks; /* struct ask, by F_ID */
	struct buf body;   /* questions of this turn */
	int64_t retry_at;  /* not connected: the next attempt, clock_mono */
	int64_t heard_at; /* clock_mono: the last answer, or the first question since there was none under way
			   */
};

void resolve_ask(struct qmgr *, struct message *, struct rcpt *); /* the answer leads to job.h */
void resolve_forget(struct qmgr *, struct rcpt *);                /* accepts one that was not asked */
void resolve_flush(struct qmgr *);                                /* the end of a turn: sends */
void resolve_tick(struct qmgr *); /* gives up a resolver that does not answer */
/* The link that was asked for; NULL: there is none now. */
void resolve_linked(struct qmgr *, struct ipc_link *);
void resolve_destroy(struct qmgr *);

#endif
