/* SPDX-License-Identifier: Apache-2.0
 * Threads that answer questions which come over links, so that one that has to wait delays only itself. */
#ifndef IPC_DESK_H
#define IPC_DESK_H

#include "base/arena.h"
#include "ipc/link.h"

struct desk;

/* A link that is kept until the last question that came over it has been answered. */
struct client;
struct client *client_new(struct ipc_link *);
struct ipc_link *client_link(struct client *);
void client_release(struct client **);

struct desk_work {
	/* Answers over the link, on any thread; the arena is the thread's, emptied before. */
	void (*answer)(void *ctx, struct arena *, const void *body, size_t len, struct ipc_link *);
	/* How much of a body one thread takes, from its start; 0: there is no more in it. NULL: all of it. */
	size_t (*share)(const void *body, size_t len);
	void *ctx;
	size_t waiting_max; /* what may wait for a thread; 0: as much as comes */
};
struct desk *desk_new(const struct desk_work *, unsigned max_threads);
void desk_destroy(struct desk **); /* finishes what is waiting */
/* Takes a copy of the message's body; its questions are shared out. False: too many wait, some are dropped. */
bool desk_add(struct desk *, struct client *, const void *body, size_t len);

#endif
