/* SPDX-License-Identifier: Apache-2.0
 * The queue's commands (postqueue, postsuper) as qmgr serves them: who may ask, and what is asked. */
#ifndef QMGR_ADMIN_H
#define QMGR_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/link.h"
#include "qmgr/entry.h"

struct qmgr;
struct peer;
struct admin_op;

/* One command's link. It has at most one request under way. */
struct admin {
	unsigned magic;
	struct peer *peer;
	unsigned uid;
	bool trusted;        /* root or the mail owner */
	struct admin_op *op; /* NULL: none */
};

void admin_new(struct qmgr *, struct ipc_link *);

/* A request about many messages: a list of serials that is worked off with a bounded number under way. Freed
 * when the last answer is there; the command may be gone by then (admin NULL). */
struct admin_work {
	/* Does the thing for one entry; true: the keeper was asked (token: &op->answer) and entry->asked
	 * counted. */
	bool (*start)(struct qmgr *, struct admin_op *, struct entry *);
	void (*loaded)(struct qmgr *, struct admin_op *, struct entry *, const struct spool_envelope *);
	void (*updated)(struct qmgr *, struct admin_op *, struct entry *, bool ok);
	/* All done: sends the reply. */
	void (*finish)(struct qmgr *, struct admin_op *);
};
struct admin_op *admin_op_new(struct qmgr *, struct admin *, const struct admin_work *);
void admin_op_add(struct admin_op *, uint64_t serial);
void admin_op_run(struct qmgr *,
		  struct admin_op *); /* when all serials are added, and when there is room to send again */
struct peer *admin_op_peer(const struct admin_op *); /* NULL: the command is gone */
/* For the works' own use. */
struct admin_result {
	uint64_t count; /* messages it was done for */
	uint64_t failed;
	const char *reason; /* of a failure, or NULL */
	uint64_t op;        /* enum queue_op */
	char *site;         /* freed with it */
	bool tickets;       /* the listing has them */
};
struct admin_result *admin_op_result(struct admin_op *);
void *admin_op_token(struct admin_op *);
void admin_reply(struct qmgr *, struct admin_op *); /* M_QUEUE_REPLY */

/* admin_queue.c, listing.c */
extern const struct admin_work admin_list_work, admin_change_work, admin_site_work;
bool admin_user_allowed(const char *list, unsigned uid); /* authorized_mailq_users and the like */

#endif
