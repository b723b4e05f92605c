/* SPDX-License-Identifier: Apache-2.0
 * Reading result logs: those of agents, and the keeper's own with its voids. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/folder.h"
#include "spool/mover.h"

/* What one log's records are turned into. */
struct reading {
	struct mover *mover;
	uint32_t number, id;
	struct news *news;
	const struct segment_header *header;
};

/* First scan: keeps a result until its message turns up. */
static void keep_result(struct mover *m, struct pending *p)
{
	struct serial_results *r;
	HASH_FIND(hh, m->results, &p->row.result.serial, sizeof p->row.result.serial, r);
	if (!r) {
		r = MEM_NEW(struct serial_results);
		r->serial = p->row.result.serial;
		HASH_ADD(hh, m->results, serial, sizeof r->serial, r);
	}
	p->next = r->list;
	r->list = p;
}

/* First scan: keeps a void until its copy turns up. */
static void keep_void(struct mover *m, const struct spool_void *what, uint32_t log)
{
	struct void_copy *v;
	HASH_FIND(hh, m->voids, what, sizeof *what, v);
	if (v)
		return;
	v = MEM_NEW(struct void_copy);
	v->what = *what;
	v->log = log;
	HASH_ADD(hh, m->voids, what, sizeof v->what, v);
}

/* Results of one record. */
static enum body_verdict take_results(struct reading *r, const char *body, size_t len)
{
	struct arena *a = arena_new();
	struct result_row *rows;
	size_t n;
	enum body_verdict v = results_get(a, body, len, &rows, &n);
	for (size_t i = 0; v == BODY_GOOD && i < n; i++) {
		struct pending *p = pending_new(r->number, &rows[i]);
		if (r->mover->scanning) {
			keep_result(r->mover, p);
		} else {
			p->next = r->news->results;
			r->news->results = p;
		}
	}
	arena_destroy(&a);
	return v;
}

/* Voids of one record. */
static enum body_verdict take_voids(struct reading *r, const char *body, size_t len)
{
	struct arena *a = arena_new();
	struct spool_void *voids;
	size_t n;
	enum body_verdict v = voids_get(a, body, len, &voids, &n);
	if (v == BODY_GOOD && r->mover->scanning) {
		for (size_t i = 0; i < n; i++)
			keep_void(r->mover, &voids[i], r->number);
	} else if (v == BODY_GOOD) {
		struct news *news = r->news;
		if (!news->arena)
			news->arena = arena_new();
		struct spool_void *all = arena_alloc(news->arena, (news->nvoids + n) * sizeof *all);
		if (news->nvoids > 0)
			memcpy(all, news->voids, news->nvoids * sizeof *all);
		memcpy(all + news->nvoids, voids, n * sizeof *all);
		news->voids = all;
		news->nvoids += n;
	}
	arena_destroy(&a);
	return v;
}

static void on_record(void *ctx, const struct record_head *h, const char *bytes, bool foreign)
{
	struct reading *r = ctx;
	const char *body = bytes + record_body_off(h);
	enum body_verdict v = BODY_CRITICAL;
	if (!foreign && h->kind == RECORD_RESULTS)
		v = take_results(r, body, h->body_len);
	else if (!foreign && h->kind == RECORD_VOID)
		v = take_voids(r, body, h->body_len);
	if (v == BODY_GOOD)
		return;
	log_error("spool: results/%08u holds a record at %llu that this version does not understand: left in "
		  "place",
		  r->number, (unsigned long long)h->at);
	r->news->unreadable = true;
}

static void on_hole(void *ctx, uint64_t from, const char *bytes, uint64_t len)
{
	struct reading *r = ctx;
	r->news->unreadable |= !aside_bytes(r->mover->spool, "results", r->header, from, bytes, len);
}

/* The state of a log by number. */
static struct mover_log *log_state(struct mover *m, uint32_t number)
{
	if (number >= m->nlogs) {
		uint32_t more = number + number / 2 + 8;
		m->logs = mem_realloc_array(m->logs, more, sizeof *m->logs);
		memset(m->logs + m->nlogs, 0, (more - m->nlogs) * sizeof *m->logs);
		m->nlogs = more;
	}
	return &m->logs[number];
}

/* Reads what is new in one log, and tells the keeper. */
static void read_log(struct mover *m, uint32_t number, int fd, const struct segment_header *h, bool locked)
{
	struct mover_log *state = log_state(m, number);
	uint32_t id = salt_id(&h->salt);
	struct ost_why why;
	if (state->id != id)
		*state = (struct mover_log){ .id = id, .read_to = SEGMENT_HEADER };
	else if (locked && !scan_more(fd, h, state->read_to))
		return;
	struct news *news = news_new(NEWS_LOG);
	struct reading r = { .mover = m, .number = number, .id = id, .news = news, .header = h };
	struct scan s = { .header = h,
			  .live = locked,
			  .from = state->read_to,
			  .sequence = state->sequence,
			  .record = on_record,
			  .hole = on_hole,
			  .ctx = &r };
	bool through = locked || h->sequence != state->sequence ||
		       !h->end; /* nothing new in a closed one: no reading */
	if (through) {
		mover_settle(m, fd, h, locked);
		if (!scan_segment(fd, &s, &why)) {
			log_error("spool: results/%08u: %s", number, why.text);
			news->unreadable = true;
		}
		state->read_to = s.read_to;
		state->sequence = s.last_sequence;
	}
	state->kept |= news->unreadable;
	news->unreadable = state->kept;
	state->done = !locked;
	news->header = *h;
	news->locked = locked;
	news->scanning = m->scanning;
	post_news(m->post, news);
}

/* One log of the folder. */
static void look_at_log(struct mover *m, uint32_t number, bool open_too)
{
	char name[SEGMENT_NAME];
	struct segment_header h;
	struct ost_why why;
	if (log_state(m, number)->done)
		return;
	int fd = mover_open(m, m->spool->results, segment_name(name, number));
	if (fd < 0)
		return;
	bool locked;
	if (!segment_read_settled(fd, &h, &locked, &why) || h.number != number || h.kind != SEGMENT_RESULTS) {
		mover_no_header(m, fd, m->spool->results, name, locked);
	} else if (h.state == SEGMENT_USED && (open_too || !locked)) {
		read_log(m, number, fd, &h, locked);
	}
	io_close(&fd);
}

void mover_read_logs(struct mover *m, bool open_too)
{
	struct folder_list list = mover_segments(m, m->spool->results);
	for (size_t i = 0; i < list.n; i++)
		look_at_log(m, list.numbers[i], open_too);
	free(list.numbers);
}

void mover_forget_results(struct mover *m)
{
	struct serial_results *r, *next;
	struct void_copy *v, *after;
	HASH_ITER(hh, m->results, r, next)
	{
		HASH_DEL(m->results, r);
		pending_free(r->list);
		free(r);
	}
	HASH_ITER(hh, m->voids, v, after)
	{
		HASH_DEL(m->voids, v);
		free(v);
	}
}

struct pending *mover_take_results(struct mover *m, uint64_t serial, struct spool_envelope *env)
{
	struct serial_results *r;
	HASH_FIND(hh, m->results, &serial, sizeof serial, r);
	if (!r)
		return NULL;
	struct pending *list = r->list;
	HASH_DEL(m->results, r);
	free(r);
	for (const struct pending *p = list; p; p = p->next)
		if (p->row.result.rcpt < env->nrcpts)
			result_apply(&env->rcpts[p->row.result.rcpt], &p->row);
	return list;
}
