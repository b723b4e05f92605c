/* SPDX-License-Identifier: Apache-2.0
 * Notices that a message owes, asked of the bounce process, which stores them in the spool. */
#ifndef QMGR_NOTICE_H
#define QMGR_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "qmgr/slots.h"

struct qmgr;
struct message;
struct peer;
struct ipc_link;

struct notice_client {
	struct peer *peer;  /* NULL: not connected */
	bool linking;       /* a link has been asked for */
	struct slots asked; /* struct notice, by F_ID */
	int64_t retry_at;   /* clock_mono */
};

/* Asks for all notices that the message owes now. True: some are under way, settle_noticed() follows; false:
 * there are none to make, or they are in the spool already. Notices that must not be made are dropped here,
 * with a log line. */
bool notice_start(struct qmgr *, struct message *);
/* The link that was asked for; NULL: there is none now. */
void notice_linked(struct qmgr *, struct ipc_link *);
void notice_init(struct qmgr *);
void notice_destroy(struct qmgr *);

#endif
