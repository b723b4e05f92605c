/* SPDX-License-Identifier: Apache-2.0
 * Changing what is stored. Each step is taken for a whole list of jobs before the next: all writes, then all
 * syncs of files, then one sync for each folder, then one record of voids; so a batch shares what it can. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/mover.h"

enum { RESULT_LOGS_KEPT = 16, FOLDERS = 256, WHOLE_LEAST = 8 };
/* After a sync of removals the next one waits, at least for so long, and for twice the time that it took:
 * each is a commit of the file system's journal, and new mail shares the disk. */
static const int64_t rest_least = CLOCK_SECOND / 20, rest_most = CLOCK_SECOND;

/* The job cannot be done: its text says why. */
static void fail(struct job *j, const char *what)
{
	j->ok = false;
	why_errno(&j->why, "%s", what);
	log_error("spool: %s", j->why.text);
}

/* Ends a list of jobs. */
static void answer_all(struct mover *m, struct job *jobs)
{
	for (struct job *j = jobs, *next; j; j = next) {
		next = j->next;
		if (j->file)
			file_close(j->file);
		free(j->file);
		j->file = NULL;
		mover_answer(m, j);
	}
}

static unsigned folder_of(const struct job *j)
{
	char name[FILE_NAME];
	return (unsigned)strtoul(file_name(name, j->serial), NULL, 16) & (FOLDERS - 1);
}

/* Syncs the folders of those jobs that want it, each folder once. */
static void sync_folders(struct mover *m, struct job *jobs, bool (*wants)(const struct job *))
{
	signed char done[FOLDERS] = { 0 }; /* by the folder's number: 1 synced, -1 failed */
	for (struct job *j = jobs; j; j = j->next) {
		if (!wants(j))
			continue;
		unsigned folder = folder_of(j);
		if (done[folder] == 0)
			done[folder] = file_sync_folder(m->spool, j->serial) ? 1 : -1;
		if (done[folder] < 0)
			fail(j, "making a file's name durable");
	}
}

static bool call_syncfs(void *ctx, int fd)
{
	const struct mover *m = ctx;
	return sys_sync_whole(&m->spool->sys, fd);
}

/* One sync of the whole file system for all folders of those jobs, if they are many and all of them are
 * there. False: not done. */
static bool sync_whole(struct mover *m, struct job *jobs, bool (*wants)(const struct job *))
{
	bool seen[FOLDERS] = { false };
	unsigned n = 0;
	for (struct job *j = jobs; j; j = j->next) {
		char name[FILE_NAME];
		struct stat st;
		if (!wants(j) || seen[folder_of(j)])
			continue;
		seen[folder_of(j)] = true;
		n++;
		*strchr(file_name(name, j->serial), '/') = '\0';
		if (fstatat(m->spool->message, name, &st, 0) < 0 || st.st_dev != m->spool->whole.device)
			return false;
	}
	return n >= WHOLE_LEAST && syncwhole_do(&m->spool->whole, m->spool->message, call_syncfs, m);
}

/* ---- updates --------------------------------------------------------------------------------- */

static unsigned is_final(enum rcpt_status s)
{
	return s != RCPT_PENDING && s != RCPT_DEFERRED;
}

/* Is what a log says of this recipient already said, or outdone, by the change? */
static bool change_covers(const struct spool_update *u, const struct pending *p)
{
	for (size_t i = 0; i < u->nrows; i++)
		if (u->rows[i].result.rcpt == p->row.result.rcpt)
			return is_final(u->rows[i].result.status) >= is_final(p->row.result.status);
	return false;
}

/* All that is new to `env`, which takes it over: what logs know, then the change. The rows are in the arena.
 */
static struct spool_update fold(struct arena *a, struct spool_envelope *env, const struct job *j)
{
	static const struct spool_update nothing;
	const struct spool_update *change = j->change ? j->change : &nothing;
	struct spool_update u = *change;
	size_t n = change->nrows;
	for (const struct pending *p = j->pending; p; p = p->next)
		n++;
	u.rows = arena_alloc(a, n * sizeof *u.rows);
	u.nrows = 0;
	for (const struct pending *p = j->pending; p; p = p->next)
		if (p->row.result.rcpt < env->nrcpts && !change_covers(change, p) &&
		    result_apply(&env->rcpts[p->row.result.rcpt], &p->row))
			u.rows[u.nrows++] = p->row;
	for (size_t i = 0; i < change->nrows; i++)
		if (change->rows[i].result.rcpt < env->nrcpts &&
		    result_apply(&env->rcpts[change->rows[i].result.rcpt], &change->rows[i]))
			u.rows[u.nrows++] = change->rows[i];
	struct spool_update rest = *change;
	rest.nrows = 0;
	update_apply(env, &rest);
	return u;
}

/* Writes the file anew. When that fails, appending goes on as before. */
static bool write_anew(struct mover *m, struct job *j, struct file_view *v)
{
	struct message_file fresh;
	if (!file_rewrite(m->spool, v, &fresh)) {
		log_warning("spool: writing a message file anew: errno %d", errno);
		return false;
	}
	io_close(&v->fd);
	*j->file = fresh;
	return true;
}

/* Appends to a file that is there. */
static void append_update(struct mover *m, struct job *j)
{
	struct arena *a = arena_new();
	struct file_view v;
	struct ost_why why = { "" };
	enum file_verdict verdict = file_read(m->spool, j->serial, true, a, &v, &why);
	if (verdict != FILE_GOOD) {
		j->why = why;
		j->gone = verdict == FILE_MISSING || verdict == FILE_DAMAGED;
		arena_destroy(&a);
		return;
	}
	j->file = MEM_NEW(struct message_file);
	*j->file = (struct message_file){
		.spool = m->spool, .dir = m->spool->message, .serial = j->serial, .fd = v.fd
	};
	struct spool_update u = fold(a, v.env, j);
	struct buf body = BUF_INIT;
	update_put(&body, &u);
	j->file->at = v.end;
	j->rewritten = body.len > 0 && file_wants_rewrite(m->spool, &v) && write_anew(m, j, &v);
	j->appended = body.len > 0 && !j->rewritten;
	j->ok = j->rewritten || body.len == 0 ||
		file_append(m->spool, &v, RECORD_UPDATE, body.data, (uint32_t)body.len);
	if (!j->ok)
		fail(j, "updating a message file");
	j->rounds = v.env->rounds;
	buf_free(&body);
	arena_destroy(&a);
}

/* Makes the file. A file left under this name by a keeper that died in between is replaced, unless it is
 * whole. */
static bool create_file(struct mover *m, struct job *j)
{
	struct arena *a = arena_new();
	struct file_view v;
	char name[FILE_NAME];
	errno = ENOSPC;
	bool ok = spool_may_move(m->spool) && file_create(m->spool, j->serial, -1, NULL, j->file);
	if (!ok && errno == EEXIST) {
		enum file_verdict verdict = file_read(m->spool, j->serial, false, a, &v, NULL);
		if (verdict == FILE_GOOD)
			io_close(&v.fd);
		errno = EEXIST;
		if (verdict == FILE_UNFINISHED ||
		    verdict == FILE_GOOD) /* whole, but never noted: ours is newer */
			ok = sys_unlink(&m->spool->sys, m->spool->message, file_name(name, j->serial)) &&
			     file_create(m->spool, j->serial, -1, NULL, j->file);
	}
	arena_destroy(&a);
	return ok;
}

/* Writes a message of the journal to its file. */
static void move_to_file(struct mover *m, struct job *j)
{
	struct spool_stored s;
	struct ost_why why = { "" };
	enum spool_fetched got = spool_fetch(m->spool, &j->place, sizeof j->place, &s, &why);
	if (got != FETCH_OK) {
		j->why = why;
		j->gone = got == FETCH_DAMAGED;
		return;
	}
	if (!s.data) { /* it has moved already: the keeper and the spool disagree */
		spool_stored_free(&s);
		return;
	}
	j->file = MEM_NEW(struct message_file);
	j->file->fd = -1;
	fold(s.arena, s.env, j);
	j->rounds = s.env->rounds;
	struct buf body = BUF_INIT;
	envelope_put(&body, s.env);
	j->ok = create_file(m, j) &&
		file_store(j->file, s.data, s.size, 0, record_content_sum(j->serial, s.data, s.size, 0),
			   body.data, (uint32_t)body.len);
	j->moved = j->ok;
	if (!j->ok) {
		fail(j, "moving a message to a file");
		file_abandon(j->file);
		j->ghost = true;
	}
	buf_free(&body);
	spool_stored_free(&s);
}

static bool was_moved(const struct job *j)
{
	return j->ok && j->moved;
}

static bool has_new_name(const struct job *j)
{
	return j->ok && (j->moved || j->rewritten);
}

/* Notes that the journal's copies of moved messages are void. When that fails it is owed: the files count all
 * the same, and none of them is removed before it is noted. */
static void note_moved(struct mover *m, struct job *jobs)
{
	size_t n = 0;
	struct ost_why why;
	for (const struct job *j = jobs; j; j = j->next)
		n += was_moved(j);
	struct spool_void *voids = mem_alloc(n * sizeof *voids);
	n = 0;
	for (const struct job *j = jobs; j; j = j->next)
		if (was_moved(j))
			voids[n++] =
				(struct spool_void){ j->place.number, salt_id(&j->place.salt), j->serial };
	if (!mover_note_voids(m, voids, n, &why))
		log_error("spool: %s", why.text);
	free(voids);
}

/* A sync failed: what it was about may be in memory alone and look as if it were on the disk, to a later sync
 * as well. So a file that is new goes, and what was appended is cut off, to be written again. */
static void take_back(struct mover *m, struct job *j)
{
	fail(j, "syncing a message file");
	if (j->moved || j->rewritten)
		file_abandon(j->file);
	else if (j->appended && !sys_truncate(&m->spool->sys, j->file->fd, j->file->at))
		fail(j, "taking back what was appended to a message file");
}

void mover_update(struct mover *m, struct job *jobs)
{
	for (struct job *j = jobs; j; j = j->next)
		if (j->in_file)
			append_update(m, j);
		else
			move_to_file(m, j);
	for (struct job *j = jobs; j; j = j->next)
		if (j->ok && !file_sync(j->file))
			take_back(m, j);
	for (struct job *j = jobs; j; j = j->next)
		if (j->ok && j->rewritten && !file_replace(j->file)) {
			fail(j, "replacing a message file");
			file_abandon(j->file);
		}
	sync_folders(m, jobs, has_new_name);
	for (struct job *j = jobs; j; j = j->next)
		if (j->moved &&
		    !j->ok) { /* the name may be durable or not: the journal's copy is the message */
			file_abandon(j->file);
			j->moved = false;
			j->ghost = true;
		}
	note_moved(m, jobs);
	answer_all(m, jobs);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* A damaged record or file goes to corrupt/. False: it is only where it was. */
static bool set_aside(struct mover *m, struct job *j)
{
	char name[FILE_NAME];
	bool own;
	if (j->in_file)
		return aside_file(m->spool, m->spool->message, file_name(name, j->serial),
				  "it does not verify");
	int fd = spool_segment_fd(m->spool, j->place.number, &own);
	char *bytes = mem_alloc(j->place.length);
	struct segment_header h = { .number = j->place.number, .salt = j->place.salt };
	bool ok = fd >= 0 && io_pread_full(fd, bytes, j->place.length, (off_t)j->place.at) &&
		  aside_bytes(m->spool, "journal", &h, j->place.at, bytes, j->place.length);
	if (own)
		io_close(&fd);
	free(bytes);
	return ok;
}

void mover_void(struct mover *m, struct job *jobs)
{
	size_t n = 0;
	struct ost_why why;
	for (struct job *j = jobs; j; j = j->next) {
		j->ok = j->kind != JOB_SET_ASIDE || set_aside(m, j);
		n++;
	}
	struct spool_void *voids = mem_alloc(n * sizeof *voids);
	n = 0;
	for (const struct job *j = jobs; j; j = j->next)
		if (!j->in_file && j->ok)
			voids[n++] =
				(struct spool_void){ j->place.number, salt_id(&j->place.salt), j->serial };
	bool ok = mover_note_voids(m, voids, n, &why);
	if (!ok)
		log_error("spool: %s", why.text);
	for (struct job *j = jobs; j; j = j->next)
		j->ok = j->ok && (ok || j->in_file);
	free(voids);
	answer_all(m, jobs);
}

/* Appends GONE, durably or not at all. */
static bool append_gone(struct mover *m, struct file_view *v)
{
	uint64_t end = v->end;
	if (!file_append(m->spool, v, RECORD_GONE, "", 0))
		return false;
	if (sys_datasync(&m->spool->sys, v->fd))
		return true;
	(void)sys_truncate(&m->spool->sys, v->fd, end);
	return false;
}

/* Marks a file that has another name as gone, durably: before the first name goes. */
static bool mark_gone(struct mover *m, uint64_t serial)
{
	struct arena *a = arena_new();
	struct file_view v;
	enum file_verdict verdict = file_read(m->spool, serial, true, a, &v, NULL);
	bool ok = verdict == FILE_MISSING || verdict == FILE_DAMAGED;
	if (verdict == FILE_GOOD) {
		ok = v.gone || append_gone(m, &v);
		io_close(&v.fd);
	}
	arena_destroy(&a);
	return ok;
}

static bool was_removed(const struct job *j)
{
	return j->ok;
}

void mover_remove(struct mover *m, struct job *jobs)
{
	struct ost_why why;
	char name[FILE_NAME];
	bool noted = mover_note_voids(m, NULL, 0, &why);
	for (struct job *j = jobs; j && noted; j = j->next) {
		struct spool_void copy = { j->place.number, salt_id(&j->place.salt), j->serial };
		if (j->forced && !j->in_file) /* both its copy in the journal, and what a failed move left */
			noted = mover_note_voids(m, &copy, 1, &why);
	}
	if (!noted)
		log_error("spool: %s", why.text);
	for (struct job *j = jobs; j; j = j->next) {
		j->ok = noted && (!j->named || mark_gone(m, j->serial)) &&
			(sys_unlink(&m->spool->sys, m->spool->message, file_name(name, j->serial)) ||
			 errno == ENOENT);
		if (!j->ok)
			fail(j, "removing a message file");
	}
	if (!m->removed)
		m->last_removed = &m->removed;
	*m->last_removed = jobs;
	while (*m->last_removed)
		m->last_removed = &(*m->last_removed)->next;
}

void mover_sync_removed(struct mover *m)
{
	struct job *jobs = m->removed;
	int64_t start = clock_mono();
	if (!jobs)
		return;
	m->removed = NULL;
	if (!syncwhole_may(&m->spool->whole, start) || !sync_whole(m, jobs, was_removed))
		sync_folders(m, jobs, was_removed);
	answer_all(m, jobs);
	int64_t end = clock_mono(), rest = 2 * (end - start);
	m->sync_at = end + (rest < rest_least ? rest_least : rest > rest_most ? rest_most : rest);
}

/* One segment is of no use any more: it is made free, or, of result logs beyond those that are kept, removed.
 */
static bool recycle(struct mover *m, struct job *j, struct ost_why *why)
{
	bool log = j->kind == JOB_RECYCLE_LOG, ok = false;
	const struct segment_family *f = log ? &m->spool->results_family : &m->spool->journal_family;
	char name[SEGMENT_NAME];
	struct segment_header h;
	int fd = openat(f->dir, segment_name(name, j->number), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !segment_read_header(fd, &h, why)) {
		io_close(&fd);
		return false;
	}
	j->gone = log && j->number > RESULT_LOGS_KEPT && h.number == j->number && salt_id(&h.salt) == j->id;
	if (j->gone)
		ok = segment_discard(f, fd, &h, why);
	else
		ok = (salt_id(&h.salt) == j->id || h.state == SEGMENT_FREE) &&
		     segment_recycle(f, fd, &h, why);
	j->salt = h.salt;
	io_close(&fd);
	return ok;
}

void mover_recycle(struct mover *m, struct job *jobs)
{
	for (struct job *j = jobs; j; j = j->next) {
		bool log = j->kind == JOB_RECYCLE_LOG;
		struct ost_why why = { "cannot be opened" };
		j->ok = recycle(m, j, &why);
		if (!j->ok)
			log_error("spool: recycling %s/%08u: %s", log ? "results" : "journal", j->number,
				  why.text);
		else if (log && j->number < m->nlogs)
			m->logs[j->number] = (struct mover_log){ 0 };
	}
	answer_all(m, jobs);
}
