/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/crew.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

enum { IDLE_SECONDS = 60, STACK_BYTES = 512 * 1024 };
#define CREW_MAGIC 0x43726577u

struct crew {
	unsigned magic;
	size_t limit;
	void (*run)(void *ctx, void *job);
	void *ctx;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;  /* a job was queued, or ending */
	pthread_cond_t gone;  /* the last thread went */
	void **ring;          /* queued jobs: ring[head], … count of them, modulo cap */
	size_t head, count, cap;
	size_t threads, idle, waking; /* waking: idle threads that were signalled and have not run yet */
	bool ending;
};

struct crew *crew_new(size_t limit, void (*run)(void *ctx, void *job), void *ctx)
{
	assert(limit > 0);
	struct crew *p = MEM_NEW(struct crew);
	p->magic = CREW_MAGIC;
	p->limit = limit;
	p->run = run;
	p->ctx = ctx;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, &attr);
	pthread_cond_init(&p->gone, &attr);
	pthread_condattr_destroy(&attr);
	return p;
}

/* Takes the oldest job. The lock is held, and there is one. */
static void *take(struct crew *p)
{
	void *job = p->ring[p->head];
	p->head = (p->head + 1) % p->cap;
	p->count--;
	return job;
}

/* Waits for a job; false: none came for long, or the crew ends. The lock is held. */
static bool wait_for_job(struct crew *p)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	int error = 0;
	p->idle++;
	while (p->count == 0 && !p->ending && error != ETIMEDOUT) {
		error = pthread_cond_timedwait(&p->work, &p->lock, &until);
		if (p->waking > 0) /* counting too few costs a signal, too many would leave a job lying */
			p->waking--;
	}
	p->idle--;
	return p->count > 0;
}

static void *thread_main(void *arg)
{
	struct crew *p = arg;
	pthread_mutex_lock(&p->lock);
	while (p->count > 0 || wait_for_job(p)) {
		void *job = take(p);
		pthread_mutex_unlock(&p->lock);
		p->run(p->ctx, job);
		pthread_mutex_lock(&p->lock);
	}
	if (--p->threads == 0)
		pthread_cond_broadcast(&p->gone);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* One more thread. The lock is held. With no thread at all there is no crew, so a first failure is fatal. */
static void grow(struct crew *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	sigfillset(&all); /* signals stay with the process's first thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	int error = pthread_create(&thread, &attr, thread_main, p);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error == 0)
		p->threads++;
	else if (p->threads == 0)
		log_fatal("cannot create a thread: error %d", error);
	else
		log_warning("cannot create a thread beyond %zu: error %d", p->threads, error);
}

/* Appends to the ring. The lock is held. */
static void append(struct crew *p, void *job)
{
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;
		void **ring = mem_realloc_array(NULL, cap, sizeof *ring);
		for (size_t i = 0; i < p->count; i++)
			ring[i] = p->ring[(p->head + i) % p->cap];
		free(p->ring);
		p->ring = ring;
		p->head = 0;
		p->cap = cap;
	}
	p->ring[(p->head + p->count++) % p->cap] = job;
}

void crew_add_all(struct crew *p, void *const *jobs, size_t n)
{
	CHECK_MAGIC(p, CREW_MAGIC);
	pthread_mutex_lock(&p->lock);
	assert(!p->ending);
	for (size_t i = 0; i < n; i++) {
		append(p, jobs[i]);
		if (p->waking < p->idle) {
			p->waking++;
			pthread_cond_signal(&p->work);
		} else if (p->threads < p->limit) {
			grow(p);
		}
	}
	pthread_mutex_unlock(&p->lock);
}

void crew_add(struct crew *p, void *job)
{
	crew_add_all(p, &job, 1);
}

size_t crew_busy(struct crew *p)
{
	CHECK_MAGIC(p, CREW_MAGIC);
	pthread_mutex_lock(&p->lock);
	size_t n = p->threads - p->idle + p->count;
	pthread_mutex_unlock(&p->lock);
	return n;
}

void crew_destroy(struct crew **pp)
{
	struct crew *p = *pp;
	if (!p)
		return;
	CHECK_MAGIC(p, CREW_MAGIC);
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	while (p->threads > 0)
		pthread_cond_wait(&p->gone, &p->lock);
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->gone);
	free(p->ring);
	p->magic = 0;
	free(p);
	*pp = NULL;
}
