/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/syncer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "deliver/crew.h"

enum { WHOLE_LEAST = 4, PATH_SIZE = 256 };
/* A sync of the whole that takes longer writes too much of others': for so long each file is synced for itself. */
static const int64_t whole_longest = CLOCK_SECOND / 5, whole_pause = 60 * CLOCK_SECOND;

struct together { /* a caller that waits for several */
	pthread_mutex_t lock; /* guards left */
	pthread_cond_t done;
	size_t left;
};

struct syncer {
	struct crew *crew;
	dev_t whole;      /* the file system that syncfs() may be used on; 0: none */
	int64_t not_before; /* clock_mono(): nor until then */
};

static void sync_one(struct sync *s)
{
	s->error = fsync(s->fd) < 0 ? errno : 0;
}

static void run_sync(void *ctx, void *job)
{
	struct sync *s = job;
	struct together *t = s->together;
	(void)ctx;
	sync_one(s);
	pthread_mutex_lock(&t->lock);
	if (--t->left == 0)
		pthread_cond_signal(&t->done);
	pthread_mutex_unlock(&t->lock);
}

struct syncer *syncer_new(size_t threads)
{
	struct syncer *y = MEM_NEW(struct syncer);
	y->crew = crew_new(threads, threads, run_sync, NULL);
	return y;
}

void syncer_destroy(struct syncer **yp)
{
	if (*yp) {
		crew_destroy(&(*yp)->crew);
		free(*yp);
	}
	*yp = NULL;
}

/* ---- the whole file system ---------------------------------------------------------------------------------------------- */

/* Since Linux 5.8 syncfs() tells of data that could not be written. */
static bool tells_errors(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 8));
}

/* Is the device's file system ext4 with a journal? Its sysfs entry names the thread that writes that. */
static bool journalled(dev_t dev)
{
	char path[PATH_SIZE], link[PATH_SIZE], text[16];
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(dev), minor(dev));
	ssize_t n = readlink(path, link, sizeof link - 1);
	if (n <= 0)
		return false;
	link[n] = '\0';
	const char *name = strrchr(link, '/');
	if (!name || snprintf(path, sizeof path, "/sys/fs/ext4%s/journal_task", name) >= (int)sizeof path)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof text) : -1;
	io_close(&fd);
	return n > 0 && isdigit((unsigned char)text[0]);
}

void syncer_allow_whole(struct syncer *y, const char *folder)
{
	struct stat st;
	if (tells_errors() && stat(folder, &st) == 0 && journalled(st.st_dev))
		y->whole = st.st_dev;
}

static bool all_there(dev_t dev, const struct sync *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct stat st;
		if (fstat(list[i].fd, &st) < 0 || st.st_dev != dev)
			return false;
	}
	return true;
}

/* One sync for all. False: not done, or it failed: which of them it was, each one's own sync tells. */
static bool sync_whole(struct syncer *y, struct sync *list, size_t n)
{
	if (!y || y->whole == 0 || n < WHOLE_LEAST)
		return false;
	int64_t start = clock_mono();
	if (start < y->not_before || !all_there(y->whole, list, n))
		return false;
	bool ok = syncfs(list[0].fd) == 0;
	int64_t end = clock_mono();
	if (end - start > whole_longest)
		y->not_before = end + whole_pause;
	for (size_t i = 0; i < n; i++)
		list[i].error = 0;
	return ok;
}

/* ---- each one ----------------------------------------------------------------------------------------------------------- */

/* All of them; the first in this thread. */
static void sync_all(struct syncer *y, struct sync *list, size_t n)
{
	struct together t = { .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER, .left = n - 1 };
	void *others[USER_BATCH];
	for (size_t i = 1; i < n; i++) {
		list[i].together = &t;
		if (y)
			others[i - 1] = &list[i];
		else
			sync_one(&list[i]);
	}
	if (y && n > 1)
		crew_add_all(y->crew, others, n - 1);
	if (n > 0)
		sync_one(&list[0]);
	pthread_mutex_lock(&t.lock);
	while (y && n > 1 && t.left > 0)
		pthread_cond_wait(&t.done, &t.lock);
	pthread_mutex_unlock(&t.lock);
}

void syncer_files(struct syncer *y, struct sync *list, size_t n)
{
	if (sync_whole(y, list, n))
		return;
	for (size_t i = 0; n > 1 && i < n; i++) /* all the writing first, so that the file system commits it together */
		sync_file_range(list[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	sync_all(y, list, n);
}

void syncer_folders(struct syncer *y, struct sync *list, size_t n)
{
	if (!sync_whole(y, list, n))
		sync_all(y, list, n);
}
