/* SPDX-License-Identifier: Apache-2.0
 * Jobs for the mover, one at a time for each message, and what becomes of their answers. */
#include <stdlib.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "spool/keeper_state.h"

void keeper_post(struct keeper *k, struct job *j)
{
	k->jobs++;
	post_job(k->post, j);
}

static char *id_of(char id[QUEUE_ID_SIZE], const struct keeper *k, uint64_t serial)
{
	return queue_id_text(id, serial, k->spool->options.long_queue_ids);
}

/* ---- one at a time --------------------------------------------------------------------------- */

/* Puts a job behind the one that the entry is busy with. */
static void block(struct keeper *k, struct job *j)
{
	struct blocked *b;
	HASH_FIND(hh, k->blocked, &j->serial, sizeof j->serial, b);
	if (!b) {
		b = MEM_NEW(struct blocked);
		b->serial = j->serial;
		b->last = &b->first;
		HASH_ADD(hh, k->blocked, serial, sizeof b->serial, b);
	}
	j->next = NULL;
	*b->last = j;
	b->last = &j->next;
}

/* The first job that waits for this message, or NULL. */
static struct job *unblock(struct keeper *k, uint64_t serial)
{
	struct blocked *b;
	HASH_FIND(hh, k->blocked, &serial, sizeof serial, b);
	if (!b)
		return NULL;
	struct job *j = b->first;
	b->first = j->next;
	if (!b->first) {
		HASH_DEL(k->blocked, b);
		free(b);
	}
	return j;
}

/* Where the message is, for the mover. */
static void set_place(struct keeper *k, const struct entry *e, struct job *j)
{
	j->in_file = e->flags & ENTRY_FILE;
	j->named = e->flags & ENTRY_NAMED;
	j->unsure = e->flags & ENTRY_UNSURE;
	j->ghost = e->flags & ENTRY_GHOST;
	j->pending = e->pending;
	j->place = (struct ticket){ .home = TICKET_FILE, .serial = e->serial };
	if (!j->in_file)
		j->place = (struct ticket){ .home = TICKET_JOURNAL,
					    .serial = e->serial,
					    .number = e->segment,
					    .at = e->at,
					    .length = e->length,
					    .salt = index_segment(&k->index, e->segment)->salt };
}

/* The message has left the spool. */
static void has_left(struct keeper *k, struct entry *e)
{
	uint64_t serial = e->serial, of, about, nth = 0;
	uint32_t round, number = e->segment;
	struct serials waiting = { 0 };
	if (e->flags & ENTRY_NOTICE && notices_subject(k->notices, serial, &of, &round)) {
		const struct entry *subject = index_find(&k->index, of);
		notices_left(k->notices, serial, subject && !(subject->flags & ENTRY_GONE));
	}
	if (e->flags & ENTRY_FILE) {
		entry_drop_pending(&k->index, e, e->pending);
		index_drop(&k->index, e);
	} else {
		entry_bury(&k->index, e);
		keeper_check_segment(k, number);
	}
	while ((about = notices_nth(k->notices, serial, nth++)) != 0)
		serials_add(&waiting, about);
	notices_subject_left(k->notices, serial);
	for (size_t i = 0; i < waiting.n; i++) { /* notices about it need not stay for its sake */
		struct entry *notice = index_find(&k->index, waiting.items[i]);
		if (notice && notice->flags & ENTRY_FINISH)
			keeper_end(k, notice);
	}
	free(waiting.items);
}

/* Starts a job. Some need no mover. */
static void start(struct keeper *k, struct entry *e, struct job *j)
{
	set_place(k, e, j);
	if (j->kind == JOB_REMOVE && !j->in_file && !j->forced && !j->ghost) {
		job_free(j); /* its results, or a change, are durable: the segment is recycled some time */
		has_left(k, e);
		return;
	}
	if (j->kind == JOB_REMOVE && !j->in_file && !j->ghost)
		j->kind = JOB_VOID;
	e->flags |= ENTRY_BUSY;
	keeper_post(k, j);
}

void keeper_submit(struct keeper *k, struct entry *e, struct job *j)
{
	j->serial = e->serial;
	if (e->flags & ENTRY_BUSY)
		block(k, j);
	else
		start(k, e, j);
}

/* The answer for qmgr about a message that is not there. */
static void answer_absent(struct keeper *k, const struct job *j)
{
	if (!j->asked)
		return;
	if (j->kind == JOB_LOAD)
		k->events.loaded(k->ctx, j->serial, j->token, NULL);
	else
		k->events.updated(k->ctx, j->serial, j->token, j->kind == JOB_REMOVE);
}

/* The present job is done: the next one, as long as the entry is there. */
static void next_job(struct keeper *k, uint64_t serial)
{
	struct entry *e = index_find(&k->index, serial);
	if (e)
		e->flags &= (uint16_t)~ENTRY_BUSY;
	for (struct job *j; (!e || !(e->flags & ENTRY_BUSY)) && (j = unblock(k, serial));) {
		if (e && !(e->flags & ENTRY_GONE)) {
			start(k, e, j);
		} else {
			answer_absent(k, j);
			job_free(j);
		}
		e = index_find(&k->index, serial);
	}
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Must a notice stay, because the message that it is about does not know of it durably? */
static bool must_stay(struct keeper *k, const struct entry *e)
{
	uint64_t of;
	uint32_t round;
	if (!(e->flags & ENTRY_NOTICE) || !notices_subject(k->notices, e->serial, &of, &round))
		return false;
	if (!k->scanned)
		return true;
	const struct entry *subject = index_find(&k->index, of);
	return subject && !(subject->flags & ENTRY_GONE) && subject->rounds <= round / NOTICES_PER_ROUND;
}

void keeper_end(struct keeper *k, struct entry *e)
{
	e->flags |= ENTRY_FINISH;
	if (must_stay(k, e)) {
		if (!k->scanned)
			serials_add(&k->held, e->serial);
		return;
	}
	if (e->flags & ENTRY_REMOVING)
		return;
	e->flags |= ENTRY_REMOVING;
	keeper_submit(k, e, job_new(JOB_REMOVE));
}

/* A change to a message is durable: notices about it may go. */
static void release_notices(struct keeper *k, uint64_t of)
{
	uint64_t serial;
	struct serials waiting = { 0 };
	for (size_t n = 0; (serial = notices_nth(k->notices, of, n)) != 0; n++)
		serials_add(&waiting, serial);
	for (size_t i = 0; i < waiting.n; i++) {
		struct entry *e = index_find(&k->index, waiting.items[i]);
		if (e && e->flags & ENTRY_FINISH)
			keeper_end(k, e);
	}
	free(waiting.items);
}

/* What was read does not verify: it goes to corrupt/, and the rest goes on. */
static void set_aside(struct keeper *k, struct entry *e, const struct job *j)
{
	char id[QUEUE_ID_SIZE];
	log_error("%s: set aside as damaged: %s", id_of(id, k, e->serial), j->why.text);
	if (e->flags & ENTRY_REMOVING)
		return;
	e->flags |= ENTRY_REMOVING;
	keeper_submit(k, e, job_new(JOB_SET_ASIDE)); /* it is busy yet: this comes next */
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Not now, at least: it is tried again, and found again when that succeeds. */
static void cannot_read(struct keeper *k, const struct entry *e, const struct job *j)
{
	char id[QUEUE_ID_SIZE];
	log_error("%s: cannot be read: %s", id_of(id, k, e->serial), j->why.text);
	serials_add(&k->reload, e->serial);
}

static void answer_load(struct keeper *k, struct entry *e, struct job *j)
{
	if (!j->ok || !e) {
		if (e && j->gone)
			set_aside(k, e, j);
		else if (e)
			cannot_read(k, e, j);
		answer_absent(k, j);
		return;
	}
	e->flags &= (uint16_t)~ENTRY_UNSURE;
	for (const struct pending *p = e->pending; p; p = p->next)
		if (p->row.result.rcpt < j->env->nrcpts)
			result_apply(&j->env->rcpts[p->row.result.rcpt], &p->row);
	if (j->asked) {
		k->events.loaded(k->ctx, j->serial, j->token, j->env);
	} else {
		struct keeper_summary summary = mover_summary(j->env);
		k->events.found(k->ctx, &summary, j->env);
	}
}

static void answer_update(struct keeper *k, struct entry *e, struct job *j)
{
	k->moves -= !j->asked;
	if (!e) {
		answer_absent(k, j);
		return;
	}
	if (!j->ok && j->ghost)
		e->flags |= ENTRY_GHOST;
	if (!j->ok && !j->asked) {
		k->no_moves_before = keeper_now(k) + MOVE_AGAIN_AFTER;
		if (e->pending)
			keeper_fold_later(k, e->serial);
	}
	if (j->ok) {
		uint32_t number = e->segment;
		e->rounds = j->rounds < UINT8_MAX ? (uint8_t)j->rounds : UINT8_MAX;
		entry_drop_pending(&k->index, e, j->pending);
		if (j->moved) {
			segment_unlink(&k->index, e);
			e->flags = (uint16_t)((e->flags | ENTRY_FILE) & ~ENTRY_GHOST);
			k->stats.files_moved++;
			keeper_check_segment(k, number);
		}
		release_notices(k, j->serial);
	} else if (j->gone) {
		set_aside(k, e, j);
	}
	if (j->asked)
		k->events.updated(k->ctx, j->serial, j->token, j->ok);
}

/* A message has left, or could not be made to. */
static void answer_end(struct keeper *k, struct entry *e, struct job *j)
{
	if (e && j->ok) {
		e->flags &= (uint16_t)~ENTRY_BUSY;
		has_left(k, e);
	} else if (e) {
		e->flags &= (uint16_t)~ENTRY_REMOVING;
		if (j->kind == JOB_SET_ASIDE) /* its recipients are not done: it is read again, and found damaged again */
			serials_add(&k->reload, e->serial);
		else if (!j->asked)
			serials_add(&k->retry, e->serial);
	}
	if (j->asked)
		k->events.updated(k->ctx, j->serial, j->token, j->ok);
}

void keeper_life_over(struct keeper *k, uint32_t number)
{
	struct journal_segment *s = index_segment(&k->index, number);
	segment_forget_gone(&k->index, number);
	segment_forget_logs(&k->index, number);
	*s = (struct journal_segment){ .known = true, .salt = s->salt, .id = s->id };
	k->stats.recycled++;
	keeper_check_all_logs(k);
}

static void answer_recycle(struct keeper *k, const struct job *j)
{
	struct journal_segment *s = index_segment(&k->index, j->number);
	s->recycling = false;
	s->closed = j->ok; /* if not: somebody may hold it, so it is looked at again */
	if (j->ok) {
		s->salt = j->salt;
		s->id = salt_id(&j->salt);
		keeper_life_over(k, j->number);
	}
}

static void answer_recycle_log(struct keeper *k, const struct job *j)
{
	struct result_log *l = index_log(&k->index, j->number);
	l->recycling = false;
	if (j->ok)
		*l = (struct result_log){ .known = !j->gone };
}

void keeper_answer(struct keeper *k, struct job *j)
{
	if (j->absent) { /* it may have been found since: that is another message to whoever asked */
		answer_absent(k, j);
		job_free(j);
		return;
	}
	struct entry *e = j->serial ? index_find(&k->index, j->serial) : NULL;
	if (e && e->flags & (ENTRY_GONE | ENTRY_FOREIGN))
		e = NULL;
	switch (j->kind) {
	case JOB_LOAD:
		answer_load(k, e, j);
		break;
	case JOB_UPDATE:
		answer_update(k, e, j);
		break;
	case JOB_REMOVE:
	case JOB_VOID:
	case JOB_SET_ASIDE:
		answer_end(k, e, j);
		break;
	case JOB_RECYCLE:
		answer_recycle(k, j);
		break;
	case JOB_RECYCLE_LOG:
		answer_recycle_log(k, j);
		break;
	case JOB_REREAD:
		k->events.reread(k->ctx, j->token);
		break;
	case JOB_LOOK:
		k->looking = false;
		if (j->all)
			k->looking_at_all = false;
		if (j->all && k->look_again && !k->closing) {
			k->look_again = false;
			keeper_start_look(k, true);
		}
		break;
	case JOB_GAP:
		keeper_take_early_hints(k, j);
		break;
	case JOB_STOP:
	case JOB_SCAN:
	case JOB_READ:
		break;
	}
	if (j->serial)
		next_job(k, j->serial);
	job_free(j);
}

/* ---- recycling ------------------------------------------------------------------------------- */

void keeper_check_segment(struct keeper *k, uint32_t number)
{
	struct journal_segment *s = index_segment(&k->index, number);
	if (!k->scanned || k->closing || !s->used || !s->closed || s->unreadable || s->recycling ||
	    s->live > 0)
		return;
	struct job *j = job_new(JOB_RECYCLE);
	j->number = number;
	j->id = s->id;
	s->recycling = true;
	keeper_post(k, j);
}

void keeper_check_log(struct keeper *k, uint32_t number)
{
	struct result_log *l = index_log(&k->index, number);
	if (!k->scanned || k->closing || k->blind || !l->closed || l->recycling || l->refs > 0)
		return;
	struct job *j = job_new(JOB_RECYCLE_LOG);
	j->number = number;
	j->id = l->id;
	l->recycling = true;
	keeper_post(k, j);
}

void keeper_check_all_logs(struct keeper *k)
{
	for (uint32_t i = 1; i < k->index.nlogs; i++)
		keeper_check_log(k, i);
}
