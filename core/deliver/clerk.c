/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/clerk.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

#define CLERK_MAGIC 0x436c726bu
enum { BATCH_MAX = 256, RECORDINGS_MAX = 3 };
/* After a batch, results that are patient leave the disk to others: for twice the time that it took, and no
 * longer than this. */
static const int64_t rest_most = CLOCK_SECOND / 50;

struct clerk {
	unsigned magic;
	struct agent *agent;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below, and finished_next of what is in the list */
	pthread_cond_t work;  /* for the clerk's own thread: there is some, and nobody does it */
	struct delivery *first, **last;
	size_t n, hurried;  /* in the list; of these not patient */
	int64_t rest_until; /* clock_mono() */
	bool watched;       /* the clerk's own thread waits for that */
	bool led;           /* a thread is doing a batch */
	bool ending;
};

/* Deliveries that go together. */
struct batch {
	struct delivery *list[BATCH_MAX];
	size_t n;
	struct agent *agent;
	struct spool_result *results; /* while they are being recorded */
	size_t nresults;
	unsigned failed; /* recordings */
};

/* The results are durable, or there was nothing to keep. After a failure the next segment may do better: if
 * this process ended over it, all that it has delivered would be delivered again. */
static void batch_recorded(void *ctx, bool ok, const void *receipt, size_t len)
{
	struct batch *b = ctx;
	if (!ok && ++b->failed < RECORDINGS_MAX) {
		spool_results_submit(b->agent->results, b->results, b->nresults, batch_recorded, b);
		return;
	}
	if (!ok)
		log_fatal("%s: cannot record a result: this process ends, and its recipients are tried again",
			  b->list[0]->pub.queue_id);
	for (size_t i = 0; i < b->n; i++)
		report_recorded(b->list[i], receipt, len);
}

/* From log lines to reports. */
static void do_batch(struct clerk *c, struct batch *b)
{
	struct arena *a = arena_new();
	size_t most = 0;
	log_gather(b->n > 1);
	for (size_t i = 0; i < b->n; i++) {
		report_log(b->list[i]);
		most += b->list[i]->pub.nrcpts;
	}
	log_gather(false);
	b->agent = c->agent;
	b->results = arena_alloc(a, most * sizeof *b->results);
	b->nresults = b->failed = 0;
	for (size_t i = 0; i < b->n; i++)
		b->nresults += report_results(b->list[i], b->results + b->nresults);
	outbox_enter(c->agent->outbox);
	if (b->nresults > 0)
		spool_results_submit(c->agent->results, b->results, b->nresults, batch_recorded, b);
	else
		batch_recorded(b, true, NULL, 0);
	outbox_leave(c->agent->outbox);
	arena_destroy(&a);
}

/* Is there a batch to be done now? The lock is held. */
static bool is_due(const struct clerk *c)
{
	return c->first &&
	       (c->hurried > 0 || c->n >= BATCH_MAX || c->ending || clock_mono() >= c->rest_until);
}

/* One batch of what is there. The lock is held, but not meanwhile, and nobody leads. */
static void lead_once(struct clerk *c)
{
	struct batch b = { .n = 0 };
	while (c->first && b.n < BATCH_MAX) {
		b.list[b.n++] = c->first;
		c->hurried -= !c->first->patient;
		c->n--;
		c->first = c->first->finished_next;
	}
	if (!c->first)
		c->last = &c->first;
	c->led = true;
	pthread_mutex_unlock(&c->lock);
	int64_t start = clock_mono();
	do_batch(c, &b);
	int64_t end = clock_mono(), rest = 2 * (end - start);
	pthread_mutex_lock(&c->lock);
	c->rest_until = end + (rest < rest_most ? rest : rest_most);
	c->led = false;
}

/* Waits until there is something to do, or the rest is over. The lock is held. */
static void wait_for_work(struct clerk *c)
{
	if (!c->first || c->led) {
		pthread_cond_wait(&c->work, &c->lock);
		return;
	}
	struct timespec until = { .tv_sec = c->rest_until / CLOCK_SECOND,
				  .tv_nsec = c->rest_until % CLOCK_SECOND * 1000 };
	c->watched = true;
	pthread_cond_timedwait(&c->work, &c->lock, &until);
	c->watched = false;
}

static void *clerk_main(void *arg)
{
	struct clerk *c = arg;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		if (!c->led && is_due(c))
			lead_once(c);
		else if (c->ending && !c->led)
			break;
		else
			wait_for_work(c);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct clerk *clerk_new(struct agent *agent)
{
	struct clerk *c = MEM_NEW(struct clerk);
	sigset_t all, old;
	pthread_condattr_t attr;
	c->magic = CLERK_MAGIC;
	c->agent = agent;
	c->last = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->work, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all); /* signals stay with the process's first thread; faults are the thread's own */
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS };
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int error = pthread_create(&c->thread, NULL, clerk_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error)
		log_fatal("cannot create a thread: error %d", error);
	return c;
}

void clerk_take(struct clerk *c, struct delivery *list, bool lead)
{
	CHECK_MAGIC(c, CLERK_MAGIC);
	assert(list);
	struct delivery **end = &list;
	size_t n = 0, hurried = 0;
	for (; *end; end = &(*end)->finished_next, n++)
		hurried += !(*end)->patient;
	pthread_mutex_lock(&c->lock);
	*c->last = list;
	c->last = end;
	c->n += n;
	c->hurried += hurried;
	if (lead && !c->led && is_due(c))
		lead_once(c);
	bool left =
		!c->led &&
		(c->ending || (c->first && (!c->watched || is_due(c)))); /* whoever leads sees to the rest */
	pthread_mutex_unlock(&c->lock);
	if (left)
		pthread_cond_signal(&c->work);
}

void clerk_destroy(struct clerk **cp)
{
	struct clerk *c = *cp;
	if (!c)
		return;
	CHECK_MAGIC(c, CLERK_MAGIC);
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	c->magic = 0;
	free(c);
	*cp = NULL;
}
