/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "qmgr/job.h"
#include "qmgr/qmgr.h"
#include "qmgr/transport.h"

#define DESTINATION_MAGIC 0x93670004u

struct destination *destination_get(struct qmgr *q, struct transport *t, const char *key, const char *nexthop)
{
	struct destination *d;
	(void)q;
	HASH_FIND_STR(t->destinations, key, d);
	if (d)
		return d;
	d = MEM_NEW(struct destination);
	d->magic = DESTINATION_MAGIC;
	d->key = mem_strdup(key);
	d->nexthop = mem_strdup(nexthop);
	d->transport = t;
	for (int c = 0; c < MAIL_CLASSES; c++)
		TAILQ_INIT(&d->todo[c]);
	concurrency_init(&d->concurrency, &t->settings);
	HASH_ADD_KEYPTR(hh, t->destinations, d->key, strlen(d->key), d);
	return d;
}

static bool has_work(const struct destination *d)
{
	bool work = false;
	for (int c = 0; c < MAIL_CLASSES; c++)
		work |= !TAILQ_EMPTY(&d->todo[c]);
	return work;
}

void destination_destroy(struct qmgr *q, struct destination **dp)
{
	struct destination *d = *dp;
	(void)q;
	CHECK_MAGIC(d, DESTINATION_MAGIC);
	assert(!has_work(d) && d->busy == 0 && !d->idle);
	HASH_DELETE(hh, d->transport->destinations, d);
	if (d->timer)
		event_free(d->timer);
	free(d->key);
	free(d->nexthop);
	d->magic = 0;
	free(d);
	*dp = NULL;
}

/* Into the transport's list of those that have work of this class and room for it, or out of it. */
static void place_ready(struct destination *d, int class, bool ready)
{
	struct transport *t = d->transport;
	if (ready && !d->ready[class])
		TAILQ_INSERT_TAIL(&t->ready[class], d, ready_link[class]);
	if (!ready && d->ready[class])
		TAILQ_REMOVE(&t->ready[class], d, ready_link[class]);
	d->ready[class] = ready;
}

/* Into the transport's list of those that nobody needs, or out of it. */
static void place_idle(struct destination *d, bool idle)
{
	struct transport *t = d->transport;
	if (idle && !d->idle)
		TAILQ_INSERT_TAIL(&t->idle, d, idle_link);
	if (!idle && d->idle)
		TAILQ_REMOVE(&t->idle, d, idle_link);
	t->nidle += (uint32_t)idle - (uint32_t)d->idle;
	d->idle = idle;
}

void destination_place(struct qmgr *q, struct destination *d)
{
	CHECK_MAGIC(d, DESTINATION_MAGIC);
	bool open = !d->dead && !d->paused, room = open && d->busy < d->concurrency.window, any = false;
	for (int c = 0; c < MAIL_CLASSES; c++) {
		bool ready = room && !TAILQ_EMPTY(&d->todo[c]);
		place_ready(d, c, ready);
		any |= ready;
	}
	place_idle(d, open && d->busy == 0 && !d->gathering && !has_work(d));
	if (any)
		transport_touch(q, d->transport);
}

void destinations_trim(struct qmgr *q, struct transport *t, uint32_t keep)
{
	while (t->nidle > keep) {
		struct destination *oldest = TAILQ_FIRST(&t->idle);
		place_idle(oldest, false);
		destination_destroy(q, &oldest);
	}
}

void destination_worked(struct qmgr *q, struct destination *d)
{
	CHECK_MAGIC(d, DESTINATION_MAGIC);
	if (d->dead)
		destination_revive(q, d);
	concurrency_success(&d->concurrency, &d->transport->settings, d->busy);
}

/* The rest of a dead destination or the pause of a slow one is over. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct destination *d = arg;
	(void)fd;
	(void)what;
	CHECK_MAGIC(d, DESTINATION_MAGIC);
	destination_revive(d->transport->qmgr, d);
}

static void start_timer(struct qmgr *q, struct destination *d, int64_t wait)
{
	struct timeval tv = { .tv_sec = wait / CLOCK_SECOND, .tv_usec = wait % CLOCK_SECOND };
	if (!d->timer)
		d->timer = evtimer_new(q->base, on_timer, d);
	if (!d->timer || evtimer_add(d->timer, &tv) < 0)
		log_fatal("cannot set a timer");
}

void destination_failed(struct qmgr *q, struct destination *d, const char *dsn, const char *reason)
{
	CHECK_MAGIC(d, DESTINATION_MAGIC);
	if (d->dead || !concurrency_failure(&d->concurrency, &d->transport->settings))
		return;
	d->dead = true;
	d->paused = false;
	snprintf(d->dsn, sizeof d->dsn, "%s", dsn && *dsn ? dsn : "4.4.1");
	snprintf(d->reason, sizeof d->reason, "delivery temporarily suspended: %s",
		 reason ? reason : "unknown");
	start_timer(q, d, q->settings.minimal_backoff);
	jobs_suspend(q, d, d->dsn, d->reason);
}

void destination_revive(struct qmgr *q, struct destination *d)
{
	CHECK_MAGIC(d, DESTINATION_MAGIC);
	if (d->dead)
		concurrency_revive(&d->concurrency);
	d->dead = d->paused = false;
	if (d->timer)
		evtimer_del(d->timer);
	destination_place(q, d);
}

void destination_pause(struct qmgr *q, struct destination *d)
{
	CHECK_MAGIC(d, DESTINATION_MAGIC);
	if (d->transport->settings.rate_delay <= 0 || d->dead)
		return;
	d->paused = true;
	start_timer(q, d, d->transport->settings.rate_delay);
}
