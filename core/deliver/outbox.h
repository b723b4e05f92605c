/* SPDX-License-Identifier: Apache-2.0
 * Reports on their way to qmgr. They are collected while results are being made durable, and leave in few packets; while
 * qmgr is away they wait for the next link. All calls may come from any thread. */
#ifndef DELIVER_OUTBOX_H
#define DELIVER_OUTBOX_H

#include "ipc/link.h"

struct outbox;

struct outbox *outbox_new(void);
void outbox_destroy(struct outbox **); /* what is left is lost; accepts NULL */
/* Queues one M_DELIVERED body, whose bytes it takes over. Sent soon: at once when no thread is inside
 * outbox_enter() … outbox_leave(), else by the next one that leaves. */
void outbox_add(struct outbox *, struct buf *body);
void outbox_enter(struct outbox *);
void outbox_leave(struct outbox *);
/* The link to use from now on; NULL: none. The old one is not in use any more when this returns. */
void outbox_attach(struct outbox *, struct ipc_link *);
bool outbox_empty(struct outbox *);

#endif
