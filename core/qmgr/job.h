/* SPDX-License-Identifier: Apache-2.0
 * A job: the recipients of one message that wait for one destination. A destination takes its jobs in turn, a
 * delivery from each, so that a message to thousands does not keep others waiting. */
#ifndef QMGR_JOB_H
#define QMGR_JOB_H

#include "qmgr/destination.h"
#include "qmgr/message.h"

struct job {
	struct message *message;
	struct destination *destination;
	struct rcpt *first, *last;
	bool queued;           /* in destination->todo of its message's class; before: gathering recipients */
	TAILQ_ENTRY(job) link; /* in destination->todo */
	TAILQ_ENTRY(job) link_message;
};

/* The recipient's route is known: into a job of the message, or deferred when the transport is not to be used
 * now. */
void job_route(struct qmgr *, struct message *, struct rcpt *, const char *transport, const char *nexthop,
	       const char *address);
/* All recipients have routes: the message's jobs get in line. */
void jobs_queue(struct qmgr *, struct message *);
/* Puts R_FLIGHT recipients back in line (an agent died, a ticket led nowhere). */
void job_again(struct qmgr *, struct message *, struct destination *, struct rcpt *list);
/* Takes at most `limit` recipients (0: all) off the destination's first job of this class, which goes to the
 * end of the line or away. */
struct rcpt *job_take(struct qmgr *, struct destination *, enum mail_class, int64_t limit, struct message **,
		      uint32_t *count);
/* The message's jobs are given up; its R_QUEUED recipients belong to none then. */
void jobs_withdraw(struct qmgr *, struct message *);
void job_remove_rcpt(struct qmgr *, struct message *, struct rcpt *); /* R_QUEUED: out of its job */
/* Defers all that waits for the destination, with this reason. */
void jobs_suspend(struct qmgr *, struct destination *, const char *dsn, const char *reason);

#endif
