/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/outbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/magic.h"
#include "base/mem.h"
#include "ipc/protocol.h"

#define OUTBOX_MAGIC 0x4f757462u

struct letter {
	struct letter *next;
	struct buf body;
};

struct outbox {
	unsigned magic;
	pthread_mutex_t lock; /* guards first, last, inside */
	struct letter *first, **last;
	unsigned inside;           /* threads that will leave, and send what is there then */
	pthread_mutex_t link_lock; /* guards link; held while sending; taken before lock */
	struct ipc_link *link;
};

struct outbox *outbox_new(void)
{
	struct outbox *o = MEM_NEW(struct outbox);
	o->magic = OUTBOX_MAGIC;
	o->last = &o->first;
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->link_lock, NULL);
	return o;
}

static void letters_free(struct letter *l)
{
	while (l) {
		struct letter *next = l->next;
		buf_free(&l->body);
		free(l);
		l = next;
	}
}

void outbox_destroy(struct outbox **op)
{
	struct outbox *o = *op;
	if (!o)
		return;
	CHECK_MAGIC(o, OUTBOX_MAGIC);
	letters_free(o->first);
	pthread_mutex_destroy(&o->lock);
	pthread_mutex_destroy(&o->link_lock);
	o->magic = 0;
	free(o);
	*op = NULL;
}

/* Everything queued, or NULL. */
static struct letter *take_all(struct outbox *o)
{
	pthread_mutex_lock(&o->lock);
	struct letter *l = o->first;
	o->first = NULL;
	o->last = &o->first;
	pthread_mutex_unlock(&o->lock);
	return l;
}

/* Sends what is queued as few packets. A link that breaks keeps nothing back: a new qmgr reads the result logs. */
static void flush(struct outbox *o)
{
	pthread_mutex_lock(&o->link_lock);
	struct letter *l = o->link ? take_all(o) : NULL;
	if (l) {
		bool several = l->next != NULL;
		if (several)
			ipc_cork(o->link);
		for (struct letter *at = l; at; at = at->next)
			ipc_send(o->link, M_DELIVERED, at->body.data, at->body.len);
		if (several)
			ipc_uncork(o->link);
	}
	pthread_mutex_unlock(&o->link_lock);
	letters_free(l);
}

void outbox_add(struct outbox *o, struct buf *body)
{
	CHECK_MAGIC(o, OUTBOX_MAGIC);
	struct letter *l = MEM_NEW(struct letter);
	l->body = *body;
	*body = (struct buf)BUF_INIT;
	pthread_mutex_lock(&o->lock);
	*o->last = l;
	o->last = &l->next;
	bool now = o->inside == 0;
	pthread_mutex_unlock(&o->lock);
	if (now)
		flush(o);
}

void outbox_enter(struct outbox *o)
{
	CHECK_MAGIC(o, OUTBOX_MAGIC);
	pthread_mutex_lock(&o->lock);
	o->inside++;
	pthread_mutex_unlock(&o->lock);
}

void outbox_leave(struct outbox *o)
{
	CHECK_MAGIC(o, OUTBOX_MAGIC);
	pthread_mutex_lock(&o->lock);
	assert(o->inside > 0);
	o->inside--;
	bool now = o->first != NULL;
	pthread_mutex_unlock(&o->lock);
	if (now)
		flush(o);
}

void outbox_attach(struct outbox *o, struct ipc_link *link)
{
	CHECK_MAGIC(o, OUTBOX_MAGIC);
	pthread_mutex_lock(&o->link_lock);
	o->link = link;
	pthread_mutex_unlock(&o->link_lock);
	if (link)
		flush(o);
}

bool outbox_empty(struct outbox *o)
{
	CHECK_MAGIC(o, OUTBOX_MAGIC);
	pthread_mutex_lock(&o->lock);
	bool empty = o->first == NULL;
	pthread_mutex_unlock(&o->lock);
	return empty;
}
