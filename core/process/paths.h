/* SPDX-License-Identifier: Apache-2.0
 * Where an instance keeps its things. The base is $queue_directory; with a Postfix configuration folder it is
 * $queue_directory/ostler, so that none of Postfix's own queues is touched. */
#ifndef PROCESS_PATHS_H
#define PROCESS_PATHS_H

#include "config/view.h"

enum instance_place {
	PLACE_BASE,     /* root's (rootless: the user's), 0755 */
	PLACE_SPOOL,    /* base/queue: the mail owner's, 0700: spool_open() */
	PLACE_MAILDROP, /* base/maildrop: the mail owner's, 01733 */
	PLACE_PUBLIC,   /* base/public: sockets that every user may reach: public/pickup, public/qmgr */
	PLACE_PRIVATE,  /* base/private: sockets for root and the mail owner: private/master */
	PLACE_PICKUP,   /* base/public/pickup: where sendmail submits */
	PLACE_QMGR,     /* base/public/qmgr: where the queue's commands go */
	PLACE_MASTER,   /* base/private/master: where reload, stop and status go */
	PLACE_LOCK,     /* $queue_directory/pid/master.pid: the instance lock, the same file as Postfix's */
	PLACE_ROSTER,   /* $queue_directory/pid/ostler.processes: who runs, for the next master (roster.h) */
};

/* The path; the caller frees it. */
char *instance_path(const struct cfg_view *, enum instance_place);

#endif
