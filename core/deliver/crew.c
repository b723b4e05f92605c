/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/crew.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

enum { IDLE_SECONDS = 60, GROW_AGAIN_SECONDS = 1, STACK_BYTES = 512 * 1024, WAKE_MAX = 64, LOOK_MAX = 32 };
#define CREW_MAGIC 0x43726577u

struct hand { /* a thread, on its own stack */
	struct hand *next; /* in the stack of idle ones */
	void *job;         /* handed over when it was idle; NULL: none, leave */
	sem_t call;        /* posted once for each time that it is taken off the stack */
};

struct queued {
	void *job;
	int64_t since; /* clock_mono() */
};

struct crew {
	unsigned magic;
	size_t limit, eager;
	void (*run)(void *ctx, void *job);
	void *ctx;
	pthread_mutex_t lock; /* guards all below, next and job of idle hands */
	pthread_cond_t gone;  /* the last thread went */
	struct queued *ring;  /* queued jobs: ring[head], … count of them, modulo cap, a power of two */
	size_t head, count, cap;
	uint64_t taken;       /* jobs that have left the queue */
	uint64_t marked, pace; /* taken at mark_at; how many more there were between the last two marks */
	int64_t mark_at;
	struct hand *idle;    /* the one that worked last first: its memory is still warm */
	size_t threads, resting;
	int64_t grow_again;   /* clock_mono(): no further thread was to be had, and none is tried for before */
	bool ending;
};

struct crew *crew_new(size_t limit, size_t eager, void (*run)(void *ctx, void *job), void *ctx)
{
	assert(limit > 0 && eager > 0);
	struct crew *c = MEM_NEW(struct crew);
	c->magic = CREW_MAGIC;
	c->limit = limit;
	c->eager = eager;
	c->run = run;
	c->ctx = ctx;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->gone, NULL);
	return c;
}

/* Takes the oldest job. The lock is held, and there is one. */
static void *take(struct crew *c)
{
	void *job = c->ring[c->head].job;
	c->head = (c->head + 1) & (c->cap - 1);
	c->count--;
	c->taken++;
	return job;
}

/* Off the stack of idle hands, if it is there. The lock is held. */
static bool withdraw(struct crew *c, struct hand *h)
{
	struct hand **at = &c->idle;
	while (*at && *at != h)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = h->next;
	c->resting--;
	return true;
}

/* Rests until a job is handed over. NULL: none came for long, or the crew ends (then the caller looks again). Called and returns with the lock held. */
static void *rest(struct crew *c, struct hand *h)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	h->job = NULL;
	h->next = c->idle;
	c->idle = h;
	c->resting++;
	pthread_mutex_unlock(&c->lock);
	int n;
	do
		n = sem_clockwait(&h->call, CLOCK_MONOTONIC, &until);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		pthread_mutex_lock(&c->lock);
		if (withdraw(c, h))
			return NULL;
		pthread_mutex_unlock(&c->lock); /* called at the last moment: the post is on its way */
		while (sem_wait(&h->call) < 0)
			;
	}
	void *job = h->job;
	if (job) {
		c->run(c->ctx, job);
		h->job = NULL;
	}
	pthread_mutex_lock(&c->lock);
	return job;
}

static void *thread_main(void *arg)
{
	struct crew *c = arg;
	struct hand h = { .job = NULL };
	sem_init(&h.call, 0, 0);
	pthread_mutex_lock(&c->lock);
	for (;;) {
		if (c->count > 0) {
			void *job = take(c);
			pthread_mutex_unlock(&c->lock);
			c->run(c->ctx, job);
			pthread_mutex_lock(&c->lock);
		} else if (c->ending || (!rest(c, &h) && (c->ending || c->threads > 1))) {
			break; /* the last one stays: another may not be to be had when there is work again */
		}
	}
	if (--c->threads == 0)
		pthread_cond_broadcast(&c->gone);
	pthread_mutex_unlock(&c->lock);
	sem_destroy(&h.call);
	return NULL;
}

/* One more thread. The lock is held. With no thread at all nothing would ever be done, so a failure is fatal at the start;
 * later on those that are there do the work, and after a while another one is tried for. */
static void grow(struct crew *c)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int64_t now = clock_mono();
	if (c->threads > 0 && now < c->grow_again)
		return;
	sigfillset(&all); /* signals stay with the process's first thread */
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS }; /* these are the thread's own */
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	int error = pthread_create(&thread, &attr, thread_main, c);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error == 0)
		c->threads++;
	else if (c->threads == 0)
		log_fatal("cannot create a thread: error %d", error);
	else
		log_warning("cannot create a thread beyond %zu: error %d", c->threads, error);
	if (error)
		c->grow_again = now + GROW_AGAIN_SECONDS * CLOCK_SECOND;
}

void crew_start(struct crew *c)
{
	CHECK_MAGIC(c, CREW_MAGIC);
	pthread_mutex_lock(&c->lock);
	if (c->threads == 0)
		grow(c);
	pthread_mutex_unlock(&c->lock);
}

/* Appends to the ring. The lock is held. */
static void append(struct crew *c, void *job, int64_t now)
{
	if (c->count == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct queued *ring = mem_realloc_array(NULL, cap, sizeof *ring);
		for (size_t i = 0; i < c->count; i++)
			ring[i] = c->ring[(c->head + i) & (c->cap - 1)];
		free(c->ring);
		c->ring = ring;
		c->head = 0;
		c->cap = cap;
	}
	c->ring[(c->head + c->count++) & (c->cap - 1)] = (struct queued){ .job = job, .since = now };
}

/* One more thread for the oldest job: an idle one, which is to be called then, or a new one, which helps itself. NULL: that,
 * or there are no more. The lock is held, and a job is queued. */
static struct hand *put_to_work(struct crew *c)
{
	struct hand *h = c->idle;
	if (h) {
		c->idle = h->next;
		c->resting--;
		h->job = take(c);
	} else if (c->threads < c->limit) {
		grow(c);
	}
	return h;
}

/* At most WAKE_MAX jobs. The calls go out without the lock: who is called needs it soon. */
static void add_some(struct crew *c, void *const *jobs, size_t n, int64_t now)
{
	struct hand *called[WAKE_MAX];
	size_t calls = 0;
	pthread_mutex_lock(&c->lock);
	assert(!c->ending);
	for (size_t i = 0; i < n; i++) {
		append(c, jobs[i], now);
		struct hand *h = c->threads - c->resting < c->eager ? put_to_work(c) : NULL;
		if (h)
			called[calls++] = h;
	}
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < calls; i++)
		sem_post(&called[i]->call);
}

/* Closes the gap that taking ring[head + at] has left. The lock is held. */
static void close_gap(struct crew *c, size_t at)
{
	for (; at > 0; at--)
		c->ring[(c->head + at) & (c->cap - 1)] = c->ring[(c->head + at - 1) & (c->cap - 1)];
	c->head = (c->head + 1) & (c->cap - 1);
	c->count--;
	c->taken++;
}

void *crew_take(struct crew *c, bool (*fits)(const void *ctx, const void *job), const void *ctx)
{
	void *job = NULL;
	CHECK_MAGIC(c, CREW_MAGIC);
	pthread_mutex_lock(&c->lock);
	for (size_t at = 0; !job && at < c->count && at < LOOK_MAX; at++) {
		void *candidate = c->ring[(c->head + at) & (c->cap - 1)].job;
		if (fits(ctx, candidate)) {
			job = candidate;
			close_gap(c, at);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return job;
}

/* Notes how many jobs were taken within the last `patience`. The lock is held. */
static void measure_pace(struct crew *c, int64_t now, int64_t patience)
{
	if (now - c->mark_at < patience)
		return;
	c->pace = now - c->mark_at < 2 * patience ? c->taken - c->marked : 0;
	c->marked = c->taken;
	c->mark_at = now;
}

bool crew_relieve(struct crew *c, int64_t now, int64_t patience)
{
	struct hand *called[WAKE_MAX];
	size_t calls = 0, made = 0; /* idle threads, which have their job; new ones, which will take it */
	CHECK_MAGIC(c, CREW_MAGIC);
	size_t most = c->eager < WAKE_MAX ? c->eager : WAKE_MAX;
	pthread_mutex_lock(&c->lock);
	measure_pace(c, now, patience);
	while (calls + made < most && made + c->pace < c->count &&
	       c->ring[(c->head + made) & (c->cap - 1)].since <= now - patience) {
		size_t threads = c->threads;
		struct hand *h = put_to_work(c);
		if (h)
			called[calls++] = h;
		else if (c->threads > threads)
			made++;
		else
			break;
	}
	bool waiting = c->count > 0;
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < calls; i++)
		sem_post(&called[i]->call);
	return waiting;
}

void crew_add_all(struct crew *c, void *const *jobs, size_t n)
{
	CHECK_MAGIC(c, CREW_MAGIC);
	int64_t now = n > 0 ? clock_mono() : 0;
	for (size_t at = 0; at < n; at += WAKE_MAX)
		add_some(c, jobs + at, n - at < WAKE_MAX ? n - at : WAKE_MAX, now);
}

void crew_add(struct crew *c, void *job)
{
	crew_add_all(c, &job, 1);
}

size_t crew_busy(struct crew *c)
{
	CHECK_MAGIC(c, CREW_MAGIC);
	pthread_mutex_lock(&c->lock);
	size_t n = c->threads - c->resting + c->count;
	pthread_mutex_unlock(&c->lock);
	return n;
}

void crew_destroy(struct crew **cp)
{
	struct crew *c = *cp;
	if (!c)
		return;
	CHECK_MAGIC(c, CREW_MAGIC);
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	while (c->idle) { /* job stays NULL: leave */
		struct hand *h = c->idle;
		c->idle = h->next;
		c->resting--;
		sem_post(&h->call);
	}
	while (c->threads > 0)
		pthread_cond_wait(&c->gone, &c->lock);
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->gone);
	free(c->ring);
	c->magic = 0;
	free(c);
	*cp = NULL;
}
