/* SPDX-License-Identifier: Apache-2.0
 * host->as_user(): jobs that wait at the same time for the same user go together, so that they share their syncs. Where they
 * are done is a child of the broker's that has become the user; rootless, where there is but one user, the agent. */
#ifndef DELIVER_USERJOB_H
#define DELIVER_USERJOB_H

#include "deliver/delivery.h"

struct userjobs;
struct broker_client;

/* broker NULL: rootless. config is the module's (mod_config()). */
struct userjobs *userjobs_new(const struct agent *, const void *config, struct broker_client *broker);
void userjobs_destroy(struct userjobs **); /* nobody waits any more; accepts NULL */
/* n requests, each with its own outcome in done; waits until all are done. */
void userjobs_run(struct userjobs *, struct delivery *, const struct ost_user_request *, struct ost_user_done *done, size_t n);

#endif
