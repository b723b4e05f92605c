/* SPDX-License-Identifier: Apache-2.0
 * Messages stored under an identity. The message's file gets a second name, named/IDENTITY, durably before it
 * is complete; the keeper marks the file as gone, durably, before it takes the first name away. So whoever
 * comes again with the same identity finds in the file itself whether the message was stored, even when it
 * has long been delivered. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "spool/draft.h"

enum { IDENTITY_MAX = 64 };

/* Hex digits only: it becomes a file name. */
static bool identity_good(const char *name)
{
	size_t len = strnlen(name, IDENTITY_MAX + 1);
	return len > 0 && len <= IDENTITY_MAX && strspn(name, "0123456789abcdefABCDEF") == len;
}

enum earlier { EARLIER_NONE, EARLIER_STORED, EARLIER_ERROR };

/* The file is whole. Sees to its first name, which a power cut may have taken before the folder was synced.
 */
static enum earlier keep_stored(struct spool *s, const char *name, const struct file_view *v)
{
	char first[FILE_NAME];
	struct stat st;
	if (v->gone)
		return EARLIER_STORED;
	if (fstat(v->fd, &st) != 0)
		return EARLIER_ERROR;
	if (st.st_nlink < 2 &&
	    !sys_link(&s->sys, s->named, name, s->message, file_name(first, v->head.serial)) &&
	    errno != EEXIST)
		return EARLIER_ERROR;
	/* Its first sync may have failed, so that a second one alone would mean nothing. */
	bool ok = file_write_again(s, v->fd, 0, v->end < v->size ? v->end : v->size) && sys_fsync(&s->sys, v->fd) &&
		  file_sync_folder(s, v->head.serial);
	return ok ? EARLIER_STORED : EARLIER_ERROR;
}

/* Was a message stored under this name? What was never finished is removed. */
static enum earlier look_for_earlier(struct spool_writer *w, const char *name)
{
	struct spool *s = w->spool;
	struct ost_why why;
	struct file_view v;
	int fd = openat(s->named, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? EARLIER_NONE : EARLIER_ERROR;
	struct arena *a = arena_new();
	enum file_verdict verdict = sys_lock(fd) ? file_read_fd(fd, a, &v, &why) : FILE_ERROR;
	if (verdict == FILE_GOOD && !v.gone)
		verdict = file_check_content(&v, &why);
	enum earlier found = EARLIER_ERROR;
	if (verdict == FILE_GOOD)
		found = keep_stored(s, name, &v);
	else if ((verdict == FILE_UNFINISHED || verdict == FILE_DAMAGED) &&
		 sys_unlink(&s->sys, s->named, name))
		found = EARLIER_NONE;
	if (found == EARLIER_STORED &&
	    !v.gone) /* the hint may not have been sent; the keeper looks for itself */
		writer_hint_file(w, v.head.serial, NULL, 0);
	arena_destroy(&a);
	io_close(&fd);
	return found;
}

/* Gives the draft's file its second name, durably, and completes it. False: errno; *linked: it has that name.
 */
static bool link_and_seal(struct spool_draft *d, const struct spool_envelope *env, const char *name,
			  bool *linked)
{
	struct spool *s = d->writer->spool;
	struct spool_envelope e = *env;
	struct buf body = BUF_INIT;
	e.named = name;
	*linked = draft_flush(d) && sys_link(&s->sys, s->message, d->file.name, s->named, name);
	bool ok = *linked && sys_sync_folder(&s->sys, s->named) && draft_seal(d, &e, &body) &&
		  file_sync(&d->file) && file_sync_folder(s, d->serial);
	int error = errno;
	if (ok)
		writer_hint_file(d->writer, d->serial, body.data, body.len);
	buf_free(&body);
	errno = error;
	return ok;
}

enum spool_outcome spool_draft_commit_named(struct spool_draft **dp, const struct spool_envelope *env,
					    const char *name, bool again)
{
	struct spool_draft *d = *dp;
	CHECK_MAGIC(d, DRAFT_MAGIC);
	enum spool_outcome outcome = SPOOL_FAILED;
	enum earlier earlier = identity_good(name) ? look_for_earlier(d->writer, name) : EARLIER_ERROR;
	if (earlier == EARLIER_STORED)
		outcome = SPOOL_STORED;
	if (earlier != EARLIER_NONE) {
		spool_draft_discard(dp);
		return outcome;
	}
	if (!d->error && !d->streaming)
		draft_to_file(d);
	bool linked = false;
	if (!d->error && !link_and_seal(d, env, name, &linked))
		d->error = errno;
	outcome = d->error ? spool_outcome_of_errno(d->error) : SPOOL_STORED;
	if (d->error)
		log_error("spool: storing a submitted message: errno %d", d->error);
	if (d->error && linked && !again)
		sys_unlink(&d->writer->spool->sys, d->writer->spool->named, name);
	if (d->error && (!linked || !again)) {
		spool_draft_discard(dp);
		return outcome;
	}
	/* After a failure behind the link both names stay: nobody knows how much of the file is durable, and
	 * whoever comes again with this identity finds out. */
	*dp = NULL;
	draft_free(d);
	return outcome;
}

void spool_named_forget(struct spool *s, const char *name)
{
	CHECK_MAGIC(s, SPOOL_MAGIC);
	if (identity_good(name))
		sys_unlink(&s->sys, s->named, name);
}

void spool_named_each(struct spool *s, time_t before, void (*each)(void *ctx, const char *name), void *ctx)
{
	CHECK_MAGIC(s, SPOOL_MAGIC);
	struct stat st;
	int fd = openat(s->named, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		io_close(&fd);
		return;
	}
	for (const struct dirent *e; (e = readdir(dir));)
		if (identity_good(e->d_name) && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ctime < before)
			each(ctx, e->d_name);
	closedir(dir);
}
