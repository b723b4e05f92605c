/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/append.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

#define APPEND_MAGIC 0xa99e4d01u
enum { MAX_ITEMS = 256, MAX_BYTES = 4 * 1024 * 1024 };
/* After a vain look for a free segment, how long the next look waits. */
static const int64_t look_again_after = CLOCK_SECOND / 10;

struct append {
	unsigned magic;
	const struct segment_family *family;
	append_done_fn *done;
	void *ctx;

	pthread_mutex_t lock; /* guards what follows */
	struct append_item *first, **last;
	bool led;
	struct append_place place;

	/* The leader's alone; handed over with `led`. */
	struct segment segment; /* fd -1: none */
	uint32_t next_number;
	int64_t no_look_before;
	struct iovec iov[2 * MAX_ITEMS + 1];
};

static const char zeros[RECORD_BORDER];

struct append *append_open(const struct segment_family *family, append_done_fn *done, void *ctx)
{
	struct append *a = MEM_NEW(struct append);
	a->magic = APPEND_MAGIC;
	a->family = family;
	a->done = done;
	a->ctx = ctx;
	a->last = &a->first;
	a->segment.fd = -1;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

void append_close(struct append **ap)
{
	struct append *a = *ap;
	if (!a)
		return;
	CHECK_MAGIC(a, APPEND_MAGIC);
	assert(!a->first && !a->led);
	segment_close(a->family, &a->segment);
	pthread_mutex_destroy(&a->lock);
	a->magic = 0;
	free(a);
	*ap = NULL;
}

/* Publishes where we stand. */
static void note_place(struct append *a)
{
	const struct segment *s = &a->segment;
	pthread_mutex_lock(&a->lock);
	a->place = s->fd < 0 ? (struct append_place){ 0 }
			     : (struct append_place){ .number = s->header.number,
						      .salt = s->header.salt,
						      .end = s->tail,
						      .sequence = s->sequence };
	pthread_mutex_unlock(&a->lock);
}

struct append_place append_where(struct append *a)
{
	pthread_mutex_lock(&a->lock);
	struct append_place place = a->place;
	pthread_mutex_unlock(&a->lock);
	return place;
}

/* Sees to a segment with room for len bytes. */
static enum append_outcome get_segment(struct append *a, uint64_t len, struct ost_why *why)
{
	uint64_t room = round_up(len, RECORD_BORDER);
	if (room > a->family->size - SEGMENT_HEADER) {
		why_set(why, "the record is larger than a segment");
		return APPEND_ELSEWHERE;
	}
	if (a->segment.fd >= 0 && a->segment.header.size - a->segment.tail >= room)
		return APPEND_DURABLE;
	segment_close(a->family, &a->segment);
	if (clock_mono() < a->no_look_before) {
		why_set(why, "no segment is free");
		return APPEND_ELSEWHERE;
	}
	static const enum append_outcome outcomes[] = {
		[SEGMENT_GOT] = APPEND_DURABLE,
		[SEGMENT_NONE_FREE] = APPEND_ELSEWHERE,
		[SEGMENT_NO_SPACE] =
			APPEND_ELSEWHERE, /* for a whole segment: a file of one message may fit */
		[SEGMENT_ERROR] = APPEND_FAILED,
	};
	why_set(why, "no segment is free");
	enum segment_got got = segment_take(a->family, &a->next_number, &a->segment, why);
	if (got != SEGMENT_GOT) {
		a->segment.fd = -1;
		a->no_look_before = clock_mono() + look_again_after;
	} else if (a->segment.header.size - SEGMENT_HEADER < room) { /* made when segments were smaller */
		segment_close(a->family, &a->segment);
		return APPEND_ELSEWHERE;
	}
	return outcomes[got];
}

bool append_prepare(struct append *a, struct ost_why *why)
{
	pthread_mutex_lock(&a->lock);
	bool ours = !a->led;
	a->led = true;
	pthread_mutex_unlock(&a->lock);
	if (!ours)
		return true;
	enum append_outcome outcome = get_segment(a, RECORD_BORDER, why);
	note_place(a);
	pthread_mutex_lock(&a->lock);
	a->led = false;
	pthread_mutex_unlock(&a->lock);
	return outcome == APPEND_DURABLE || outcome == APPEND_ELSEWHERE;
}

/* Takes from the queue what makes one batch: what fits the segment, in order. Called with the lock held. */
static struct append_item *take_batch(struct append *a, uint64_t room)
{
	struct append_item *batch = a->first, **end = &a->first;
	uint64_t bytes = 0;
	int n = 0;
	while (*end && n < MAX_ITEMS) {
		uint64_t more = round_up((*end)->len, RECORD_ALIGN);
		if (n > 0 && (bytes + more > room || bytes + more > MAX_BYTES))
			break;
		bytes += more;
		n++;
		end = &(*end)->next;
	}
	a->first = *end;
	if (!a->first)
		a->last = &a->first;
	*end = NULL;
	return batch;
}

/* Finishes the heads and lists the bytes of a batch; answers the number of pieces. */
static int lay_out(struct append *a, struct append_item *items, uint64_t *len)
{
	int n = 0;
	uint64_t at = a->segment.tail, sequence = a->segment.sequence;
	for (struct append_item *i = items; i; i = i->next) {
		i->head.at = at;
		i->head.sequence = ++sequence;
		record_head_put(i->record, &i->head, &a->segment.header.salt);
		uint64_t next = at + i->len;
		a->iov[n++] = (struct iovec){ .iov_base = i->record, .iov_len = i->len };
		at = round_up(next, i->next ? RECORD_ALIGN : RECORD_BORDER);
		if (at > next)
			a->iov[n++] =
				(struct iovec){ .iov_base = (void *)(uintptr_t)zeros, .iov_len = at - next };
	}
	*len = at - a->segment.tail;
	return n;
}

/* A write or sync failed: nothing of this batch may come to life. Without that certainty there is no answer
 * at all. */
static void cut_or_die(struct append *a, struct append_batch *b, bool no_space)
{
	struct ost_why cut;
	log_error("spool: %s", b->why.text);
	b->outcome = no_space ? APPEND_NO_SPACE : APPEND_FAILED;
	if (!segment_cut(a->family, &a->segment, &cut)) {
		log_error("spool: %s: giving up without an answer", cut.text);
		abort();
	}
}

/* Writes one batch. */
static void write_batch(struct append *a, struct append_batch *b)
{
	uint64_t len;
	struct segment *s = &a->segment;
	int count = lay_out(a, b->items, &len);
	sys_check_identity(s->fd, &s->identity, "a journal segment");
	b->number = s->header.number;
	b->salt = s->header.salt;
	b->start = s->tail;
	b->end = s->tail + len;
	if (!sys_pwritev(a->family->sys, s->fd, a->iov, count, s->tail) ||
	    !sys_datasync(a->family->sys, s->fd)) {
		bool no_space = errno == ENOSPC || errno == EDQUOT;
		why_errno(&b->why, "writing to segment %u", s->header.number);
		cut_or_die(a, b, no_space);
		return;
	}
	sys_check_identity(s->fd, &s->identity, "a journal segment");
	b->outcome = APPEND_DURABLE;
	s->tail = b->end;
	for (const struct append_item *i = b->items; i; i = i->next)
		s->sequence = i->head.sequence;
}

/* One batch, from the queue to its answers. Called with the lock held, and leaves it held. */
static void lead_once(struct append *a)
{
	struct append_batch b = { 0 };
	uint64_t first_len = a->first->len;
	pthread_mutex_unlock(&a->lock);
	b.outcome = get_segment(a, first_len, &b.why);
	uint64_t room = b.outcome == APPEND_DURABLE ? a->segment.header.size - a->segment.tail : 0;
	pthread_mutex_lock(&a->lock);
	b.items = take_batch(a, room);
	pthread_mutex_unlock(&a->lock);
	if (b.outcome == APPEND_DURABLE)
		write_batch(a, &b);
	note_place(a);
	a->done(a->ctx, &b);
	pthread_mutex_lock(&a->lock);
}

void append_submit(struct append *a, struct append_item *item)
{
	CHECK_MAGIC(a, APPEND_MAGIC);
	item->next = NULL;
	pthread_mutex_lock(&a->lock);
	*a->last = item;
	a->last = &item->next;
	if (!a->led) {
		a->led = true;
		while (a->first)
			lead_once(a);
		a->led = false;
	}
	pthread_mutex_unlock(&a->lock);
}
