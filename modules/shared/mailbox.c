/* SPDX-License-Identifier: Apache-2.0
 * A mailbox file (mbox): locked, appended to, synced, unlocked; cut back to what it was when that fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/beneath.h"
#include "shared/userfile.h"

enum { FILE_MODE = 0600, BUFFER = 32 * 1024, PATH_SIZE = 4096 };

struct mailbox {
	const struct userfile_options *options;
	struct ost_user_job *job;
	int base, opened; /* the folder it is in */
	const char *path; /* beneath base */
	int fd;
	bool created, dot_locked;
	char dot[PATH_SIZE];
	/* Writing. */
	uint64_t room; /* bytes until the size limit */
	char *buffer;
	size_t used;
	bool line_start;
	char start[8]; /* bytes of a line's start that may become "From " */
	size_t started;
};

/* "cannot update mailbox PATH: WHAT: REASON" */
static void fail(struct mailbox *m, const char *what, int error)
{
	char text[300];
	snprintf(text, sizeof text, "cannot update mailbox %.200s: %s", m->job->path, what);
	job_failed(m->job, text, error);
}

static void pause_for(int64_t microseconds)
{
	struct timespec t = { .tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000 };
	nanosleep(&t, NULL);
}

/* ---- locks --------------------------------------------------------------------------------------------------------------- */

/* One try each: 0, EAGAIN when somebody else has it, or another errno. */
static int try_fcntl(struct mailbox *m)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	/* Of the open file, not of the process: it holds between our own threads, too, and against everybody's fcntl locks. */
	if (fcntl(m->fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EACCES ? EAGAIN : errno;
}

static int try_flock(struct mailbox *m)
{
	return flock(m->fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
}

static int try_dotlock(struct mailbox *m)
{
	struct stat st;
	int fd = beneath_open(m->base, m->dot, O_WRONLY | O_CREAT | O_EXCL, 0);
	if (fd >= 0) {
		close(fd);
		m->dot_locked = true;
		return 0;
	}
	if (errno != EEXIST)
		return errno;
	if (fstatat(m->base, m->dot, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (time(NULL) - st.st_mtime) * INT64_C(1000000) > m->options->stale_lock)
		unlinkat(m->base, m->dot, 0);
	return EAGAIN;
}

static const struct {
	const char *name;
	bool needs_path; /* rather than the open file */
	int (*attempt)(struct mailbox *);
} methods[] = { { "fcntl", false, try_fcntl }, { "flock", false, try_flock }, { "dotlock", true, try_dotlock } };

static int take_lock(struct mailbox *m, int (*attempt)(struct mailbox *))
{
	int error = attempt(m);
	for (int64_t i = 1; error == EAGAIN && i < m->options->lock_attempts; i++) {
		pause_for(m->options->lock_delay);
		error = attempt(m);
	}
	return error;
}

/* All locks of the list that work on a path (before the file is opened), or on the open file. 0 or errno. */
static int take_locks(struct mailbox *m, bool on_path)
{
	for (const char *p = m->options->locks; *p;) {
		p += strspn(p, ", \t\r\n");
		size_t len = strcspn(p, ", \t\r\n");
		for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
			if (strlen(methods[i].name) == len && memcmp(methods[i].name, p, len) == 0 &&
			    methods[i].needs_path == on_path) {
				int error = take_lock(m, methods[i].attempt);
				if (error)
					return error;
			}
		p += len;
	}
	return 0;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

static bool open_file(struct mailbox *m)
{
	m->fd = beneath_open(m->base, m->path, O_RDWR | O_NONBLOCK, 0);
	if (m->fd < 0 && errno == ENOENT && beneath_mkdirs(m->base, m->path, 0, 0700) == 0) {
		m->fd = beneath_open(m->base, m->path, O_RDWR | O_CREAT | O_EXCL, FILE_MODE);
		m->created = m->fd >= 0;
		if (m->fd < 0 && errno == EEXIST)
			m->fd = beneath_open(m->base, m->path, O_RDWR | O_NONBLOCK, 0);
	}
	if (m->fd < 0)
		fail(m, "cannot open file", errno);
	return m->fd >= 0;
}

/* What is not a mailbox of this user is not written to. */
static bool check_file(struct mailbox *m)
{
	struct stat st;
	const char *wrong = NULL;
	if (fstat(m->fd, &st) < 0) {
		fail(m, "cannot look at file", errno);
		return false;
	}
	if (!S_ISREG(st.st_mode))
		wrong = "destination is not a regular file";
	else if (st.st_nlink != 1)
		wrong = "file has more than one link";
	else if (st.st_mode & (S_IXUSR | S_ISUID | S_ISGID))
		wrong = "file is executable";
	else if (m->options->strict_owner && st.st_uid != m->job->uid)
		wrong = "destination is not owned by recipient";
	if (wrong) {
		m->job->done.status = OST_DEFERRED;
		memcpy(m->job->done.dsn, "4.2.0", 6);
		snprintf(m->job->done.text, sizeof m->job->done.text, "cannot update mailbox %.200s: %s", m->job->path, wrong);
	}
	return !wrong;
}

/* Locks and opens; false: the job has failed. */
static bool mailbox_open(struct mailbox *m)
{
	if (m->job->spool_fd >= 0) {
		m->fd = dup(m->job->spool_fd); /* opened, checked and locked by the broker */
		if (m->fd < 0)
			fail(m, "cannot open file", errno);
		return m->fd >= 0;
	}
	m->base = job_base(m->job, &m->path, &m->opened);
	if (m->base < 0 || strlen(m->path) + sizeof ".lock" > sizeof m->dot) {
		fail(m, "cannot open folder", m->base < 0 ? errno : ENAMETOOLONG);
		return false;
	}
	snprintf(m->dot, sizeof m->dot, "%s.lock", m->path);
	int error = beneath_mkdirs(m->base, m->path, 0, 0700) < 0 ? errno : take_locks(m, true);
	if (error) {
		fail(m, error == EAGAIN ? "unable to lock for exclusive access" : "unable to create lock file", error);
		return false;
	}
	if (!open_file(m))
		return false;
	error = take_locks(m, false);
	if (error) {
		fail(m, "unable to lock for exclusive access", error);
		return false;
	}
	return check_file(m);
}

static void mailbox_close(struct mailbox *m)
{
	if (m->fd >= 0)
		close(m->fd);
	if (m->dot_locked)
		unlinkat(m->base, m->dot, 0);
	if (m->opened >= 0)
		close(m->opened);
	free(m->buffer);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------- */

static int flush(struct mailbox *m)
{
	int error = write_all(m->fd, m->buffer, m->used);
	m->used = 0;
	return error;
}

static int put(struct mailbox *m, const char *p, size_t n)
{
	if (n > m->room)
		return EFBIG;
	m->room -= n;
	while (n > 0) {
		size_t part = n < BUFFER - m->used ? n : BUFFER - m->used;
		memcpy(m->buffer + m->used, p, part);
		m->used += part;
		p += part;
		n -= part;
		if (m->used == BUFFER) {
			int error = flush(m);
			if (error)
				return error;
		}
	}
	return 0;
}

static const char from_word[] = "From ";
enum { FROM_LENGTH = sizeof from_word - 1 };

/* The start of a line is held back until it is clear whether it is "From ", which gets a '>' in front. */
static int release_start(struct mailbox *m)
{
	int error = 0;
	if (m->started == FROM_LENGTH)
		error = put(m, ">", 1);
	if (!error)
		error = put(m, m->start, m->started);
	m->started = 0;
	m->line_start = false;
	return error;
}

static int put_content(void *ctx, const char *p, size_t n)
{
	struct mailbox *m = ctx;
	int error = 0;
	while (n > 0 && !error) {
		if (m->line_start && m->started < FROM_LENGTH && *p == from_word[m->started]) {
			m->start[m->started++] = *p++;
			n--;
			if (m->started == FROM_LENGTH)
				error = release_start(m);
			continue;
		}
		if (m->line_start)
			error = release_start(m);
		const char *lf = memchr(p, '\n', n);
		size_t part = lf ? (size_t)(lf + 1 - p) : n;
		if (!error)
			error = put(m, p, part);
		m->line_start = lf != NULL;
		p += part;
		n -= part;
	}
	return error;
}

/* From_ line, headers, the message with quoted From_ lines, an empty line. 0 or errno. */
static int append(struct mailbox *m, const struct mail_head *h)
{
	m->buffer = malloc(BUFFER);
	if (!m->buffer)
		return ENOMEM;
	int error = put(m, h->from_line, h->from_len);
	if (!error)
		error = put(m, h->headers, h->headers_len);
	m->line_start = true;
	if (!error)
		error = message_each(m->job, put_content, m);
	bool ended = m->line_start && m->started == 0;
	if (!error && m->started > 0)
		error = release_start(m);
	if (!error)
		error = put(m, "\n\n", ended ? 1 : 2);
	if (!error)
		error = flush(m);
	return error || fsync(m->fd) == 0 ? error : errno;
}

void mailbox_write(const struct userfile_options *o, struct ost_user_job *j)
{
	struct mailbox m = { .options = o, .job = j, .base = -1, .opened = -1, .fd = -1 };
	struct mail_head h;
	if (!mail_head_of(j, &h)) {
		fail(&m, "internal error", EINVAL);
		return;
	}
	if (mailbox_open(&m)) {
		off_t end = lseek(m.fd, 0, SEEK_END);
		m.room = o->size_limit == 0 ? UINT64_MAX : end < o->size_limit ? (uint64_t)(o->size_limit - end) : 0;
		int error = end < 0 ? errno : m.room < j->message_size ? EFBIG : append(&m, &h);
		if (error && end >= 0 && (ftruncate(m.fd, end) < 0 || fsync(m.fd) < 0))
			error = EIO;
		if (error)
			fail(&m, "error writing message", error);
		else
			snprintf(j->done.text, sizeof j->done.text, "delivered to mailbox");
		if (!error && m.created)
			j->dir_fd = beneath_open(m.base, ".", O_RDONLY | O_DIRECTORY, 0);
	}
	mailbox_close(&m);
}
