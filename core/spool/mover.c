/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/mover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

void mover_answer(struct mover *m, struct job *j)
{
	struct news *n = news_new(NEWS_JOB);
	j->next = NULL;
	n->job = j;
	post_news(m->post, n);
}

/* Waits a second before the first scan tries again. False: it ends, or this is not the first scan. */
static bool wait_and_try_again(const struct mover *m)
{
	if (!m->scanning || m->stopping(m->ctx))
		return false;
	usleep(1000000);
	return true;
}

int mover_open(struct mover *m, int dir, const char *name)
{
	for (;;) {
		int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 || errno == ENOENT)
			return fd;
		int error = errno;
		log_error("spool: opening %s: errno %d", name, error);
		bool scarce = error == EMFILE || error == ENFILE || error == ENOMEM;
		if (!scarce || !wait_and_try_again(m)) {
			m->partial |= m->scanning;
			errno = error;
			return -1;
		}
	}
}

struct folder_list mover_segments(struct mover *m, int dir)
{
	for (;;) {
		struct folder_list list = folder_segments(m->spool, dir);
		if (!list.failed || !wait_and_try_again(m))
			return list;
		free(list.numbers);
	}
}

bool mover_note_voids(struct mover *m, const struct spool_void *voids, size_t n, struct ost_why *why)
{
	size_t total = m->nowed + n;
	if (total == 0)
		return true;
	m->owed_voids = mem_realloc_array(m->owed_voids, total, sizeof *m->owed_voids);
	if (n > 0)
		memcpy(m->owed_voids + m->nowed, voids, n * sizeof *voids);
	bool ok = results_append_voids(m->own_log, m->owed_voids, total, NULL, why);
	m->nowed = ok ? 0 : total;
	return ok;
}

/* Reads a message of the journal, or of a file. */
static void load(struct mover *m, struct job *j)
{
	struct spool_stored stored;
	struct file_view v;
	struct ost_why why = { "" };
	enum spool_fetched got = FETCH_GONE;
	if (j->in_file) {
		j->arena = arena_new();
		enum file_verdict verdict = file_read(m->spool, j->serial, false, j->arena, &v, &why);
		if (verdict == FILE_GOOD && j->unsure)
			verdict = file_check_content(&v, &why);
		j->ok = verdict == FILE_GOOD && !v.gone;
		j->env = v.env;
		j->gone = verdict == FILE_MISSING;
		io_close(&v.fd);
		got = verdict == FILE_DAMAGED ? FETCH_DAMAGED : j->ok ? FETCH_OK : FETCH_FAILED;
	} else {
		got = spool_fetch(m->spool, &j->place, sizeof j->place, &stored, &why);
		j->ok = got == FETCH_OK;
		j->env = stored.env;
		j->arena = stored.arena;
		stored.arena = NULL;
		spool_stored_free(&stored);
	}
	j->why = why;
	j->gone = j->gone || got == FETCH_DAMAGED;
}

void mover_load(struct mover *m, struct job *j)
{
	load(m, j);
	mover_answer(m, j);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Jobs that change something wait until all that came with them have been sorted: their syncs are shared. */
struct sorted {
	struct job *update, **last_update, *voids, **last_void, *remove, **last_remove, *recycle,
		**last_recycle;
	bool stop;
};

static void add_last(struct job ***last, struct job *j)
{
	j->next = NULL;
	**last = j;
	*last = &j->next;
}

/* What goes through the spool sees names and results, and what is removed is not to be in between. */
static void look_around(struct mover *m, struct job *j)
{
	mover_sync_removed(m);
	if (j->kind == JOB_SCAN)
		mover_scan(m);
	else if (j->kind == JOB_LOOK)
		mover_look(m, j);
	else if (j->kind == JOB_GAP)
		mover_gap(m, j);
	else if (j->kind == JOB_REREAD)
		mover_read_logs(m, true);
	else if (j->kind == JOB_READ)
		mover_read_files(m, j);
	mover_answer(m, j);
}

/* Does what only reads; puts the others in their lists. */
static void sort_job(struct mover *m, struct job *j, struct sorted *s)
{
	switch (j->kind) {
	case JOB_UPDATE:
		add_last(&s->last_update, j);
		return;
	case JOB_VOID:
	case JOB_SET_ASIDE:
		add_last(&s->last_void, j);
		return;
	case JOB_REMOVE:
		add_last(&s->last_remove, j);
		return;
	case JOB_RECYCLE:
	case JOB_RECYCLE_LOG:
		add_last(&s->last_recycle, j);
		return;
	case JOB_LOAD:
		mover_load(m, j);
		return;
	case JOB_STOP:
		s->stop = true;
		break;
	case JOB_SCAN:
	case JOB_LOOK:
	case JOB_GAP:
	case JOB_REREAD:
	case JOB_READ:
		break;
	}
	look_around(m, j);
}

/* While the first scan, or a look, goes through the files, nothing else may read logs or look for messages:
 * it waits. */
static bool must_wait(const struct mover *m, const struct job *j)
{
	return m->in_files && (j->kind == JOB_STOP || j->kind == JOB_SCAN || j->kind == JOB_LOOK ||
			       j->kind == JOB_REREAD || j->kind == JOB_READ);
}

/* One round: all jobs that have come. False: stop. */
static bool work(struct mover *m, struct job *jobs)
{
	struct sorted s = { 0 };
	struct job **last_later = &m->later;
	while (*last_later)
		last_later = &(*last_later)->next;
	s.last_update = &s.update;
	s.last_void = &s.voids;
	s.last_remove = &s.remove;
	s.last_recycle = &s.recycle;
	for (struct job *j = jobs, *next; j; j = next) {
		next = j->next;
		if (must_wait(m, j))
			add_last(&last_later, j);
		else
			sort_job(m, j, &s);
	}
	if (s.update)
		mover_update(m, s.update);
	if (s.voids)
		mover_void(m, s.voids);
	if (s.remove)
		mover_remove(m, s.remove);
	if (s.recycle)
		mover_recycle(m, s.recycle);
	if (m->in_files || s.stop || clock_mono() >= m->sync_at)
		mover_sync_removed(m);
	return !s.stop;
}

void mover_meanwhile(struct mover *m)
{
	struct job *jobs = post_take_jobs_at_once(m->post);
	if (jobs)
		(void)work(m, jobs);
}

void *mover_run(void *arg)
{
	struct mover *m = arg;
	int64_t tick = clock_mono() + CLOCK_SECOND;
	for (bool on = true; on;) {
		struct job *jobs = m->later;
		m->later = NULL;
		if (!jobs)
			jobs = post_take_jobs(m->post, m->removed && m->sync_at < tick ? m->sync_at : tick);
		on = work(m, jobs);
		if (clock_mono() >= tick) {
			tick = clock_mono() + CLOCK_SECOND;
			post_news(m->post, news_new(NEWS_TICK));
		}
	}
	return NULL;
}
