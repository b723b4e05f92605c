/* SPDX-License-Identifier: Apache-2.0
 * Brings deliveries to their end, in a thread of its own or in one that has nothing else to do: log lines, results on stable
 * storage, reports to qmgr. All that have finished while it was at the disk go together: one record, one sync, few packets.
 * Those that are patient wait for each other: the disk is left to others for a while after each batch. */
#ifndef DELIVER_CLERK_H
#define DELIVER_CLERK_H

#include "deliver/delivery.h"

struct clerk;

/* Uses the agent's results, outbox and flights, which must be there already. */
struct clerk *clerk_new(struct agent *);
/* Takes over deliveries (a list by finished_next, not empty) whose recipients all have an outcome. Thread-safe. lead: the caller has the time to do what the
 * thread would do, which saves waking it. */
void clerk_take(struct clerk *, struct delivery *, bool lead);
/* Waits until all that were taken are done. Accepts NULL, sets NULL. */
void clerk_destroy(struct clerk **);

#endif
