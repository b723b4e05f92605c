/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/userrun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/magic.h"
#include "base/mem.h"
#include "deliver/syncer.h"
#include "module/module.h"

/* Modules made for versions before 1.3 count in jobs of this size. */
_Static_assert(sizeof(void *) < 8 || sizeof(struct ost_user_job) == offsetof(struct ost_user_job, message_form) + sizeof(uint32_t),
	       "the form stands where padding was");
_Static_assert(sizeof(void *) < 8 || offsetof(struct ost_user_job, message_form) % 8 == 4, "the form stands where padding was");

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
static void sync_failed(struct ost_user_job *j, int error)
{
	char text[128];
	user_failed(&j->done, OST_DEFERRED, error == ENOSPC || error == EDQUOT ? "4.2.2" : "4.3.0",
		    "cannot write to stable storage: %s", strerror_r(error, text, sizeof text));
}

/* ---- the jobs ------------------------------------------------------------------------------------------------------------ */

static bool wants_sync(const struct ost_user_job *j, int fd)
{
	return j->done.status == OST_SENT && fd >= 0;
}

static void sync_files(struct ost_user_job *jobs, size_t n, struct syncer *y)
{
	struct sync list[USER_BATCH];
	size_t of[USER_BATCH], count = 0;
	for (size_t i = 0; i < n; i++) {
		if (!wants_sync(&jobs[i], jobs[i].file_fd))
			continue;
		of[count] = i;
		list[count++] = (struct sync){ .fd = jobs[i].file_fd };
	}
	syncer_files(y, list, count);
	for (size_t k = 0; k < count; k++)
		if (list[k].error)
			sync_failed(&jobs[of[k]], list[k].error);
	for (size_t i = 0; i < n; i++)
		io_close(&jobs[i].file_fd);
}

/* Where a folder is in the list already, or its end. */
static size_t find_folder(const struct stat *seen, size_t count, const struct stat *st)
{
	size_t k = 0;
	while (k < count && (seen[k].st_ino != st->st_ino || seen[k].st_dev != st->st_dev))
		k++;
	return k;
}

/* Each distinct folder once. */
static void sync_folders(struct ost_user_job *jobs, size_t n, struct syncer *y)
{
	struct sync list[USER_BATCH];
	struct stat seen[USER_BATCH];
	size_t of[USER_BATCH] = { 0 }, count = 0;
	for (size_t i = 0; i < n; i++) {
		if (!wants_sync(&jobs[i], jobs[i].dir_fd))
			continue;
		struct stat st;
		if (n > 1 && fstat(jobs[i].dir_fd, &st) < 0)
			st = (struct stat){ .st_ino = i }; /* not known: a folder of its own */
		of[i] = n > 1 ? find_folder(seen, count, &st) : 0;
		if (of[i] == count) {
			if (n > 1)
				seen[count] = st;
			list[count++] = (struct sync){ .fd = jobs[i].dir_fd };
		}
	}
	syncer_folders(y, list, count);
	for (size_t i = 0; i < n; i++) {
		if (wants_sync(&jobs[i], jobs[i].dir_fd) && list[of[i]].error)
			sync_failed(&jobs[i], list[of[i]].error);
		io_close(&jobs[i].dir_fd);
	}
}

void user_run(const struct user_half *h, struct ost_user_job *jobs, size_t n, struct syncer *y)
{
	assert(n > 0 && n <= USER_BATCH && h->ops->user_write && h->ops->user_publish);
	mod_note(h->module, "user_write", mod_deadline(USER_TIMES));
	h->ops->user_write(h->config, jobs, n);
	mod_note_end();
	sync_files(jobs, n, y);
	mod_note(h->module, "user_publish", mod_deadline(USER_TIMES));
	h->ops->user_publish(h->config, jobs, n);
	mod_note_end();
	sync_folders(jobs, n, y);
	if (h->ops->ops.size <= offsetof(struct ost_transport_ops, user_settle) || !h->ops->user_settle)
		return; /* made for interface 1.0, or nothing to take back */
	mod_note(h->module, "user_settle", mod_deadline(USER_TIMES));
	h->ops->user_settle(h->config, jobs, n);
	mod_note_end();
}
