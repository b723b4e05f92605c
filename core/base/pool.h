/* SPDX-License-Identifier: Apache-2.0
 * The threads of a worker: they take entries from one waiter and work on them. Only `base` of them are at work or look for
 * work at a time, so that events do not wake a thread each; when one gets stuck in something that waits (a lookup, a name
 * query, a sync), another takes its place, a sleeping one or a new one, up to a bound. Threads that have slept for a while
 * leave. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#include "base/waiter.h"

struct pool;

/* Works on what waiter_take() gave; owner is NULL-safe for the caller to define per `why` (IO, DEADLINE, WAKE, LISTENER). */
typedef void pool_work_fn(void *ctx, void *owner, enum wait_why why);

/* base: threads that compute at once (CPUs of this process); max: with those that wait and sleep. */
struct pool *pool_new(struct waiter *, size_t base, size_t max, pool_work_fn *, void *ctx);
void pool_start(struct pool *);
/* Waits until all threads have left: after waiter_stop(). Frees the pool. */
void pool_join(struct pool **);

/* Around anything that may wait longer than a few microseconds, in a pool thread (elsewhere they do nothing): another
 * thread takes over meanwhile. They nest. */
void pool_wait_begin(void);
void pool_wait_end(void);

struct pool_state {
	size_t threads, waiting, max;
};
struct pool_state pool_state(const struct pool *); /* a snapshot */

#endif
