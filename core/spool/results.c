/* SPDX-License-Identifier: Apache-2.0
 * An agent's result log. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "spool/results.h"

#define RESULTS_MAGIC 0x4e5017a1u
enum { RECORD_BYTES_MAX = 256 * 1024 };

struct spool_results {
	unsigned magic;
	struct spool *spool;
	struct append *append;
};

/* What one submit asked for: one record, or several when there are many results. */
struct job {
	_Atomic size_t left; /* records without an answer yet, and one for the submitter */
	atomic_bool ok;
	struct buf receipts; /* the leader's: batches follow each other */
	spool_result_done_fn *done;
	void *ctx;
};

struct piece { /* one record */
	struct append_item item;
	struct job *job;
	struct buf bytes;
};

/* One answer less to wait for; the last one answers. */
static void settle(struct job *j)
{
	if (atomic_fetch_sub(&j->left, 1) > 1)
		return;
	bool ok = atomic_load(&j->ok);
	j->done(j->ctx, ok, ok ? buf_str(&j->receipts) : NULL, ok ? j->receipts.len : 0);
	buf_free(&j->receipts);
	free(j);
}

/* The group commit's answer. */
static void batch_done(void *ctx, const struct append_batch *b)
{
	struct receipt r = { .number = b->number, .salt_id = salt_id(&b->salt) };
	if (b->outcome != APPEND_DURABLE)
		log_error("spool: results could not be written: %s", b->why.text);
	for (struct append_item *i = b->items, *next; i; i = next) {
		struct piece *p = (struct piece *)(void *)i;
		next = i->next;
		if (b->outcome == APPEND_DURABLE)
			buf_add(&p->job->receipts, &r, sizeof r);
		else
			atomic_store(&p->job->ok, false);
		settle(p->job);
		buf_free(&p->bytes);
		free(p);
	}
}

struct spool_results *spool_results_open(struct spool *s, struct ost_why *why)
{
	CHECK_MAGIC(s, SPOOL_MAGIC);
	struct spool_results *r = MEM_NEW(struct spool_results);
	r->magic = RESULTS_MAGIC;
	r->spool = s;
	r->append = append_open(&s->results_family, batch_done, r);
	/* Whoever cannot write results must not begin to deliver. */
	if (!append_prepare(r->append, why) || append_where(r->append).number == 0)
		spool_results_close(&r);
	return r;
}

void spool_results_close(struct spool_results **rp)
{
	struct spool_results *r = *rp;
	if (!r)
		return;
	CHECK_MAGIC(r, RESULTS_MAGIC);
	append_close(&r->append);
	r->magic = 0;
	free(r);
	*rp = NULL;
}

/* Hands one record to the group commit. */
static void submit_piece(struct spool_results *r, struct job *j, enum record_kind kind, struct piece *p)
{
	size_t body = p->bytes.len - RECORD_HEAD;
	p->job = j;
	p->item.record = p->bytes.data;
	p->item.len = p->bytes.len;
	p->item.head = (struct record_head){
		.kind = kind,
		.content_off = RECORD_HEAD,
		.body_len = (uint32_t)body,
		.content_sum = record_content_sum(0, "", 0, 0),
		.body_sum = record_body_sum(0, p->bytes.data + RECORD_HEAD, body),
	};
	atomic_fetch_add(&j->left, 1);
	append_submit(r->append, &p->item);
}

/* A record without its body. */
static struct piece *new_piece(void)
{
	struct piece *p = MEM_NEW(struct piece);
	buf_reserve(&p->bytes, 512);
	memset(p->bytes.data, 0, RECORD_HEAD);
	p->bytes.len = RECORD_HEAD;
	return p;
}

/* What waits for all pieces of one submit. */
static struct job *new_job(spool_result_done_fn *done, void *ctx)
{
	struct job *j = MEM_NEW(struct job);
	atomic_init(&j->left, 1);
	atomic_init(&j->ok, true);
	j->done = done;
	j->ctx = ctx;
	return j;
}

void spool_results_submit(struct spool_results *r, const struct spool_result *results, size_t n,
			  spool_result_done_fn *done, void *ctx)
{
	CHECK_MAGIC(r, RESULTS_MAGIC);
	struct job *j = new_job(done, ctx);
	for (size_t i = 0; i < n;) {
		struct piece *p = new_piece();
		while (i < n && p->bytes.len < RECORD_BYTES_MAX)
			results_put(&p->bytes, &results[i++], 1);
		submit_piece(r, j, RECORD_RESULTS, p);
	}
	settle(j);
}

/* The same for voids. */
static void submit_voids(struct spool_results *r, const struct spool_void *voids, size_t n,
			 spool_result_done_fn *done, void *ctx)
{
	CHECK_MAGIC(r, RESULTS_MAGIC);
	struct job *j = new_job(done, ctx);
	for (size_t i = 0; i < n;) {
		struct piece *p = new_piece();
		while (i < n && p->bytes.len < RECORD_BYTES_MAX)
			voids_put(&p->bytes, &voids[i++], 1);
		submit_piece(r, j, RECORD_VOID, p);
	}
	settle(j);
}

struct waiter { /* guarded by its lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done, ok;
	struct buf *receipt;
};

/* The answer for a thread that waits. */
static void wake(void *ctx, bool ok, const void *receipt, size_t len)
{
	struct waiter *w = ctx;
	pthread_mutex_lock(&w->lock);
	w->done = true;
	w->ok = ok;
	if (w->receipt)
		buf_add(w->receipt, receipt, len);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* Waits for the answer. */
static bool wait_for(struct waiter *w, struct ost_why *why)
{
	pthread_mutex_lock(&w->lock);
	while (!w->done)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	return w->ok || why_set(why, "the result log could not be written");
}

bool spool_results_append(struct spool_results *r, const struct spool_result *results, size_t n,
			  struct buf *receipt, struct ost_why *why)
{
	struct waiter w = { .lock = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER,
			    .receipt = receipt };
	spool_results_submit(r, results, n, wake, &w);
	return wait_for(&w, why);
}

bool results_append_voids(struct spool_results *r, const struct spool_void *voids, size_t n,
			  struct buf *receipt, struct ost_why *why)
{
	struct waiter w = { .lock = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER,
			    .receipt = receipt };
	submit_voids(r, voids, n, wake, &w);
	return wait_for(&w, why);
}
