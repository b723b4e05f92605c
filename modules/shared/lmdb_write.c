/* SPDX-License-Identifier: Apache-2.0
 * Caches. LMDB is used for writing alone: reading is lmdb_read.h's, which leaves no trace in the file when a
 * process dies. Commits are not synced: what a power cut takes is only a cache's, and what it may damage is
 * looked at before the file is used again. The death of a process harms nothing, and LMDB's lock passes on to
 * others. */
#include "shared/lmdb_write.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/lmdb_read.h"

enum { FIRST_MAP = 16 << 20, CACHE_MODE = 0600 };
static const size_t map_max = sizeof(size_t) > 4 ? (size_t)((uint64_t)1 << 36) : (size_t)1 << 30;

struct lmdb_writer {
	struct lmdb_writer *next;
	const struct ost_host *host;
	unsigned users;
	dev_t device;
	ino_t inode;
	int fd; /* of the file; opened by LMDB */
	MDB_env *env;
	MDB_dbi dbi;
	pthread_mutex_t lock; /* one thread at a time writes, so that the map can be made larger */
};

static pthread_mutex_t writers_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct lmdb_writer *writers; /* LMDB must not open a file twice in one process */

/* ---- opening ------------------------------------------------------------------------------------------------------- */

/* Was the file last written before this system was started? */
static bool from_before_start(const struct stat *st)
{
	struct timespec now, up;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return st->st_mtim.tv_sec <= now.tv_sec - up.tv_sec;
}

/* Can all that is in the file be read, and is it in order? */
static bool is_sound(const struct ost_host *host, int fd)
{
	struct ost_why why;
	struct lmdb_reader *r = lmdb_reader_open(host, fd, &why);
	bool sound = r && lmdb_reader_check(r);
	lmdb_reader_close(r);
	return sound;
}

/* Under the file's lock. */
static bool make_sound(const struct ost_host *host, struct ost_instance *instance, const char *path, int fd,
		       struct ost_why *why)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return host->why(why, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return host->why(why, "%s is not a regular file", path);
	if (st.st_size == 0 || !from_before_start(&st) || is_sound(host, fd))
		return true;
	host->log(instance, OST_LOG_WARNING, "%s was damaged when the system stopped: it starts empty", path);
	return ftruncate(fd, 0) == 0 || host->why(why, "%s: %s", path, strerror(errno));
}

/* LMDB's part; its error, 0: none. */
static int open_env(struct lmdb_writer *w, const char *path)
{
	MDB_txn *txn = NULL;
	int error = mdb_env_create(&w->env);
	if (!error)
		error = mdb_env_set_mapsize(w->env, FIRST_MAP);
	if (!error)
		error = mdb_env_open(w->env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS, CACHE_MODE);
	if (!error)
		error = mdb_env_get_fd(w->env, &w->fd);
	if (!error)
		error = mdb_txn_begin(w->env, NULL, 0, &txn);
	if (!error)
		error = mdb_dbi_open(txn, NULL, 0, &w->dbi);
	if (!error)
		error = mdb_txn_commit(txn); /* of a new file: it has its pages now */
	else if (txn)
		mdb_txn_abort(txn);
	return error;
}

static void free_writer(struct lmdb_writer *w)
{
	if (w->env)
		mdb_env_close(w->env);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* fd: of the file, locked. */
static struct lmdb_writer *new_writer(const struct ost_host *host, const char *path, int fd,
				      struct ost_why *why)
{
	struct stat st;
	struct lmdb_writer *w = calloc(1, sizeof *w);
	if (!w || fstat(fd, &st) < 0) {
		host->why(why, "%s: %s", path, w ? strerror(errno) : "out of memory");
		free(w);
		return NULL;
	}
	*w = (struct lmdb_writer){
		.host = host, .users = 1, .device = st.st_dev, .inode = st.st_ino, .fd = -1
	};
	pthread_mutex_init(&w->lock, NULL);
	int error = open_env(w, path);
	if (!error)
		return w;
	host->why(why, "open database %s: %s", path, mdb_strerror(error));
	free_writer(w);
	return NULL;
}

/* Opens the file, or finds that this process has it open. */
static struct lmdb_writer *find_or_open(const struct ost_host *host, struct ost_instance *instance,
					const char *path, int fd, struct ost_why *why)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return host->why(why, "%s: %s", path, strerror(errno)), NULL;
	for (struct lmdb_writer *w = writers; w; w = w->next) {
		if (w->device == st.st_dev && w->inode == st.st_ino) {
			w->users++;
			return w;
		}
	}
	while (flock(fd, LOCK_EX) <
	       0) /* one process at a time looks whether the file is sound, and makes it */
		if (errno != EINTR)
			return host->why(why, "lock %s: %s", path, strerror(errno)), NULL;
	struct lmdb_writer *w =
		make_sound(host, instance, path, fd, why) ? new_writer(host, path, fd, why) : NULL;
	if (w) {
		w->next = writers;
		writers = w;
	}
	return w;
}

struct lmdb_writer *lmdb_writer_open(const struct ost_host *host, struct ost_instance *instance,
				     const char *path, struct ost_why *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, CACHE_MODE);
	if (fd < 0)
		return host->why(why, "open database %s: %s", path, strerror(errno)), NULL;
	pthread_mutex_lock(&writers_lock);
	struct lmdb_writer *w = find_or_open(host, instance, path, fd, why);
	pthread_mutex_unlock(&writers_lock);
	close(fd); /* with its lock */
	return w;
}

void lmdb_writer_close(struct lmdb_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&writers_lock);
	if (--w->users == 0) {
		struct lmdb_writer **at = &writers;
		while (*at != w)
			at = &(*at)->next;
		*at = w->next;
		free_writer(w);
	}
	pthread_mutex_unlock(&writers_lock);
}

int lmdb_writer_fd(const struct lmdb_writer *w)
{
	return w->fd;
}

/* ---- changes ------------------------------------------------------------------------------------------------------- */

struct change {
	MDB_val key, value;
	bool remove;
};

/* Twice the map, for this process; the others notice. */
static int grow(struct lmdb_writer *w)
{
	MDB_envinfo info;
	mdb_env_info(w->env, &info);
	return info.me_mapsize >= map_max ? MDB_MAP_FULL : mdb_env_set_mapsize(w->env, info.me_mapsize * 2);
}

static int change_once(struct lmdb_writer *w, struct change *c)
{
	MDB_txn *txn;
	int error = mdb_txn_begin(w->env, NULL, 0, &txn);
	if (error)
		return error;
	error = c->remove ? mdb_del(txn, w->dbi, &c->key, NULL) : mdb_put(txn, w->dbi, &c->key, &c->value, 0);
	if (!error)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return error;
}

/* LMDB's error, 0: none. The map is made as large as it has to be. */
static int change(struct lmdb_writer *w, struct change *c)
{
	enum { TRIES = 64 };
	pthread_mutex_lock(&w->lock);
	int error = change_once(w, c);
	for (int i = 0; i < TRIES && (error == MDB_MAP_FULL || error == MDB_MAP_RESIZED); i++) {
		int failed = error == MDB_MAP_FULL ? grow(w) : mdb_env_set_mapsize(w->env, 0);
		error = failed ? failed : change_once(w, c);
		if (failed)
			break;
	}
	pthread_mutex_unlock(&w->lock);
	return error;
}

static enum ost_found failed(const struct lmdb_writer *w, int error, struct ost_why *why)
{
	w->host->why(why, "the database cannot be changed: %s", mdb_strerror(error));
	return OST_TEMPFAIL;
}

enum ost_found lmdb_writer_put(struct lmdb_writer *w, const void *key, size_t klen, const void *value,
			       size_t vlen, struct ost_why *why)
{
	struct change c = { .key = { klen, (void *)(uintptr_t)key },
			    .value = { vlen, (void *)(uintptr_t)value } };
	int error = change(w, &c);
	return error ? failed(w, error, why) : OST_FOUND;
}

enum ost_found lmdb_writer_remove(struct lmdb_writer *w, const void *key, size_t klen, struct ost_why *why)
{
	struct change c = { .key = { klen, (void *)(uintptr_t)key }, .remove = true };
	if (klen == 0 || klen > LMDB_KEY_MAX)
		return OST_NOTFOUND;
	int error = change(w, &c);
	return error == MDB_NOTFOUND ? OST_NOTFOUND : error ? failed(w, error, why) : OST_FOUND;
}
