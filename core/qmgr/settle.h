/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a message whose recipients have all had their turn.
 *
 * In this order, each step durable before the next: recipients that fail by qmgr's own decision (expired, no
 * route) are saved as failed; notices that are owed are stored by bounce; then the message leaves the spool,
 * or its recipients' states and next try are saved and it waits. A crash between two steps repeats the step:
 * a notice of a round that is in the spool already is not made again. */
#ifndef QMGR_SETTLE_H
#define QMGR_SETTLE_H

#include <stdbool.h>

struct qmgr;
struct message;

void settle(struct qmgr *, struct message *);                /* from STAGE_DELIVERING, nothing open */
void settle_saved(struct qmgr *, struct message *, bool ok); /* the keeper's answer */
void settle_noticed(struct qmgr *, struct message *,
		    bool ok);                       /* bounce's answer, for all notices of the round */
void settle_later(struct qmgr *, struct message *); /* a step did not work: the tick tries it again */
void settle_again(struct qmgr *, struct message *); /* a step failed some time ago */

#endif
