/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/desk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

#define DESK_MAGIC 0x7e501002u
struct client {
	struct ipc_link *link;
	atomic_uint users;
};

struct item {
	struct item *next;
	struct client *client;
	size_t len;
	char body[];
};

struct desk {
	unsigned magic;
	struct desk_work does;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	size_t waiting;
	struct item *first, *last;
	unsigned idle, count, max;
	bool closing;
	pthread_t *threads;
};

struct client *client_new(struct ipc_link *link)
{
	struct client *c = MEM_NEW(struct client);
	c->link = link;
	atomic_init(&c->users, 1);
	return c;
}

struct ipc_link *client_link(struct client *c)
{
	return c->link;
}

void client_release(struct client **cp)
{
	struct client *c = *cp;
	*cp = NULL;
	if (!c || atomic_fetch_sub(&c->users, 1) > 1)
		return;
	ipc_link_destroy(&c->link);
	free(c);
}

/* Takes the next item, waiting for one; NULL: the end. */
static struct item *take(struct desk *d)
{
	pthread_mutex_lock(&d->lock);
	d->idle++;
	while (!d->first && !d->closing)
		pthread_cond_wait(&d->work, &d->lock);
	d->idle--;
	struct item *i = d->first;
	if (i) {
		d->first = i->next;
		if (!d->first)
			d->last = NULL;
		d->waiting--;
	}
	pthread_mutex_unlock(&d->lock);
	return i;
}

static void *desk_thread(void *arg)
{
	struct desk *d = arg;
	struct arena *a = arena_new();
	for (struct item *i; (i = take(d));) {
		arena_reset(a);
		d->does.answer(d->does.ctx, a, i->body, i->len, i->client->link);
		client_release(&i->client);
		free(i);
	}
	arena_destroy(&a);
	return NULL;
}

/* One more thread, if there can be one. The lock is held, or nobody else knows the desk yet. */
static bool grow(struct desk *d)
{
	if (pthread_create(&d->threads[d->count], NULL, desk_thread, d) != 0)
		return false;
	d->count++;
	return true;
}

struct desk *desk_new(const struct desk_work *does, unsigned max_threads)
{
	struct desk *d = MEM_NEW(struct desk);
	d->magic = DESK_MAGIC;
	d->does = *does;
	d->max = max_threads;
	d->threads = mem_zalloc(max_threads * sizeof *d->threads);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	if (!grow(d)) /* what waits for an answer later always finds a thread: this one at least */
		log_fatal("cannot start a thread");
	return d;
}

/* Lock held. */
static void queue_item(struct desk *d, struct item *i)
{
	if (d->last)
		d->last->next = i;
	else
		d->first = i;
	d->last = i;
	d->waiting++;
	if (d->idle == 0 && d->count < d->max)
		(void)grow(d); /* or those that there are do it, one after the other */
	pthread_cond_signal(&d->work);
}

bool desk_add(struct desk *d, struct client *c, const void *body, size_t len)
{
	CHECK_MAGIC(d, DESK_MAGIC);
	const char *at = body;
	bool room = true;
	pthread_mutex_lock(&d->lock);
	while (len > 0) {
		size_t n = d->does.share ? d->does.share(at, len) : len;
		room = d->does.waiting_max == 0 || d->waiting < d->does.waiting_max;
		if (n == 0 || !room)
			break;
		struct item *i = mem_alloc(sizeof *i + n);
		*i = (struct item){ .client = c, .len = n };
		memcpy(i->body, at, n);
		atomic_fetch_add(&c->users, 1);
		queue_item(d, i);
		at += n;
		len -= n;
	}
	pthread_mutex_unlock(&d->lock);
	return room;
}

void desk_destroy(struct desk **dp)
{
	struct desk *d = *dp;
	if (!d)
		return;
	CHECK_MAGIC(d, DESK_MAGIC);
	pthread_mutex_lock(&d->lock);
	d->closing = true;
	pthread_cond_broadcast(&d->work);
	pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i < d->count; i++)
		pthread_join(d->threads[i], NULL);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	free(d->threads);
	d->magic = 0;
	free(d);
	*dp = NULL;
}
