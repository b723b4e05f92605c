/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

#define POOL_MAGIC 0x9001b001u
enum { STACK_SIZE = 768 * 1024, IDLE_SECONDS = 10 };

struct pool {
	unsigned magic;
	struct waiter *waiter;
	pool_work_fn *work;
	void *ctx;
	size_t base, max;
	atomic_size_t active;  /* threads at work or looking for it: all but the waiting and the sleeping */
	atomic_size_t threads; /* all */
	atomic_size_t waiting; /* between pool_wait_begin() and _end() */
	pthread_mutex_t lock;  /* guards what follows */
	pthread_cond_t wake, left;
	size_t sleeping, calls; /* calls: sleepers that have been called and have not woken yet */
	bool stopping;
};

static _Thread_local struct pool *my_pool; /* of a pool thread */
static _Thread_local unsigned my_depth;    /* nested pool_wait_begin() */

/* The last one out tells pool_join(). */
static void leave(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	if (atomic_fetch_sub(&p->threads, 1) == 1)
		pthread_cond_signal(&p->left);
	pthread_mutex_unlock(&p->lock);
}

/* Counts one more active thread, unless there are enough. */
static bool claim(struct pool *p)
{
	size_t n = atomic_load(&p->active);
	while (n < p->base)
		if (atomic_compare_exchange_weak(&p->active, &n, n + 1))
			return true;
	return false;
}

/* Sleeps until called, when enough threads are active without this one. False: it has slept long enough, and leaves. */
static bool step_back(struct pool *p)
{
	size_t n = atomic_load(&p->active);
	while (n > p->base)
		if (atomic_compare_exchange_weak(&p->active, &n, n - 1))
			break;
	if (n <= p->base)
		return true;
	log_flush();
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	bool in_time = true;
	pthread_mutex_lock(&p->lock);
	p->sleeping++;
	bool active = false; /* again */
	while (!p->calls && !p->stopping && in_time && !(active = claim(p)))
		in_time = pthread_cond_clockwait(&p->wake, &p->lock, CLOCK_MONOTONIC, &until) == 0;
	p->sleeping--;
	if (!active && p->calls) {
		p->calls--; /* the caller has counted this thread */
		active = true;
	}
	if (!active && p->stopping) {
		atomic_fetch_add(&p->active, 1);
		active = true;
	}
	pthread_mutex_unlock(&p->lock);
	return active;
}

static void *thread_main(void *arg)
{
	struct pool *p = arg;
	my_pool = p;
	log_gather(true);
	for (;;) {
		void *owner;
		enum wait_why why = WAITED_STOP;
		if (step_back(p))
			why = waiter_take(p->waiter, CLOCK_NEVER, &owner);
		if (why == WAITED_STOP)
			break;
		p->work(p->ctx, owner, why);
	}
	log_gather(false);
	leave(p);
	return NULL;
}

/* One more thread, when the bound allows it; the caller has counted it as active. Signals stay with the process's first
 * thread. */
static void grow(struct pool *p)
{
	size_t n = atomic_load(&p->threads);
	do {
		if (n >= p->max) {
			atomic_fetch_sub(&p->active, 1);
			return;
		}
	} while (!atomic_compare_exchange_weak(&p->threads, &n, n + 1));
	pthread_attr_t attr;
	pthread_t id;
	sigset_t all, old;
	sigfillset(&all);
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS }; /* these are the thread's own */
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int error = pthread_create(&id, &attr, thread_main, p);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		log_warning("cannot start a thread: %s", strerror(error));
		atomic_fetch_sub(&p->active, 1);
		leave(p);
	}
}

/* A thread stops computing for a while: another takes over. The caller has left p->active already. */
static void call_another(struct pool *p)
{
	if (!claim(p))
		return;
	pthread_mutex_lock(&p->lock);
	bool asleep = p->sleeping > p->calls;
	if (asleep) {
		p->calls++; /* it is active from now on */
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	if (!asleep)
		grow(p);
}

struct pool *pool_new(struct waiter *w, size_t base, size_t max, pool_work_fn *work, void *ctx)
{
	struct pool *p = MEM_NEW(struct pool);
	p->magic = POOL_MAGIC;
	p->waiter = w;
	p->work = work;
	p->ctx = ctx;
	p->base = base ? base : 1;
	p->max = max > p->base ? max : p->base;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->left, NULL);
	pthread_cond_init(&p->wake, NULL);
	return p;
}

void pool_start(struct pool *p)
{
	CHECK_MAGIC(p, POOL_MAGIC);
	for (size_t i = 0; i < p->base; i++) {
		atomic_fetch_add(&p->active, 1);
		grow(p);
	}
	if (atomic_load(&p->threads) == 0)
		log_fatal("cannot start any thread");
}

void pool_join(struct pool **pp)
{
	struct pool *p = *pp;
	if (!p)
		return;
	CHECK_MAGIC(p, POOL_MAGIC);
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->wake);
	while (atomic_load(&p->threads) > 0)
		pthread_cond_wait(&p->left, &p->lock);
	pthread_mutex_unlock(&p->lock);
	pthread_cond_destroy(&p->left);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	p->magic = 0;
	free(p);
	*pp = NULL;
}

void pool_wait_begin(void)
{
	struct pool *p = my_pool;
	log_flush();
	if (!p || my_depth++ > 0)
		return;
	atomic_fetch_add(&p->waiting, 1);
	atomic_fetch_sub(&p->active, 1);
	call_another(p);
}

void pool_wait_end(void)
{
	struct pool *p = my_pool;
	if (!p || --my_depth > 0)
		return;
	atomic_fetch_add(&p->active, 1); /* one too many, perhaps: until this thread's next turn */
	atomic_fetch_sub(&p->waiting, 1);
}

struct pool_state pool_state(const struct pool *p)
{
	return (struct pool_state){ .threads = atomic_load(&p->threads), .waiting = atomic_load(&p->waiting), .max = p->max };
}
