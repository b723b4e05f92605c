/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "base/magic.h"
#include "base/mem.h"
#include "deliver/delivery.h"
#include "ipc/protocol.h"

#define FLIGHTS_MAGIC 0x466c6967u
enum { HELLO_BYTES = IPC_BODY_MAX - 4096 };

struct flights {
	unsigned magic;
	pthread_mutex_t lock; /* guards first, count, and next and prev of all deliveries */
	struct delivery *first;
	size_t count;
};

struct flights *flights_new(void)
{
	struct flights *f = MEM_NEW(struct flights);
	f->magic = FLIGHTS_MAGIC;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void flights_destroy(struct flights **fp)
{
	struct flights *f = *fp;
	if (!f)
		return;
	CHECK_MAGIC(f, FLIGHTS_MAGIC);
	assert(f->count == 0);
	pthread_mutex_destroy(&f->lock);
	f->magic = 0;
	free(f);
	*fp = NULL;
}

void flights_add(struct flights *f, struct delivery *d)
{
	CHECK_MAGIC(f, FLIGHTS_MAGIC);
	pthread_mutex_lock(&f->lock);
	d->prev = NULL;
	d->next = f->first;
	if (f->first)
		f->first->prev = d;
	f->first = d;
	f->count++;
	pthread_mutex_unlock(&f->lock);
}

void flights_remove(struct flights *f, struct delivery *d)
{
	CHECK_MAGIC(f, FLIGHTS_MAGIC);
	pthread_mutex_lock(&f->lock);
	if (d->next)
		d->next->prev = d->prev;
	if (d->prev)
		d->prev->next = d->next;
	else
		f->first = d->next;
	f->count--;
	pthread_mutex_unlock(&f->lock);
}

size_t flights_count(struct flights *f)
{
	CHECK_MAGIC(f, FLIGHTS_MAGIC);
	pthread_mutex_lock(&f->lock);
	size_t n = f->count;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void hello_head(struct buf *body, const char *service, size_t limit)
{
	buf_reset(body);
	tlv_put_str(body, F_SERVICE, service);
	tlv_put_u64(body, F_LIMIT, limit);
}

/* Appends one delivery; what does not fit is sent first, with F_COUNT: more follows. */
static bool hello_flight(struct buf *body, struct ipc_link *link, const char *service, size_t limit,
			 const struct delivery *d)
{
	size_t need = 64 + d->pub.nrcpts * (TLV_HEAD + sizeof(uint64_t));
	if (body->len + need > HELLO_BYTES) {
		tlv_put_u64(body, F_COUNT, 1);
		if (!ipc_send(link, M_AGENT_HELLO, body->data, body->len))
			return false;
		hello_head(body, service, limit);
	}
	size_t mark = tlv_open(body, F_FLIGHT, 0);
	tlv_put_u64(body, F_SERIAL, d->serial);
	for (uint32_t i = 0; i < d->pub.nrcpts; i++)
		tlv_put_u64(body, F_RCPT, d->index[i]);
	tlv_close(body, mark);
	return true;
}

bool flights_hello(struct flights *f, struct ipc_link *link, const char *service, size_t limit)
{
	struct buf body = BUF_INIT;
	bool alive = true;
	CHECK_MAGIC(f, FLIGHTS_MAGIC);
	hello_head(&body, service, limit);
	pthread_mutex_lock(&f->lock);
	for (const struct delivery *d = f->first; d && alive; d = d->next)
		alive = hello_flight(&body, link, service, limit, d);
	pthread_mutex_unlock(&f->lock);
	alive = alive && ipc_send(link, M_AGENT_HELLO, body.data, body.len);
	buf_free(&body);
	return alive;
}
