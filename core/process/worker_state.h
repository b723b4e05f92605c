/* SPDX-License-Identifier: Apache-2.0
 * Inside of the skeleton (worker.c, worker_link.c, worker_start.c): not for roles. */
#ifndef PROCESS_WORKER_STATE_H
#define PROCESS_WORKER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "process/control.h"
#include "process/worker.h"

#define WORKER_MAGIC 0x3062c001u

struct worker_waiter; /* a thread that waits for an answer of the master */
struct worker_item;   /* an event that worker_dispatch() has not handed out yet */

struct worker {
	unsigned magic;
	const struct role *role;
	const struct role *const *roles; /* all of the program; ends with NULL */
	/* Constant after the start. */
	struct config *config;
	const struct cfg_view *view;
	const struct service *service;
	char *name, *spool_path, *jail;
	unsigned generation;
	bool rootless;
	int *listeners;
	size_t nlisteners;
	int snapshot, log_fd; /* the broker passes them on; -1 elsewhere */
	struct worker_user user;
	struct ipc_link *job;
	struct ipc_link *ctl;
	struct spool *spool;

	pthread_mutex_t lock; /* guards the following */
	pthread_cond_t answered;
	struct worker_waiter *waiters;
	struct worker_item *first, *last;
	uint64_t next_id;
	bool reader_runs, closed;

	int event_fd; /* readable while there are items */
	atomic_bool stopping;
	worker_event_fn *watch; /* worker_watch()'s, set before its thread starts */
	void *watch_ctx;
};

/* worker_start.c */
bool worker_start_receive(struct worker *, struct ost_why *);
bool worker_start_become(struct worker *, struct ost_why *);
bool worker_start_seal(struct worker *, struct ost_why *);

/* worker_link.c */
void worker_link_init(struct worker *);
void worker_link_run(struct worker *); /* starts the thread that reads the control link */
bool worker_tell(struct worker *, unsigned type, unsigned field, const char *text);

#endif
