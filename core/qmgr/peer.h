/* SPDX-License-Identifier: Apache-2.0
 * Links in an event loop: agents, resolvers, bounce, smtpd and pickup with their hints, commands. What is
 * sent in one turn of the loop leaves at its end in as few packets as possible. */
#ifndef QMGR_PEER_H
#define QMGR_PEER_H

#include <event2/event.h>
#include <sys/queue.h>

#include "ipc/link.h"

struct qmgr;
struct peer;

struct peer_ops {
	void (*message)(struct qmgr *, struct peer *, const struct ipc_message *);
	/* The link is dead; the peer is freed afterwards. Also at peer_destroy(). */
	void (*closed)(struct qmgr *, struct peer *);
	/* Optional: all that was sent is in the kernel's hands after it had to wait. */
	void (*drained)(struct qmgr *, struct peer *);
};

struct peer {
	unsigned magic;
	struct ipc_link *link;
	const struct peer_ops *ops;
	void *ctx;     /* the user's */
	char name[64]; /* for the log: "smtp" */
	int pid;       /* 0: not known */
	struct qmgr *qmgr;
	struct event *readable, *writable;
	bool corked, doomed;
	TAILQ_ENTRY(peer) link_all, link_corked;
};
TAILQ_HEAD(peer_list, peer);

struct peers {
	struct peer_list all, corked;
};

/* Takes over the link. */
struct peer *peer_new(struct qmgr *, struct ipc_link *, const struct peer_ops *, void *ctx, const char *name,
		      int pid);
void peer_destroy(struct peer **);
void peer_send(struct peer *, unsigned type, const void *body, size_t len);
/* Ends the link as soon as the current event is done with (a peer that talks nonsense). */
void peer_doom(struct peer *);
bool peer_congested(const struct peer *); /* what was sent waits for room: drained() follows */
/* For who has no work yet: what a new link is for is told by its first message. */
void peer_become(struct peer *, const struct peer_ops *, void *ctx, const char *name);

void peers_init(struct qmgr *);
void peers_flush(struct qmgr *); /* the end of a turn */
void peers_destroy(struct qmgr *);

#endif
