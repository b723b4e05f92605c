/* SPDX-License-Identifier: Apache-2.0
 * Maildir: written to tmp/ under a name that is nobody else's, renamed into new/, and taken back when that name could not be
 * made durable: the message is delivered again, and should not lie there twice. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "shared/beneath.h"
#include "shared/userfile.h"

enum { NAME_SIZE = 128, FOLDER_MODE = 0700, FILE_MODE = 0600 };

struct folder { /* of the jobs of one batch, one behind the other, that go to the same Maildir; one thread's */
	unsigned users;
	int fd, new_fd; /* the Maildir, O_PATH, and its new/; -1: not open */
	char host[65];  /* this system's name, fit for a file's name */
};

struct maildir { /* a job's state between its steps */
	struct folder *folder;
	char name[NAME_SIZE + 4]; /* "tmp/…", then "new/…"; empty: no file */
};

static void host_name(char host[65])
{
	if (gethostname(host, 64) < 0)
		memcpy(host, "localhost", sizeof "localhost");
	host[64] = '\0';
	for (char *p = host; *p; p++)
		if (*p == '/' || *p == ':' || (unsigned char)*p <= ' ')
			*p = '_';
}

/* "1700000000.M123456P42Q7.host": time, process, a number within it. */
static void make_name(struct maildir *m)
{
	static atomic_uint number;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(m->name, sizeof m->name, "tmp/%lld.M%ldP%dQ%u.%s", (long long)now.tv_sec, now.tv_nsec / 1000, (int)getpid(),
		 atomic_fetch_add(&number, 1), m->folder->host);
}

/* Do both write as the same user, at the same path below the same folder? */
static bool same_place(const struct ost_user_job *a, const struct ost_user_job *b)
{
	return a->uid == b->uid && a->gid == b->gid && strcmp(a->path, b->path) == 0 &&
	       (*a->path == '/' || (a->home && b->home && strcmp(a->home, b->home) == 0));
}

/* The Maildir, made when it is not there. */
static int open_maildir(const struct ost_user_job *j)
{
	const char *path;
	int opened, base = job_base(j, &path, &opened);
	if (base < 0)
		return -1;
	int fd = beneath_open(base, path, O_PATH | O_DIRECTORY, 0);
	if (fd < 0 && errno == ENOENT && beneath_mkdirs(base, path, 1, FOLDER_MODE) == 0)
		fd = beneath_open(base, path, O_PATH | O_DIRECTORY, 0);
	int error = errno;
	if (opened >= 0)
		close(opened);
	errno = error;
	return fd;
}

/* The Maildir of the job before when it is the same one, or opened. NULL with errno. */
static struct folder *take_folder(const struct ost_user_job *j, const struct ost_user_job *before)
{
	const struct maildir *m = before ? before->state : NULL;
	if (m && same_place(j, before)) {
		m->folder->users++;
		return m->folder;
	}
	struct folder *f = malloc(sizeof *f);
	if (!f)
		return NULL;
	*f = (struct folder){ .users = 1, .fd = open_maildir(j), .new_fd = -1 };
	if (f->fd >= 0) {
		host_name(f->host);
		return f;
	}
	int error = errno;
	free(f);
	errno = error;
	return NULL;
}

static void leave_folder(struct folder *f)
{
	if (!f || --f->users > 0)
		return;
	close(f->fd);
	if (f->new_fd >= 0)
		close(f->new_fd);
	free(f);
}

static int make_folders(int folder)
{
	static const char *const names[] = { "tmp", "new", "cur" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (beneath_mkdirs(folder, names[i], 1, FOLDER_MODE) < 0)
			return -1;
	return 0;
}

/* A new file in tmp/; the folders are made when they are not there. */
static int create_file(struct maildir *m)
{
	for (int attempt = 0;; attempt++) {
		make_name(m);
		int fd = beneath_open(m->folder->fd, m->name, O_WRONLY | O_CREAT | O_EXCL, FILE_MODE);
		if (fd >= 0 || attempt == 3)
			return fd;
		if (errno == ENOENT && make_folders(m->folder->fd) < 0)
			return -1;
		if (errno != ENOENT && errno != EEXIST)
			return -1;
	}
}

/* Headers and a message in memory: one system call. */
static int write_message(const struct ost_user_job *j, const struct mail_head *h, int fd)
{
	if (!j->message) {
		int error = write_all(fd, h->headers, h->headers_len);
		return error ? error : message_copy(j, fd);
	}
	struct iovec v[] = { { (void *)(uintptr_t)h->headers, h->headers_len },
			     { (void *)(uintptr_t)j->message, j->message_size } };
	ssize_t n = writev(fd, v, 2);
	if (n < 0 && errno != EINTR)
		return errno;
	size_t done = n < 0 ? 0 : (size_t)n;
	if (done < h->headers_len) {
		int error = write_all(fd, h->headers + done, h->headers_len - done);
		if (error)
			return error;
		done = h->headers_len;
	}
	return write_all(fd, j->message + (done - h->headers_len), j->message_size - (done - h->headers_len));
}

/* Nothing of it stays: neither in tmp, nor in new. */
static void undo(struct ost_user_job *j)
{
	struct maildir *m = j->state;
	if (!m)
		return;
	if (m->name[0])
		unlinkat(m->folder->fd, m->name, 0);
	leave_folder(m->folder);
	free(m);
	j->state = NULL;
}

static void fail(struct ost_user_job *j, const char *what, int error)
{
	char text[200];
	snprintf(text, sizeof text, "maildir delivery failed: %s", what);
	job_failed(j, text, error);
	undo(j);
}

void maildir_write(const struct userfile_options *o, struct ost_user_job *j, const struct ost_user_job *before)
{
	struct mail_head h;
	struct maildir *m = calloc(1, sizeof *m);
	if (!m || !mail_head_of(j, &h)) {
		free(m);
		job_failed(j, "maildir delivery failed", m ? EINVAL : ENOMEM);
		return;
	}
	j->state = m;
	m->folder = take_folder(j, before);
	if (!m->folder) {
		fail(j, "cannot open the maildir", errno);
		return;
	}
	j->file_fd = create_file(m);
	if (j->file_fd < 0) {
		int error = errno;
		m->name[0] = '\0';
		fail(j, "create maildir file", error);
		return;
	}
	int error = 0;
	if (o->size_limit > 0 && j->message_size + h.headers_len > (uint64_t)o->size_limit)
		error = EFBIG;
	else
		error = write_message(j, &h, j->file_fd);
	if (error)
		fail(j, "error writing message", error);
	else
		snprintf(j->done.text, sizeof j->done.text, "delivered to maildir");
}

/* new/, made when it is not there. -1 with errno. */
static int open_new(struct folder *f)
{
	if (f->new_fd < 0)
		f->new_fd = beneath_open(f->fd, "new", O_RDONLY | O_DIRECTORY, 0);
	if (f->new_fd < 0 && errno == ENOENT && make_folders(f->fd) == 0)
		f->new_fd = beneath_open(f->fd, "new", O_RDONLY | O_DIRECTORY, 0);
	return f->new_fd;
}

/* Into new/, under the same name; never over another file. */
static int publish(const struct maildir *m)
{
	const char *name = m->name + 4;
	int fd = m->folder->fd, new_fd = m->folder->new_fd;
	if (renameat2(fd, m->name, new_fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(fd, m->name, new_fd, name, 0) < 0)
		return -1;
	unlinkat(fd, m->name, 0);
	return 0;
}

void maildir_publish(struct ost_user_job *j)
{
	struct maildir *m = j->state;
	if (j->done.status != OST_SENT) {
		undo(j);
		return;
	}
	int new_fd = open_new(m->folder);
	j->dir_fd = new_fd < 0 ? -1 : fcntl(new_fd, F_DUPFD_CLOEXEC, 0); /* the core closes its own */
	if (j->dir_fd < 0 || publish(m) < 0) {
		fail(j, "create maildir file", errno);
		return;
	}
	memcpy(m->name, "new", 3);
}

void maildir_settle(struct ost_user_job *j)
{
	struct maildir *m = j->state;
	if (m && j->done.status == OST_SENT)
		m->name[0] = '\0'; /* it stays */
	undo(j);
}
