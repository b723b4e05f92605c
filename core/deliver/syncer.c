/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/syncer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/syncwhole.h"
#include "deliver/crew.h"

enum { WHOLE_LEAST = 4 };

struct together { /* a caller that waits for several */
	pthread_mutex_t lock; /* guards left */
	pthread_cond_t done;
	size_t left;
};

struct syncer {
	struct crew *crew;
	struct syncwhole whole;
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

void syncer_allow_whole(struct syncer *y, const char *folder)
{
	syncwhole_allow(&y->whole, folder);
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

static bool call_syncfs(void *ctx, int fd)
{
	(void)ctx;
	return syncfs(fd) == 0;
}

/* One sync for all. False: not done, or it failed: which of them it was, each one's own sync tells. */
static bool sync_whole(struct syncer *y, struct sync *list, size_t n)
{
	if (!y || n < WHOLE_LEAST || !syncwhole_may(&y->whole, clock_mono()) || !all_there(y->whole.device, list, n))
		return false;
	bool ok = syncwhole_do(&y->whole, list[0].fd, call_syncfs, NULL);
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
