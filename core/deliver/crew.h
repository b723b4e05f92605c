/* SPDX-License-Identifier: Apache-2.0
 * A crew of threads that grows on demand and shrinks when idle: one job to a thread at a time, in the order of arrival. */
#ifndef DELIVER_CREW_H
#define DELIVER_CREW_H

#include <stddef.h>

struct crew;

/* At most `limit` threads; a job that finds all of them at work waits for the first that is free. */
struct crew *crew_new(size_t limit, void (*run)(void *ctx, void *job), void *ctx);
/* Queues a job. Thread-safe, except against crew_destroy(). */
void crew_add(struct crew *, void *job);
/* Several at once, under one lock and with as few wake-ups as they need. */
void crew_add_all(struct crew *, void *const *jobs, size_t n);
/* Jobs queued or at work. */
size_t crew_busy(struct crew *);
/* Waits until every job is done, and ends the threads. Accepts NULL, sets NULL. */
void crew_destroy(struct crew **);

#endif
