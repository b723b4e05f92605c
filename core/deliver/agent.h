/* SPDX-License-Identifier: Apache-2.0
 * A delivery agent: one process that runs one transport module for one master.cf line. This header is the folder's own,
 * but for role_agent and role_user (process/roles.h). */
#ifndef DELIVER_AGENT_H
#define DELIVER_AGENT_H

#include "base/why.h"
#include "config/view.h"
#include "deliver/outbox.h"
#include "deliver/crew.h"
#include "ostler/host.h"
#include "spool/spool.h"

#define AGENT_MAGIC 0x4167656eu

struct delivery;
struct clerk;
struct userjobs;

enum { CREW_FRESH, CREW_RETRIED, AGENT_CREWS }; /* for new mail, and for mail that is tried again */

/* Constant after the start, but for what its own lock guards. */
struct agent {
	unsigned magic;
	const struct cfg_view *view;
	const char *service;   /* the master.cf name, qmgr's transport: "smtp", "relay" */
	const char *transport; /* the module: "smtp" */
	struct spool *spool;
	struct spool_results *results;
	struct mod_instance *module;
	const struct ost_transport_ops *ops;
	struct crew *crews[AGENT_CREWS]; /* new mail finds a thread, however busy those of the other are */
	struct clerk *clerk;
	struct outbox *outbox;
	struct userjobs *users;      /* NULL: the module does nothing as a user */
	size_t limit;                /* deliveries at once */
	int log_digits;              /* delay_logging_resolution_limit */
	int64_t call_timeout;        /* daemon_timeout, microseconds */
	bool soft_bounce, log_original;
	struct flights *flights;     /* what is in flight */
};

#endif
