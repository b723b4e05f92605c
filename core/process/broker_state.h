/* SPDX-License-Identifier: Apache-2.0
 * Inside of the broker: one thread, nothing is locked. */
#ifndef PROCESS_BROKER_STATE_H
#define PROCESS_BROKER_STATE_H

#include <event2/event.h>
#include <sys/types.h>

#include "process/broker.h"
#include "process/broker_rules.h"
#include "process/control.h"

struct broker {
	struct worker *worker;
	struct event_base *base;
	struct broker_own own; /* whom nobody may become */
	struct broker_agent *agents;
	struct user_child *children;
	struct known_user *known; /* looked up a short while ago */
	size_t child_count;
	bool stopping;
	int64_t stop_at; /* CLOCK_NEVER */
};

struct dot_lock; /* broker_mailbox.c */

struct broker_agent { /* a service's process at the other end of a link */
	struct broker_agent *next;
	struct broker *broker;
	struct ipc_link *link;
	struct event *readable, *writable;
	const struct service *line;
	unsigned line_number; /* as K_LINE */
	struct dot_lock *locks;
};

/* ---- broker.c ------------------------------------------------------------------------------------------------ */
/* An answer to the agent: fd -1: none. */
void broker_answer(struct broker_agent *, unsigned type, uint64_t id, unsigned status, const char *reason,
		   int fd);

/* ---- broker_child.c ------------------------------------------------------------------------------------------ */
void child_take(struct broker_agent *, const struct control_fields *);
void child_drop(struct broker_agent *, uint64_t id);
void children_forget(struct broker *, const struct broker_agent *); /* the agent is gone */
void children_tick(struct broker *, int64_t now);
bool children_reaped(struct broker *, pid_t, int status);
/* Who is this user? BROKER_OK with *user; otherwise the lookup has been started and the request is taken up
 * again when it is through (CTL_TAKE, CTL_MAILBOX). */
bool user_known(struct broker *, const char *name, struct broker_user *);
void user_lookup(struct broker_agent *, unsigned type, const struct control_fields *);
void users_free(struct broker *);

/* ---- broker_mailbox.c ---------------------------------------------------------------------------------------- */
void mailbox_take(struct broker_agent *, const struct control_fields *, const struct broker_user *);
void mailbox_done(struct broker_agent *, const struct control_fields *);
void mailbox_forget(struct broker_agent *); /* its locks go */

#endif
