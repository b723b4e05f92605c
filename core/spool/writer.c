/* SPDX-License-Identifier: Apache-2.0
 * Committing drafts: to the journal by group commit, or to message files; and the hints about both. */
#include "spool/draft.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

static void batch_done(void *ctx, const struct append_batch *);

struct spool_writer *spool_writer_open(struct spool *s, spool_hint_fn *hint, void *ctx, struct ost_why *why)
{
	struct spool_writer *w = MEM_NEW(struct spool_writer);
	w->magic = WRITER_MAGIC;
	w->spool = s;
	w->hint = hint;
	w->hint_ctx = ctx;
	w->append = append_open(&s->journal_family, batch_done, w);
	if (!append_prepare(w->append, why))
		spool_writer_close(&w);
	return w;
}

void spool_writer_close(struct spool_writer **wp)
{
	struct spool_writer *w = *wp;
	if (!w)
		return;
	CHECK_MAGIC(w, WRITER_MAGIC);
	assert(atomic_load(&w->drafts) == 0);
	append_close(&w->append);
	w->magic = 0;
	free(w);
	*wp = NULL;
}

void spool_writer_report(struct spool_writer *w, struct buf *hint)
{
	CHECK_MAGIC(w, WRITER_MAGIC);
	struct append_place p = append_where(w->append);
	if (p.number == 0)
		return;
	struct hint_batch b = { .number = p.number,
				.salt = p.salt,
				.start = p.end,
				.end = p.end,
				.first_sequence = p.sequence + 1 };
	tlv_put(hint, HINT_BATCH, 0, &b, sizeof b);
}

/* ---- hints ----------------------------------------------------------------------------------- */

/* One message's part of a hint. */
static void put_message(struct buf *hint, const struct spool_draft *d)
{
	size_t mark = tlv_open(hint, HINT_MESSAGE, 0);
	struct hint_message m = { .serial = d->serial,
				  .at = d->item.head.at,
				  .length = (uint32_t)d->item.len };
	buf_add(hint, &m, sizeof m);
	if (d->body_len <= HINT_ENVELOPE_MAX)
		buf_add(hint, d->text.data + d->body_at, d->body_len);
	tlv_close(hint, mark);
}

/* Tells of a durable batch, in as many pieces as it takes. */
static void hint_batch(struct spool_writer *w, const struct append_batch *b)
{
	struct buf hint = BUF_INIT;
	for (const struct append_item *i = b->items; i;) {
		struct hint_batch part = { .number = b->number,
					   .salt = b->salt,
					   .start = i->head.at,
					   .end = b->end,
					   .first_sequence = i->head.sequence };
		buf_truncate(&hint, 0);
		tlv_put(&hint, HINT_BATCH, 0, &part, sizeof part);
		for (; i && hint.len < HINT_MAX - HINT_ENVELOPE_MAX - 128; i = i->next) {
			put_message(&hint, (const struct spool_draft *)(const void *)i);
			part.count++;
		}
		if (i)
			part.end = i->head.at;
		__builtin_memcpy(hint.data + TLV_HEAD, &part, sizeof part);
		w->hint(w->hint_ctx, hint.data, hint.len);
	}
	buf_free(&hint);
}

void writer_hint_file(struct spool_writer *w, uint64_t serial, const char *body, size_t body_len)
{
	struct buf hint = BUF_INIT;
	if (!w->hint)
		return;
	size_t mark = tlv_open(&hint, HINT_FILE, 0);
	struct hint_message m = { .serial = serial };
	buf_add(&hint, &m, sizeof m);
	if (body_len <= HINT_ENVELOPE_MAX)
		buf_add(&hint, body, body_len);
	tlv_close(&hint, mark);
	w->hint(w->hint_ctx, hint.data, hint.len);
	buf_free(&hint);
}

/* ---- the journal's answers ------------------------------------------------------------------- */

/* Ends a draft. */
static void answer(struct spool_draft *d, enum spool_outcome outcome)
{
	spool_done_fn *done = d->done;
	void *ctx = d->done_ctx;
	draft_free(d);
	done(ctx, outcome);
}

/* The journal has no room for these: each becomes a file; the syncs come together. */
static void store_in_files(struct spool_writer *w, struct append_item *items)
{
	for (struct append_item *i = items; i; i = i->next) {
		struct spool_draft *d = (struct spool_draft *)(void *)i;
		if (!file_create(w->spool, d->serial, -1, NULL, &d->file) ||
		    !file_store(&d->file, i->record + RECORD_HEAD, i->head.content_len, i->head.prefix_len,
				i->head.content_sum, d->text.data + d->body_at, (uint32_t)d->body_len))
			d->error = errno;
	}
	for (struct append_item *i = items, *next; i; i = next) {
		struct spool_draft *d = (struct spool_draft *)(void *)i;
		next = i->next;
		if (!d->error && (!file_sync(&d->file) || !file_sync_folder(w->spool, d->serial)))
			d->error = errno;
		if (d->error) {
			log_error("spool: storing a message file: errno %d", d->error);
			file_abandon(&d->file);
		} else {
			writer_hint_file(w, d->serial, d->text.data + d->body_at, d->body_len);
		}
		answer(d, d->error ? spool_outcome_of_errno(d->error) : SPOOL_STORED);
	}
}

/* The group commit's answer to one batch. */
static void batch_done(void *ctx, const struct append_batch *b)
{
	struct spool_writer *w = ctx;
	static const enum spool_outcome outcomes[] = {
		[APPEND_DURABLE] = SPOOL_STORED,
		[APPEND_NO_SPACE] = SPOOL_NO_SPACE,
		[APPEND_FAILED] = SPOOL_FAILED,
	};
	if (b->outcome == APPEND_ELSEWHERE) {
		store_in_files(w, b->items);
		return;
	}
	if (b->outcome == APPEND_DURABLE && w->hint)
		hint_batch(w, b);
	for (struct append_item *i = b->items, *next; i; i = next) {
		next = i->next;
		answer((struct spool_draft *)(void *)i, outcomes[b->outcome]);
	}
}

/* ---- committing ------------------------------------------------------------------------------ */

/* Commits a message that is in a file already. */
static enum spool_outcome commit_file(struct spool_draft *d, const struct spool_envelope *env)
{
	struct buf body = BUF_INIT;
	bool ok = draft_seal(d, env, &body) && file_sync(&d->file) &&
		  file_sync_folder(d->writer->spool, d->serial);
	int error = errno;
	if (ok)
		writer_hint_file(d->writer, d->serial, body.data, body.len);
	else
		file_abandon(&d->file);
	buf_free(&body);
	return ok ? SPOOL_STORED : spool_outcome_of_errno(error);
}

void spool_draft_commit(struct spool_draft **dp, const struct spool_envelope *env, spool_done_fn *done,
			void *ctx)
{
	struct spool_draft *d = *dp;
	CHECK_MAGIC(d, DRAFT_MAGIC);
	*dp = NULL;
	d->done = done;
	d->done_ctx = ctx;
	if (d->error) {
		file_abandon(&d->file);
		answer(d, spool_outcome_of_errno(d->error));
	} else if (d->streaming) {
		answer(d, commit_file(d, env));
	} else {
		draft_lay_out(d, env);
		append_submit(d->writer->append, &d->item);
	}
}

struct waiter { /* guarded by its lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	enum spool_outcome outcome;
};

/* The answer for a thread that waits. */
static void wake(void *ctx, enum spool_outcome outcome)
{
	struct waiter *w = ctx;
	pthread_mutex_lock(&w->lock);
	w->done = true;
	w->outcome = outcome;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

enum spool_outcome spool_draft_commit_wait(struct spool_draft **dp, const struct spool_envelope *env)
{
	struct waiter w = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	spool_draft_commit(dp, env, wake, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.changed, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.changed);
	return w.outcome;
}
