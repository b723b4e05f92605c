/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/userrun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/magic.h"

void user_job_init(struct ost_user_job *j)
{
	*j = (struct ost_user_job){ .size = sizeof *j, .message_fd = -1, .home_fd = -1, .spool_fd = -1, .file_fd = -1,
				    .dir_fd = -1,
				    .done = { .size = sizeof j->done, .status = OST_SENT, .dsn = "2.0.0" } };
}

void user_failed(struct ost_user_done *done, enum ost_delivered status, const char *dsn, const char *fmt, ...)
{
	va_list ap;
	done->status = status;
	snprintf(done->dsn, sizeof done->dsn, "%s", dsn);
	va_start(ap, fmt);
	vsnprintf(done->text, sizeof done->text, fmt, ap);
	va_end(ap);
}

/* A full disk is the one failure that has a DSN code of its own. */
static void sync_failed(struct ost_user_job *j)
{
	char text[128];
	int error = errno;
	user_failed(&j->done, OST_DEFERRED, error == ENOSPC || error == EDQUOT ? "4.2.2" : "4.3.0",
		    "cannot write to stable storage: %s", strerror_r(error, text, sizeof text));
}

/* Starts all the writing first, so that the file system commits it together; then waits for each. */
static void sync_files(struct ost_user_job *jobs, size_t n)
{
	for (size_t i = 0; n > 1 && i < n; i++)
		if (jobs[i].done.status == OST_SENT && jobs[i].file_fd >= 0)
			sync_file_range(jobs[i].file_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].done.status == OST_SENT && jobs[i].file_fd >= 0 && fsync(jobs[i].file_fd) < 0)
			sync_failed(&jobs[i]);
		io_close(&jobs[i].file_fd);
	}
}

/* Each distinct folder once. */
static void sync_folders(struct ost_user_job *jobs, size_t n)
{
	struct stat seen[USER_BATCH];
	bool good[USER_BATCH];
	size_t folders = 0;
	for (size_t i = 0; i < n; i++) {
		struct stat st = { 0 };
		size_t at = folders;
		if (jobs[i].done.status != OST_SENT || jobs[i].dir_fd < 0) {
			io_close(&jobs[i].dir_fd);
			continue;
		}
		bool ok = fstat(jobs[i].dir_fd, &st) == 0;
		for (size_t k = 0; ok && k < folders; k++)
			if (seen[k].st_ino == st.st_ino && seen[k].st_dev == st.st_dev)
				at = k;
		if (at == folders) {
			ok = ok && fsync(jobs[i].dir_fd) == 0;
			if (!ok)
				sync_failed(&jobs[i]);
			seen[folders] = st;
			good[folders++] = ok;
		} else if (!good[at]) {
			errno = EIO;
			sync_failed(&jobs[i]);
		}
		io_close(&jobs[i].dir_fd);
	}
}

void user_run(const struct ost_transport_ops *ops, const void *config, struct ost_user_job *jobs, size_t n)
{
	assert(n > 0 && n <= USER_BATCH && ops->user_write && ops->user_publish);
	ops->user_write(config, jobs, n);
	sync_files(jobs, n);
	ops->user_publish(config, jobs, n);
	sync_folders(jobs, n);
}
