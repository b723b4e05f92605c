/* SPDX-License-Identifier: Apache-2.0
 * What the keeper does by itself: messages go to files after a while, or when the journal fills; results are
 * folded into files, so that their logs can be recycled; what failed is tried again. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "spool/keeper_state.h"

uint32_t keeper_now(const struct keeper *k)
{
	return (uint32_t)((clock_mono() - k->opened) / CLOCK_SECOND);
}

void serials_add(struct serials *s, uint64_t serial)
{
	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 16;
		s->items = mem_realloc_array(s->items, s->cap, sizeof *s->items);
	}
	s->items[s->n++] = serial;
}

void keeper_fold_later(struct keeper *k, uint64_t serial)
{
	struct fold_queue *q = &k->folds;
	if (q->first == q->n)
		q->first = q->n = 0;
	if (q->n == q->cap && q->first > q->cap / 2) { /* what is through makes room */
		q->n -= q->first;
		memmove(q->items, q->items + q->first, q->n * sizeof *q->items);
		q->first = 0;
	}
	if (q->n == q->cap) {
		q->cap = q->cap * 2 + 64;
		q->items = mem_realloc_array(q->items, q->cap, sizeof *q->items);
	}
	q->items[q->n].serial = serial;
	q->items[q->n++].since = keeper_now(k);
}

/* May this message be moved or folded now? */
static bool is_quiet(const struct entry *e)
{
	return e && !(e->flags & (ENTRY_BUSY | ENTRY_GONE | ENTRY_FOREIGN | ENTRY_REMOVING));
}

/* Brings a message to its file, with the results that are known; or the results alone. */
static void move(struct keeper *k, struct entry *e)
{
	k->moves++;
	keeper_submit(k, e, job_new(JOB_UPDATE));
}

/* Moves those of a segment that were found before `limit`. */
static void move_older(struct keeper *k, uint32_t number, uint32_t limit)
{
	struct entry *next;
	for (struct entry *e = segment_first(&k->index, index_segment(&k->index, number)); e; e = next) {
		next = segment_next(&k->index, e);
		if (e->born > limit || k->moves >= MOVES_MAX)
			break;
		if (is_quiet(e))
			move(k, e);
	}
}

/* The journal fills: the closed segment with the fewest messages is emptied. */
static void empty_one(struct keeper *k)
{
	uint32_t best = 0, used = 0;
	for (uint32_t i = 1; i < k->index.nsegments; i++) {
		const struct journal_segment *s = &k->index.segments[i];
		used += s->used;
		if (s->used && s->closed && !s->recycling && s->live > 0 &&
		    (best == 0 || s->live < k->index.segments[best].live))
			best = i;
	}
	if (best && used * 4 > k->spool->options.segment_count * 3)
		move_older(k, best, UINT32_MAX);
}

static void move_old(struct keeper *k)
{
	uint32_t now = keeper_now(k);
	for (uint32_t i = 1; now >= MOVE_AFTER && i < k->index.nsegments; i++)
		if (k->index.segments[i].live > 0)
			move_older(k, i, now - MOVE_AFTER);
	empty_one(k);
}

/* Folds what has waited long enough. Most messages with results have left by then. */
static void fold_old(struct keeper *k)
{
	struct fold_queue *q = &k->folds;
	uint32_t now = keeper_now(k);
	while (q->first < q->n && k->moves < MOVES_MAX && now >= FOLD_AFTER &&
	       q->items[q->first].since <= now - FOLD_AFTER) {
		struct entry *e = index_find(&k->index, q->items[q->first++].serial);
		if (is_quiet(e) && e->pending && e->flags & ENTRY_FILE)
			move(k, e);
		else if (e && e->pending && !(e->flags & (ENTRY_GONE | ENTRY_FOREIGN)))
			keeper_fold_later(k, e->serial); /* busy now, or in the journal yet */
	}
}

/* Removals that failed. */
static void try_again(struct keeper *k)
{
	struct serials list = k->retry;
	k->retry = (struct serials){ 0 };
	for (size_t i = 0; i < list.n; i++) {
		struct entry *e = index_find(&k->index, list.items[i]);
		if (e && !(e->flags & ENTRY_GONE))
			keeper_end(k, e);
	}
	free(list.items);
}

/* Messages that could not be read. */
static void load_again(struct keeper *k)
{
	struct serials list = k->reload;
	k->reload = (struct serials){ 0 };
	for (size_t i = 0; i < list.n; i++) {
		struct entry *e = index_find(&k->index, list.items[i]);
		if (e && !(e->flags & (ENTRY_GONE | ENTRY_REMOVING)))
			keeper_submit(k, e, job_new(JOB_LOAD));
	}
	free(list.items);
}

void keeper_start_look(struct keeper *k, bool all)
{
	struct job *j = job_new(JOB_LOOK);
	j->all = all;
	j->stretches = mem_zalloc((k->index.nsegments + 1) * sizeof *j->stretches);
	for (uint32_t i = 1; i < k->index.nsegments; i++) {
		const struct journal_segment *s = &k->index.segments[i];
		if (s->used)
			j->stretches[j->nstretches++] = (struct stretch){ .known = true,
									  .closed = s->closed,
									  .number = i,
									  .id = s->id,
									  .read_to = s->read_to,
									  .sequence = s->sequence };
	}
	k->looking = true;
	k->looking_at_all = k->looking_at_all || all;
	keeper_post(k, j);
}

void keeper_tick(struct keeper *k)
{
	if (!k->scanned || k->closing)
		return;
	k->ticks++;
	if (k->ticks % LOOK_TICKS == 0 && !k->looking)
		keeper_start_look(k, false);
	if (keeper_now(k) >= k->no_moves_before) {
		move_old(k);
		fold_old(k);
	}
	try_again(k);
	if (k->ticks % RELOAD_TICKS == 0)
		load_again(k);
	for (uint32_t i = 1; i < k->index.nsegments; i++) /* a recycling that failed */
		keeper_check_segment(k, i);
	keeper_check_all_logs(k);
}
