/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/userfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ostler/wireform.h"

enum { PIECE = 64 * 1024 };

bool mail_head_of(const struct ost_user_job *j, struct mail_head *h)
{
	const char *end = j->args_len > 0 ? memchr(j->args, '\n', j->args_len) : NULL;
	if (!end)
		return false;
	h->from_line = j->args;
	h->from_len = (size_t)(end + 1 - h->from_line);
	h->headers = end + 1;
	h->headers_len = j->args_len - h->from_len;
	return true;
}

int job_base(const struct ost_user_job *j, const char **rest, int *opened)
{
	size_t len = strlen(j->path);
	*opened = -1;
	*rest = j->path;
	if (*j->path != '/')
		return j->home_fd;
	while (len > 1 && j->path[len - 1] == '/')
		len--;
	while (len > 1 && j->path[len - 1] != '/')
		len--;
	char folder[PATH_MAX];
	if (len >= sizeof folder) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(folder, j->path, len);
	folder[len] = '\0';
	*rest = j->path + len;
	*opened = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *opened;
}

/* Whose fault an error is: the mailbox is full; the system is in need; try again; the mailbox cannot be used. */
static const char *status_code(int error)
{
	switch (error) {
	case EDQUOT:
	case EFBIG:
		return "5.2.2";
	case EAGAIN:
	case EINTR:
	case ESTALE:
	case ETXTBSY:
		return "4.2.0";
	case ENOSPC:
	case EIO:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EROFS:
	case ENOBUFS:
	case ENOLCK:
		return "4.3.0";
	default:
		return "5.2.0";
	}
}

void job_failed(struct ost_user_job *j, const char *what, int error)
{
	char text[128];
	const char *dsn = status_code(error);
	j->done.status = *dsn == '5' ? OST_BOUNCED : OST_DEFERRED;
	memcpy(j->done.dsn, dsn, strlen(dsn) + 1);
	snprintf(j->done.text, sizeof j->done.text, "%s: %s", what, strerror_r(error, text, sizeof text));
}

int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* The next bytes of the descriptor, at most n: how many, or 0 with *error. */
static size_t read_piece(const struct ost_user_job *j, uint64_t at, char *p, size_t n, int *error)
{
	ssize_t got;
	do
		got = pread(j->message_fd, p, n, (off_t)(j->message_offset + at));
	while (got < 0 && errno == EINTR);
	*error = got < 0 ? errno : got == 0 ? EIO : 0;
	return got > 0 ? (size_t)got : 0;
}

/* The message in wire form: it is at its end where as many bytes have come of it as it has with LF line ends. */
static int wire_each(const struct ost_user_job *j, int (*each)(void *ctx, const char *p, size_t n), void *ctx)
{
	char piece[PIECE];
	int error = 0;
	bool in_line = false;
	uint64_t at = 0;
	for (uint64_t left = j->message_size; error == 0 && left > 0;) {
		size_t used, n = read_piece(j, at, piece, PIECE, &error);
		if (error)
			break;
		n = ost_wire_decode(&in_line, piece, n, n == 1, piece, &used);
		n = n < left ? n : (size_t)left; /* what follows in the file is no content */
		error = each(ctx, piece, n);
		at += used;
		left -= n;
	}
	return error;
}

int message_each(const struct ost_user_job *j, int (*each)(void *ctx, const char *p, size_t n), void *ctx)
{
	char piece[PIECE];
	int error = 0;
	if (j->message)
		return each(ctx, j->message, j->message_size);
	if (j->message_form == OST_FORM_WIRE)
		return wire_each(j, each, ctx);
	for (uint64_t at = 0, n; error == 0 && at < j->message_size; at += n) {
		n = read_piece(j, at, piece, j->message_size - at < PIECE ? (size_t)(j->message_size - at) : PIECE, &error);
		if (!error)
			error = each(ctx, piece, (size_t)n);
	}
	return error;
}

static int copy_piece(void *ctx, const char *p, size_t n)
{
	return write_all(*(const int *)ctx, p, n);
}

int message_copy(const struct ost_user_job *j, int fd)
{
	return message_each(j, copy_piece, &fd);
}

static bool is_maildir(const struct ost_user_job *j)
{
	size_t len = strlen(j->path);
	return len > 0 && j->path[len - 1] == '/';
}

void userfile_write(const struct userfile_options *o, struct ost_user_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ost_user_job *j = &jobs[i];
		if (j->spool_fd < 0 && j->home_fd < 0 && *j->path != '/')
			job_failed(j, "cannot open the home folder", j->home_error == ENOENT ? EAGAIN : j->home_error);
		else if (is_maildir(j))
			maildir_write(o, j, i > 0 && is_maildir(j - 1) ? j - 1 : NULL);
		else
			mailbox_write(o, j);
	}
}

void userfile_publish(struct ost_user_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_maildir(&jobs[i]))
			maildir_publish(&jobs[i]);
}

void userfile_settle(struct ost_user_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_maildir(&jobs[i]))
			maildir_settle(&jobs[i]);
}
