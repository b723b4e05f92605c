/* SPDX-License-Identifier: Apache-2.0
 * Threads that answer questions whose tables may wait for another host. */
#ifndef RESOLVE_DESK_H
#define RESOLVE_DESK_H

#include "ipc/link.h"
#include "resolve/resolver.h"

struct desk;

/* A link that is kept until the last question that came over it has been answered. */
struct client;
struct client *client_new(struct ipc_link *);
struct ipc_link *client_link(struct client *);
void client_release(struct client **);

struct desk *desk_new(const struct resolver *, unsigned max_threads);
void desk_destroy(struct desk **); /* finishes what is waiting */
/* Takes a copy of the message's body; its questions are shared out. */
void desk_add(struct desk *, struct client *, const void *body, size_t len);

#endif
