/* SPDX-License-Identifier: Apache-2.0
 * Delivery agents and what they have in hand. An agent says hello with its service and how many deliveries it
 * takes at once; saying it again changes the number (0: it is being replaced).
 *
 * When an agent is gone, what it had in hand is in doubt: results that it made durable may not have been
 * told. So qmgr waits until the process is known to be dead, or has come back over another link and said what it
 * has in hand; has the keeper read the result logs again, and only then tries the recipients again that have no
 * result and are not in the hands of the one that came back. */
#ifndef QMGR_AGENT_H
#define QMGR_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/link.h"

#include "qmgr/message.h"

struct qmgr;
struct peer;
struct transport;
struct destination;
struct message;
struct rcpt;
struct loss;

/* Some recipients of one message in an agent's hands. */
struct delivery {
	uint64_t number; /* F_ID */
	struct message *message;
	struct destination *destination;
	struct agent *agent; /* NULL: lost */
	struct rcpt *rcpts;
	TAILQ_ENTRY(delivery) link; /* in the agent's or the loss's list */
};
TAILQ_HEAD(delivery_list, delivery);

struct agent {
	unsigned magic;
	struct peer *peer;
	struct transport *transport;
	int pid; /* 0: not known */
	bool listed; /* its first hello is complete: what it had in hand is known, and what it takes since is ours */
	uint32_t limit, busy;
	struct delivery_list deliveries;
	TAILQ_ENTRY(agent) link; /* in the transport's list */
};

TAILQ_HEAD(loss_list, loss);
struct agents {
	struct loss_list losses;
};

/* A peer's M_AGENT_HELLO. */
void agent_hello(struct qmgr *, struct peer *, const struct ipc_message *);
/* Hands the destination's next delivery to the agent. */
void agent_deliver(struct qmgr *, struct agent *, struct destination *, enum mail_class);
/* The master says that this process is dead. */
void agents_died(struct qmgr *, int pid);
void agents_tick(struct qmgr *);

struct spool_result;
/* The keeper found this result while reading the logs again. */
void agent_result_found(struct qmgr *, const struct spool_result *);

void agents_init(struct qmgr *);
void agents_destroy(struct qmgr *);

#endif
