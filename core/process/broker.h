/* SPDX-License-Identifier: Apache-2.0
 * Steps as another user: what an agent asks the broker for. The broker is root, loads no module, and takes no
 * uid, group or command from a request but what the service's line and the configuration allow. */
#ifndef PROCESS_BROKER_H
#define PROCESS_BROKER_H

#include "ostler/transport.h"
#include "process/worker.h"

struct broker_client; /* an agent's connection to the broker; thread-safe */

struct broker_client *broker_client_new(struct worker *);
void broker_client_destroy(struct broker_client **);

/* A link to a child that has become the user (of a pool; started when there is none). The child speaks the
 * job protocol of deliver/userjob.h. NULL with the reason; *gone: the user does not exist (bounce), refused:
 * uid 0, Ostler's own users, below virtual_minimum_uid (defer and warn). Give it back with broker_put():
 * healthy ones are used again. */
struct broker_child;
enum broker_refusal { BROKER_OK = 0, BROKER_NO_USER, BROKER_REFUSED, BROKER_FAILED };
enum broker_refusal broker_take(struct broker_client *, const struct ost_user_request *,
				struct broker_child **, struct ost_why *);
struct ipc_link *broker_child_link(struct broker_child *);
void broker_put(struct broker_client *, struct broker_child **, bool healthy);
/* The mailbox directly in mail_spool_directory for this user: opened, created, locked by the broker with
 * Postfix's rules (mailbox_delivery_lock, deliver_lock_*). A descriptor, or -1 with the reason; *retry: a
 * lock is held, try later. The dot lock, when one was made, is removed by broker_mailbox_done(). */
int broker_mailbox_open(struct broker_client *, const char *user, const char *path, bool *retry,
			struct ost_why *);
void broker_mailbox_done(struct broker_client *, const char *user, const char *path);

#endif
