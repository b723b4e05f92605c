/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "spool/keeper_state.h"

/* Takes the spool's lock and writes our process id into its file. */
static int take_lock(struct spool *s, struct ost_why *why)
{
	char text[32] = "";
	int fd = openat(s->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		why_errno(why, "%s/lock", s->path);
		return -1;
	}
	if (!sys_lock(fd)) {
		ssize_t n = pread(fd, text, sizeof text - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		why_set(why, "the spool %s is in use by process %s", s->path, text[0] ? text : "?");
		io_close(&fd);
		return -1;
	}
	snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || !io_pwrite_all(fd, text, strlen(text), 0))
		log_warning("spool: writing the lock file: errno %d", errno);
	return fd;
}

static bool is_stopping(void *ctx)
{
	struct keeper *k = ctx;
	return atomic_load(&k->stop);
}

struct keeper *keeper_open(struct spool *s, const struct keeper_events *events, void *ctx,
			   struct ost_why *why)
{
	int lock = take_lock(s, why);
	if (lock < 0)
		return NULL;
	struct spool_results *own = spool_results_open(s, why);
	if (!own) {
		io_close(&lock);
		return NULL;
	}
	struct keeper *k = MEM_NEW(struct keeper);
	k->magic = KEEPER_MAGIC;
	k->spool = s;
	k->events = *events;
	k->ctx = ctx;
	k->lock = lock;
	k->opened = clock_mono();
	k->post = post_new();
	k->last_early = &k->early;
	k->notices = notices_new();
	index_init(&k->index);
	k->mover = (struct mover){
		.spool = s, .post = k->post, .own_log = own, .stopping = is_stopping, .ctx = k
	};
	int error = pthread_create(&k->thread, NULL, mover_run, &k->mover);
	if (error)
		log_fatal("spool: no thread for the mover: errno %d", error);
	return k;
}

static void free_jobs(struct job *list)
{
	for (struct job *j = list, *next; j; j = next) {
		next = j->next;
		job_free(j);
	}
}

/* Frees what the table of blocked jobs holds. */
static void free_blocked(struct keeper *k)
{
	struct blocked *b, *next;
	HASH_ITER(hh, k->blocked, b, next)
	{
		HASH_DEL(k->blocked, b);
		free_jobs(b->first);
		free(b);
	}
}

void keeper_close(struct keeper **kp)
{
	struct keeper *k = *kp;
	if (!k)
		return;
	CHECK_MAGIC(k, KEEPER_MAGIC);
	k->closing = true;
	atomic_store(&k->stop, true);
	while (k->jobs > 0 && post_wait_news(k->post))
		keeper_dispatch(k);
	post_job(k->post, job_new(JOB_STOP));
	pthread_join(k->thread, NULL);
	spool_results_close(&k->mover.own_log);
	mover_forget_results(&k->mover);
	free(k->mover.logs);
	free_jobs(k->mover.later);
	free_jobs(k->early);
	free(k->mover.owed_voids);
	free_blocked(k);
	post_free(&k->post);
	index_free(&k->index);
	notices_free(&k->notices);
	free(k->retry.items);
	free(k->held.items);
	free(k->reload.items);
	free(k->folds.items);
	buf_free(&k->hints);
	io_close(&k->lock);
	k->magic = 0;
	free(k);
	*kp = NULL;
}

int keeper_fd(const struct keeper *k)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	return post_fd(k->post);
}

void keeper_dispatch(struct keeper *k)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	for (struct news *n = post_take_news(k->post, NEWS_PER_DISPATCH), *next; n; n = next) {
		next = n->next;
		keeper_take_news(k, n);
	}
}

void keeper_scan(struct keeper *k)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	k->scan_asked = true;
	keeper_post(k, job_new(JOB_SCAN));
	for (struct job *j = k->early, *next; j; j = next) {
		next = j->next;
		keeper_post(k, j);
	}
	k->early = NULL;
}

void keeper_hint(struct keeper *k, const void *hint, size_t len)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	if (k->journal_scanned)
		keeper_take_hint(k, hint, len);
	else
		keeper_keep_hint(k, hint, len); /* until it is known what was there before */
}

void keeper_look(struct keeper *k)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	if (!k->scanned || k->looking_at_all)
		k->look_again = true; /* one look for all that ask meanwhile */
	else
		keeper_start_look(k, true);
}

void keeper_reread(struct keeper *k, void *token)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	struct job *j = job_new(JOB_REREAD);
	j->token = token;
	j->asked = true;
	if (k->scan_asked) {
		keeper_post(k, j);
		return;
	}
	*k->last_early = j;
	k->last_early = &j->next;
}

/* An entry that qmgr may ask for. */
static struct entry *known(struct keeper *k, uint64_t serial)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	struct entry *e = index_find(&k->index, serial);
	return e && !(e->flags & (ENTRY_GONE | ENTRY_FOREIGN)) ? e : NULL;
}

/* A job that qmgr asked for; what is not known is answered by the next dispatch. */
static void ask(struct keeper *k, uint64_t serial, struct job *j, void *token)
{
	struct entry *e = known(k, serial);
	j->serial = serial;
	j->token = token;
	j->asked = true;
	if (e) {
		keeper_submit(k, e, j);
		return;
	}
	struct news *n = news_new(NEWS_JOB);
	n->job = j;
	j->absent = true;
	k->jobs++;
	post_news(k->post, n);
}

void keeper_load(struct keeper *k, uint64_t serial, void *token)
{
	ask(k, serial, job_new(JOB_LOAD), token);
}

void keeper_ticket(struct keeper *k, uint64_t serial, struct buf *ticket)
{
	const struct entry *e = known(k, serial);
	if (!e)
		return;
	struct ticket t = { .home = TICKET_FILE, .serial = serial };
	if (!(e->flags & ENTRY_FILE))
		t = (struct ticket){ .home = TICKET_JOURNAL,
				     .serial = serial,
				     .number = e->segment,
				     .at = e->at,
				     .length = e->length,
				     .salt = index_segment(&k->index, e->segment)->salt };
	ticket_put(ticket, &t);
}

void keeper_receipt(struct keeper *k, uint64_t serial, const void *receipt, size_t len)
{
	struct receipt r;
	CHECK_MAGIC(k, KEEPER_MAGIC);
	for (size_t at = 0; len - at >= sizeof r; at += sizeof r) {
		memcpy(&r, (const char *)receipt + at, sizeof r);
		if (r.number > 0 && r.number <= k->spool->results_family.count)
			index_log(&k->index, r.number)->known = true;
	}
}

/* The change in an arena of its own. */
static struct spool_update *copy_change(struct arena *a, const struct keeper_change *c)
{
	struct spool_update *u = ARENA_NEW(a, struct spool_update);
	*u = (struct spool_update){ .set_flags = c->set_flags,
				    .clear_flags = c->clear_flags,
				    .rounds = c->notice_round,
				    .warn_at = c->warn_at,
				    .nrows = c->nresults };
	u->rows = arena_alloc(a, c->nresults * sizeof *u->rows);
	for (size_t i = 0; i < c->nresults; i++) {
		struct spool_result *r = &u->rows[i].result;
		*r = c->results[i];
		r->dsn = r->dsn ? arena_strdup(a, r->dsn) : NULL;
		r->reason = r->reason ? arena_strdup(a, r->reason) : NULL;
		r->mta = r->mta ? arena_strdup(a, r->mta) : NULL;
		r->diagnostic = r->diagnostic ? arena_strdup(a, r->diagnostic) : NULL;
		u->rows[i].next_try = c->next_try ? c->next_try[i] : 0;
	}
	return u;
}

void keeper_update(struct keeper *k, uint64_t serial, const struct keeper_change *change, void *token)
{
	struct job *j = job_new(JOB_UPDATE);
	j->arena = arena_new();
	j->change = copy_change(j->arena, change);
	ask(k, serial, j, token);
}

void keeper_finish(struct keeper *k, uint64_t serial)
{
	struct entry *e = known(k, serial);
	if (e)
		keeper_end(k, e);
}

void keeper_delete(struct keeper *k, uint64_t serial, void *token)
{
	struct entry *e = known(k, serial);
	struct job *j = job_new(JOB_REMOVE);
	j->forced = true;
	if (e)
		e->flags |= ENTRY_REMOVING;
	ask(k, serial, j, token);
}

bool keeper_notice_known(struct keeper *k, uint64_t of, uint32_t round)
{
	const struct entry *e = known(k, of);
	return notices_known(k->notices, of, round) || (e && e->rounds > round / NOTICES_PER_ROUND);
}

void keeper_stats(struct keeper *k, struct keeper_stats *stats)
{
	CHECK_MAGIC(k, KEEPER_MAGIC);
	*stats = k->stats;
	stats->messages = k->index.live;
	stats->journal_free = k->spool->options.segment_count;
	for (uint32_t i = 1; i < k->index.nsegments; i++) {
		stats->journal_segments += k->index.segments[i].known;
		stats->journal_free -= k->index.segments[i].used && stats->journal_free > 0;
	}
	for (uint32_t i = 1; i < k->index.nlogs; i++)
		stats->result_segments += k->index.logs[i].known;
}
