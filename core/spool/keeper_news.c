/* SPDX-License-Identifier: Apache-2.0
 * What the mover came across, and what writers hint: messages are found, results are known. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/keeper_state.h"

enum { READ_CHUNK = 1024 };

/* ---- messages -------------------------------------------------------------------------------- */

/* A notice that has been stored already: this one goes, unseen. */
static void drop_double(struct keeper *k, struct entry *e, const struct found *f)
{
	char id[QUEUE_ID_SIZE];
	struct job *j = job_new(JOB_REMOVE);
	j->forced = true;
	log_info("%s: a second notice about the same failure, dropped",
		 queue_id_text(id, f->summary.serial, k->spool->options.long_queue_ids));
	e->flags |= ENTRY_REMOVING;
	keeper_submit(k, e, j);
}

/* Takes a message up that was not known. */
static void take_up(struct keeper *k, struct found *f, const struct spool_envelope *env)
{
	struct entry *e = index_add(&k->index, f->summary.serial);
	e->born = keeper_now(k);
	e->at = f->at;
	e->length = f->length;
	e->rounds = f->rounds < UINT8_MAX ? (uint8_t)f->rounds : UINT8_MAX;
	e->flags = (uint16_t)((f->number ? 0 : ENTRY_FILE) | (f->named ? ENTRY_NAMED : 0) |
			      (f->foreign ? ENTRY_FOREIGN : 0) | (f->notice_of ? ENTRY_NOTICE : 0) |
			      (f->number || env ? 0 : ENTRY_UNSURE));
	if (f->number)
		segment_link(&k->index, e, f->number);
	entry_add_pending(&k->index, e, f->pending);
	if (e->pending)
		keeper_fold_later(k, e->serial);
	f->pending = NULL;
	if (f->foreign)
		return;
	if (f->notice_of && !notices_add(k->notices, e->serial, f->notice_of, f->notice_round)) {
		drop_double(k, e, f);
		return;
	}
	if (f->summary.open_rcpts == 0 && f->summary.owed == 0)
		keeper_end(k, e);
	else
		k->events.found(k->ctx, &f->summary, env);
}

/* One message of the journal or of a file. What is known already is passed over. */
static void take_found(struct keeper *k, struct found *f, const struct spool_envelope *env)
{
	if (f->void_log) {
		segment_needs_log(&k->index, f->number, f->void_log);
		return;
	}
	if (!index_find(&k->index, f->summary.serial))
		take_up(k, f, env);
}

static void take_all_found(struct keeper *k, struct news *n)
{
	for (size_t i = 0; i < n->nfound; i++)
		take_found(k, &n->found[i], NULL);
}

/* ---- segments -------------------------------------------------------------------------------- */

/* The segment in the life that the mover saw. News come in order: a new life means that the old one is over.
 * NULL: we still have messages of another life, which cannot be. */
static struct journal_segment *in_this_life(struct keeper *k, uint32_t number, const struct salt *salt)
{
	struct journal_segment *s = index_segment(&k->index, number);
	uint32_t id = salt_id(salt);
	if (s->used && s->id == id)
		return s;
	if (s->used && s->live > 0) {
		log_error("spool: segment %u is in another life than it should be", number);
		return NULL;
	}
	if (s->used)
		keeper_life_over(k, number);
	*s = (struct journal_segment){
		.known = true, .used = true, .salt = *salt, .id = id, .read_to = SEGMENT_HEADER
	};
	return s;
}

static void take_segment(struct keeper *k, struct news *n)
{
	uint32_t number = n->header.number;
	struct journal_segment *s = index_segment(&k->index, number);
	if (n->header.state == SEGMENT_FREE) {
		if (!s->used)
			*s = (struct journal_segment){ .known = true,
						       .salt = n->header.salt,
						       .id = salt_id(&n->header.salt) };
		return;
	}
	s = in_this_life(k, number, &n->header.salt);
	if (!s)
		return;
	if (n->read.sequence > s->sequence) {
		s->sequence = n->read.sequence;
		s->read_to = n->read.read_to;
	}
	if (n->unreadable)
		s->unreadable = k->blind = true;
	s->closed = s->closed || !n->locked;
	take_all_found(k, n);
	keeper_check_segment(k, number);
}

/* ---- logs ------------------------------------------------------------------------------------ */

/* A result that stands in a log. */
static void take_result(struct keeper *k, struct pending *p)
{
	struct entry *e = index_find(&k->index, p->row.result.serial);
	if (e && e->flags & ENTRY_GONE) {
		segment_needs_log(&k->index, e->segment, p->log);
	} else if (e) {
		struct pending *at = e->pending;
		while (at && (at->log != p->log || at->row.result.rcpt != p->row.result.rcpt ||
			      at->row.result.when != p->row.result.when ||
			      at->row.result.status != p->row.result.status))
			at = at->next;
		if (!at) {
			entry_add_pending(&k->index, e, p);
			keeper_fold_later(k, e->serial);
			k->events.result(k->ctx, &p->row.result);
			return;
		}
	}
	pending_free(p);
}

static void take_log(struct keeper *k, struct news *n)
{
	uint32_t number = n->header.number;
	struct result_log *l = index_log(&k->index, number);
	l->known = true;
	l->id = salt_id(&n->header.salt);
	while (n->results) {
		struct pending *p = n->results;
		n->results = p->next;
		p->next = NULL;
		take_result(k, p);
	}
	for (size_t i = 0; i < n->nvoids; i++) {
		const struct journal_segment *s = index_segment(&k->index, n->voids[i].number);
		if (s->used && s->id == n->voids[i].salt_id)
			segment_needs_log(&k->index, n->voids[i].number, number);
	}
	l = index_log(&k->index, number);
	l->closed = !n->locked && !n->unreadable;
	keeper_check_log(k, number);
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* Names of message files: those that are not known are read. */
static void take_names(struct keeper *k, const struct news *n)
{
	struct job *j = NULL;
	for (size_t i = 0; i < n->nserials; i++) {
		if (index_find(&k->index, n->serials[i]))
			continue;
		if (!j) {
			j = job_new(JOB_READ);
			j->serials = mem_alloc(n->nserials * sizeof *j->serials);
		}
		j->serials[j->nserials++] = n->serials[i];
	}
	if (j)
		keeper_post(k, j);
}

/* Takes the hints that came too early. */
static void take_kept_hints(struct keeper *k)
{
	struct buf kept = k->hints;
	k->hints = (struct buf)BUF_INIT;
	for (size_t at = 0; at < kept.len;) {
		uint32_t len;
		memcpy(&len, kept.data + at, sizeof len);
		keeper_take_hint(k, kept.data + at + sizeof len, len);
		at += sizeof len + len;
	}
	buf_free(&kept);
}

void keeper_take_early_hints(struct keeper *k, const struct job *j)
{
	if (!j->all)
		return;
	index_segment(&k->index, j->stretches[0].number)->asked = 0;
	k->replaying = true;
	take_kept_hints(k);
	k->replaying = false;
}

/* The first scan has been through the journal: what comes from now on is new. */
static void take_journal_scanned(struct keeper *k)
{
	k->journal_scanned = true;
	take_kept_hints(k);
}

/* The first scan is through. */
static void take_scanned(struct keeper *k)
{
	struct serials held = k->held;
	k->held = (struct serials){ 0 };
	k->scanned = true;
	for (size_t i = 0; i < held.n; i++) {
		struct entry *e = index_find(&k->index, held.items[i]);
		if (e && !(e->flags & ENTRY_GONE))
			keeper_end(k, e);
	}
	free(held.items);
	k->events.scanned(k->ctx);
	for (uint32_t i = 1; i < k->index.nsegments; i++)
		keeper_check_segment(k, i);
	keeper_check_all_logs(k);
	if (k->look_again && !k->closing) { /* asked for while the scan may have been past it already */
		k->look_again = false;
		keeper_start_look(k, true);
	}
}

void keeper_take_news(struct keeper *k, struct news *n)
{
	switch (n->kind) {
	case NEWS_JOB:
		k->jobs--;
		keeper_answer(k, n->job);
		n->job = NULL;
		break;
	case NEWS_SEGMENT:
		take_segment(k, n);
		break;
	case NEWS_FILES:
		take_all_found(k, n);
		break;
	case NEWS_NAMES:
		take_names(k, n);
		break;
	case NEWS_LOG:
		take_log(k, n);
		break;
	case NEWS_JOURNAL:
		take_journal_scanned(k);
		break;
	case NEWS_SCANNED:
		k->blind |= n->partial;
		take_scanned(k);
		break;
	case NEWS_TICK:
		keeper_tick(k);
		break;
	}
	news_free(n);
}

/* ---- hints ----------------------------------------------------------------------------------- */

/* Has the mover read the stretch [from what we know, to); of a life that is new, from its beginning. */
static void read_gap(struct keeper *k, const struct stretch *known, uint64_t to, bool new_life)
{
	struct job *j = job_new(JOB_GAP);
	j->all = new_life;
	j->stretches = mem_zalloc(2 * sizeof *j->stretches);
	j->nstretches = 2;
	j->stretches[0] = *known;
	j->stretches[1].read_to = to;
	keeper_post(k, j);
}

/* A hinted message, with its envelope or without. */
static void take_message(struct keeper *k, const struct hint_batch *b, const struct tlv *t)
{
	struct hint_message m;
	if (t->len < sizeof m)
		return;
	memcpy(&m, t->data, sizeof m);
	if (m.serial == 0 || (b->number > 0 && (m.length < RECORD_HEAD || m.at > UINT32_MAX)))
		return;
	struct arena *a = arena_new();
	struct spool_envelope *env;
	struct found f = { .number = b->number, .at = (uint32_t)m.at, .length = m.length };
	if (t->len > sizeof m && envelope_get(a, t->data + sizeof m, t->len - sizeof m, &env) == BODY_GOOD &&
	    env->serial == m.serial) {
		f.summary = mover_summary(env);
		f.notice_of = env->notice_of;
		f.notice_round = env->notice_round;
		f.named = env->named != NULL;
		take_found(k, &f, env);
	} else if (b->number == 0) { /* a file with an envelope too large to be hinted */
		struct job *j = job_new(JOB_READ);
		j->serials = mem_dup(&m.serial, sizeof m.serial);
		j->nserials = 1;
		keeper_post(k, j);
	} else if (!index_find(&k->index, m.serial)) {
		struct stretch one = {
			.known = true, .number = b->number, .id = salt_id(&b->salt), .read_to = m.at
		};
		read_gap(k, &one, m.at + m.length, false);
	}
	arena_destroy(&a);
}

/* The batch's place, in a life that we know. False: nothing of it is news. *known: that many of its messages
 * are known. */
static bool take_batch(struct keeper *k, const struct hint_batch *b, uint64_t *known)
{
	if (b->number == 0 || b->number > UINT16_MAX)
		return false;
	struct journal_segment *s = index_segment(&k->index, b->number);
	if (!s->used || s->id != salt_id(&b->salt))
		return false;
	if (b->first_sequence > s->sequence + 1)
		read_gap(k,
			 &(struct stretch){ .known = true,
					    .number = b->number,
					    .id = s->id,
					    .read_to = s->read_to,
					    .sequence = s->sequence },
			 b->start, false);
	*known = s->sequence >= b->first_sequence ? s->sequence - b->first_sequence + 1 : 0;
	uint64_t last = b->first_sequence + b->count - 1;
	if (last > s->sequence) {
		s->sequence = last;
		s->read_to = b->end;
	}
	return true;
}

/* Is the hint about a segment in a life of which we know nothing? A hint alone does not make us believe in it
 * (it may be old, and the life over): the mover looks, and the hint waits for that. */
static bool is_early(struct keeper *k, const void *hint, size_t len)
{
	struct tlv_reader r = tlv_read(hint, len);
	struct tlv t;
	struct hint_batch b;
	while (tlv_next(&r, &t)) {
		if (t.type != HINT_BATCH || t.len != sizeof b)
			continue;
		memcpy(&b, t.data, sizeof b);
		if (b.number == 0 || b.number > UINT16_MAX)
			continue;
		struct journal_segment *s = index_segment(&k->index, b.number);
		uint32_t id = salt_id(&b.salt);
		bool asked = s->asked == id;
		if ((s->used && s->id == id) || (k->replaying && !asked))
			continue;
		s->asked = id;
		if (!asked)
			read_gap(k,
				 &(struct stretch){ .known = true,
						    .number = b.number,
						    .id = id,
						    .read_to = SEGMENT_HEADER },
				 b.end, true);
		return true;
	}
	return false;
}

void keeper_keep_hint(struct keeper *k, const void *hint, size_t len)
{
	uint32_t n = (uint32_t)len;
	if (len > KEPT_HINTS_MAX ||
	    k->hints.len > KEPT_HINTS_MAX) /* then it is a lost one, and is made up for */
		return;
	buf_add(&k->hints, &n, sizeof n);
	buf_add(&k->hints, hint, len);
}

void keeper_take_hint(struct keeper *k, const void *hint, size_t len)
{
	struct tlv_reader r = tlv_read(hint, len);
	struct tlv t;
	struct hint_batch b = { 0 };
	uint64_t known = 0;
	bool good = false;
	if (is_early(k, hint, len)) {
		keeper_keep_hint(k, hint, len);
		return;
	}
	while (tlv_next(&r, &t)) {
		if (t.type == HINT_BATCH && t.len == sizeof b) {
			memcpy(&b, t.data, sizeof b);
			good = take_batch(k, &b, &known);
		} else if (t.type == HINT_MESSAGE && good && known > 0) {
			known--;
		} else if (t.type == HINT_MESSAGE && good) {
			take_message(k, &b, &t);
		} else if (t.type == HINT_FILE) {
			take_message(k, &(struct hint_batch){ 0 }, &t);
		}
	}
}
