/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

#define POOL_MAGIC 0x9001b001u
enum { STACK_SIZE = 512 * 1024, IDLE_SECONDS = 10 };

struct pool {
	unsigned magic;
	struct waiter *waiter;
	pool_work_fn *work;
	void *ctx;
	size_t base, max;
	atomic_size_t threads, waiting; /* threads: all; waiting: between pool_wait_begin() and _end() */
	pthread_mutex_t lock;           /* guards the last thread's leaving */
	pthread_cond_t left;
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

/* May this thread go, because others are enough? Takes it off the count when so. */
static bool surplus(struct pool *p)
{
	size_t n = atomic_load(&p->threads);
	while (n > p->base + atomic_load(&p->waiting))
		if (atomic_compare_exchange_weak(&p->threads, &n, n - 1))
			return true;
	return false;
}

static void *thread_main(void *arg)
{
	struct pool *p = arg;
	my_pool = p;
	for (;;) {
		void *owner;
		enum wait_why why = waiter_take(p->waiter, IDLE_SECONDS * CLOCK_SECOND, &owner);
		if (why == WAITED_STOP)
			break;
		if (why != WAITED_NOTHING)
			p->work(p->ctx, owner, why);
		else if (surplus(p))
			return NULL;
	}
	leave(p);
	return NULL;
}

/* One more thread, when the bound allows it. Signals stay with the process's first thread. */
static void grow(struct pool *p)
{
	size_t n = atomic_load(&p->threads);
	do {
		if (n >= p->max)
			return;
	} while (!atomic_compare_exchange_weak(&p->threads, &n, n + 1));
	pthread_attr_t attr;
	pthread_t id;
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int error = pthread_create(&id, &attr, thread_main, p);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		log_warning("cannot start a thread: %s", strerror(error));
		leave(p);
	}
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
	return p;
}

void pool_start(struct pool *p)
{
	CHECK_MAGIC(p, POOL_MAGIC);
	for (size_t i = 0; i < p->base; i++)
		grow(p);
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
	while (atomic_load(&p->threads) > 0)
		pthread_cond_wait(&p->left, &p->lock);
	pthread_mutex_unlock(&p->lock);
	pthread_cond_destroy(&p->left);
	pthread_mutex_destroy(&p->lock);
	p->magic = 0;
	free(p);
	*pp = NULL;
}

void pool_wait_begin(void)
{
	struct pool *p = my_pool;
	if (!p || my_depth++ > 0)
		return;
	size_t waiting = atomic_fetch_add(&p->waiting, 1) + 1;
	if (atomic_load(&p->threads) < p->base + waiting)
		grow(p);
}

void pool_wait_end(void)
{
	struct pool *p = my_pool;
	if (p && --my_depth == 0)
		atomic_fetch_sub(&p->waiting, 1);
}

struct pool_state pool_state(const struct pool *p)
{
	return (struct pool_state){ .threads = atomic_load(&p->threads), .waiting = atomic_load(&p->waiting), .max = p->max };
}
