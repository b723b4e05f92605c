/* SPDX-License-Identifier: Apache-2.0
 * The thread that brings deliveries to their end: log lines, results on stable storage, reports to qmgr. All that have
 * finished while it was at the disk go together: one record, one sync, few packets. */
#ifndef DELIVER_CLERK_H
#define DELIVER_CLERK_H

#include "deliver/delivery.h"

struct clerk;

/* Uses the agent's results, outbox and flights, which must be there already. */
struct clerk *clerk_new(struct agent *);
/* Takes over a delivery whose recipients all have an outcome. Thread-safe. */
void clerk_take(struct clerk *, struct delivery *);
/* Waits until all that were taken are done. Accepts NULL, sets NULL. */
void clerk_destroy(struct clerk **);

#endif
