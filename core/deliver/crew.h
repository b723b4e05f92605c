/* SPDX-License-Identifier: Apache-2.0
 * A crew of threads that grows on demand and shrinks when idle: one job to a thread at a time, in the order of arrival.
 *
 * Waking a thread for each job costs more than many a job does. So only the first few jobs (`eager`) get a thread at once;
 * while these are at work others wait in a queue, for a thread that is through, for one that takes more of the same kind
 * (crew_take()), or until they have waited too long (crew_relieve()). */
#ifndef DELIVER_CREW_H
#define DELIVER_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crew;

/* At most `limit` threads; a job that finds `eager` of them at work waits in the queue. */
struct crew *crew_new(size_t limit, size_t eager, void (*run)(void *ctx, void *job), void *ctx);
/* Makes the first thread, which stays for good: without this the first job does. When it is not to be had the process ends; when
 * a further one is not, those that are there do its work. */
void crew_start(struct crew *);
/* Queues a job. Thread-safe, except against crew_destroy(). */
void crew_add(struct crew *, void *job);
/* Several at once, under one lock and with as few wake-ups as they need. */
void crew_add_all(struct crew *, void *const *jobs, size_t n);
/* For a thread at work: takes a queued job that fits, of the oldest ones; NULL: none is there. */
void *crew_take(struct crew *, bool (*fits)(const void *ctx, const void *job), const void *ctx);
/* To be called now and then while jobs wait. When the oldest has waited for `patience` (microseconds), and those at work have
 * not taken as many jobs in that time as wait now: puts more threads to work, at most `eager` in one call. now: clock_mono().
 * Answers whether any job waits. */
bool crew_relieve(struct crew *, int64_t now, int64_t patience);
/* Jobs queued or at work. */
size_t crew_busy(struct crew *);
/* Waits until every job is done, and ends the threads. Accepts NULL, sets NULL. */
void crew_destroy(struct crew **);

#endif
