/* SPDX-License-Identifier: Apache-2.0
 * The queue as commands see it: through qmgr, or, when the mail system is down, through the spool itself
 * (root and the mail owner only). */
#ifndef COMMAND_QUEUE_H
#define COMMAND_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "ipc/protocol.h"
#include "spool/spool.h"

struct queue;

struct queue_rcpt {
	const char *address, *reason; /* reason: NULL: not tried yet */
};
struct queue_entry {
	const char *queue, *id, *sender; /* "active", "deferred", "hold", "incoming" */
	int64_t arrival;                 /* UTC microseconds */
	uint64_t size;
	const void *ticket; /* to read the message with; NULL: not given */
	size_t ticket_len;
	struct queue_rcpt *rcpts;
	size_t nrcpts;
};
typedef void queue_entry_fn(void *ctx, const struct queue_entry *);

enum queue_mode { QUEUE_RUNNING = 1, QUEUE_EITHER = 2 }; /* EITHER: the spool itself will do */
/* NULL with the reason. As root, taking the spool means to become the mail owner for good. */
struct queue *queue_open(const struct config *, enum queue_mode, struct ost_why *);
void queue_close(struct queue **);
bool queue_offline(const struct queue *);

/* Calls each() for the messages named, or for all (nids 0). */
bool queue_list(struct queue *, const char *const *ids, size_t nids, queue_entry_fn *each, void *ctx,
		struct ost_why *);
/* only: a queue's name that restricts it, or NULL. *count: messages changed. */
bool queue_change(struct queue *, enum queue_op, const char *const *ids, size_t nids, const char *only,
		  uint64_t *count, struct ost_why *);
/* All, or one message, or what waits for one domain. */
bool queue_flush(struct queue *, const char *id, const char *site, struct ost_why *);

/* The spool, for reading messages as the mail owner (root becomes him). */
struct spool *queue_spool(struct queue *, struct ost_why *);

/* queue_offline.c */
struct offline;
struct offline *offline_open(const struct cfg_view *, struct ost_why *);
void offline_close(struct offline **);
struct spool *offline_spool(struct offline *);
bool offline_list(struct offline *, const char *const *ids, size_t nids, queue_entry_fn *, void *ctx,
		  struct ost_why *);
bool offline_change(struct offline *, enum queue_op, const char *const *ids, size_t nids, const char *only,
		    uint64_t *count, struct ost_why *);
bool queue_become_owner(const struct cfg_view *, struct ost_why *);
struct spool *queue_open_spool(const struct cfg_view *, struct ost_why *);

#endif
