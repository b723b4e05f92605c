/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACTS_MAX = 4096, BLOCK = 4096, PATH_MAX_ = 256 };
#define BYTES_MAX ((size_t)256 << 20)

struct act { /* one step that is not synced */
	enum sys_step step;
	bool open;                           /* not synced yet */
	uint64_t inode;                      /* of the file; of the folder for names */
	char path[PATH_MAX_], to[PATH_MAX_]; /* the file, or the name; RENAME, LINK: the new name */
	char old[PATH_MAX_];                 /* RENAME: the file that had the new name, kept; or empty */
	uint64_t at, len, size;              /* WRITE, TRUNCATE: what it covers, and the file's size before */
	size_t bytes;                        /* the old content, as an offset in the store */
};

struct disk {
	pthread_mutex_t lock; /* guards all of it in the child */
	char keep[PATH_MAX_]; /* a folder where unlinked files stay */
	enum disk_end end;
	unsigned n, steps;
	bool reached;
	size_t nacts, used;
	struct act acts[ACTS_MAX];
	char bytes[];
};

struct disk *disk_new(const char *spool)
{
	struct disk *d = mmap(NULL, sizeof *d + BYTES_MAX, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(d != MAP_FAILED);
	pthread_mutex_init(&d->lock, NULL);
	snprintf(d->keep, sizeof d->keep, "%s/keep", spool);
	assert(mkdir(d->keep, 0700) == 0);
	return d;
}

void disk_free(struct disk **dp)
{
	munmap(*dp, sizeof **dp + BYTES_MAX);
	*dp = NULL;
}

void disk_arm(struct disk *d, enum disk_end end, unsigned n)
{
	pthread_mutex_init(&d->lock, NULL); /* whoever held it is dead */
	d->end = end;
	d->n = n;
	d->steps = 0;
	d->reached = false;
}

unsigned disk_steps(const struct disk *d)
{
	return d->steps;
}

bool disk_reached(const struct disk *d)
{
	return d->reached;
}

/* The path of an open file or folder, and of a name in it. */
static void path_of(char path[PATH_MAX_], int fd, const char *name)
{
	char link[64], folder[PATH_MAX_ / 2];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, folder, sizeof folder - 1);
	assert(n > 0);
	folder[n] = '\0';
	static const char linked[] = ".new (deleted)"; /* made under this name, and linked to its own since */
	size_t tail = sizeof linked - 1;
	if ((size_t)n > tail && strcmp(folder + (size_t)n - tail, linked) == 0)
		folder[(size_t)n - tail] = '\0';
	if (name)
		snprintf(path, PATH_MAX_, "%s/%.100s", folder, name);
	else
		snprintf(path, PATH_MAX_, "%s", folder);
}

static uint64_t inode_of(int fd)
{
	struct stat st;
	assert(fstat(fd, &st) == 0);
	return st.st_ino;
}

/* The folder that a name is in: message/XX for "XX/ID". */
static uint64_t folder_of(const char *path)
{
	char folder[PATH_MAX_];
	struct stat st;
	snprintf(folder, sizeof folder, "%s", path);
	*strrchr(folder, '/') = '\0';
	assert(stat(folder, &st) == 0);
	return st.st_ino;
}

/* The old content of what is about to change. */
static void note_content(struct disk *d, struct act *a, int fd, uint64_t at, uint64_t len)
{
	struct stat st;
	assert(fstat(fd, &st) == 0);
	path_of(a->path, fd, NULL);
	a->inode = st.st_ino;
	a->size = (uint64_t)st.st_size;
	a->at = at;
	a->len = len;
	a->bytes = d->used;
	assert(d->used + len <= BYTES_MAX);
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd); /* the descriptor may be for writing alone */
	int again = open(link, O_RDONLY);
	ssize_t n = len ? pread(again, d->bytes + d->used, len, (off_t)at) : 0;
	assert(n >= 0);
	close(again);
	memset(d->bytes + d->used + n, 0, len - (size_t)n);
	d->used += len;
}

/* Files that were unlinked under another name keep their writes' paths good. */
static void note_unlink(struct disk *d, struct act *a, const struct sys_call *c)
{
	path_of(a->path, c->fd, c->name);
	a->inode = folder_of(a->path);
	snprintf(a->to, sizeof a->to, "%.200s/%u", d->keep, d->steps);
	if (linkat(AT_FDCWD, a->path, AT_FDCWD, a->to, 0) != 0)
		a->open = false; /* there is none */
}

static void note(struct disk *d, const struct sys_call *c)
{
	assert(d->nacts < ACTS_MAX);
	struct act *a = &d->acts[d->nacts++];
	*a = (struct act){ .step = c->step, .open = true };
	switch (c->step) {
	case SYS_WRITE:
		note_content(d, a, c->fd, c->at, c->len);
		break;
	case SYS_TRUNCATE: {
		struct stat st;
		assert(fstat(c->fd, &st) == 0);
		note_content(d, a, c->fd, c->at,
			     (uint64_t)st.st_size > c->at ? (uint64_t)st.st_size - c->at : 0);
		break;
	}
	case SYS_CREATE:
		path_of(a->path, c->fd, c->name);
		a->inode = folder_of(a->path);
		break;
	case SYS_RENAME:
	case SYS_LINK:
		path_of(a->path, c->fd, c->name);
		path_of(a->to, c->to_fd, c->to);
		a->inode = folder_of(a->to);
		snprintf(a->old, sizeof a->old, "%.200s/%u", d->keep, d->steps);
		if (c->step != SYS_RENAME || linkat(AT_FDCWD, a->to, AT_FDCWD, a->old, 0) != 0)
			a->old[0] = '\0';
		break;
	case SYS_UNLINK:
		note_unlink(d, a, c);
		break;
	case SYS_SYNC:
	case SYS_SYNC_FOLDER:
	case SYS_SYNC_WHOLE:
		break;
	}
}

static bool is_content(const struct act *a)
{
	return a->step == SYS_WRITE || a->step == SYS_TRUNCATE;
}

/* A sync: what it covers stays from now on. */
static void keep(struct disk *d, const struct sys_call *c)
{
	uint64_t inode = inode_of(c->fd);
	d->nacts--; /* the sync itself is nothing to be undone */
	for (size_t i = 0; i < d->nacts; i++)
		if (c->step == SYS_SYNC_WHOLE ||
		    (d->acts[i].inode == inode && is_content(&d->acts[i]) == (c->step == SYS_SYNC)))
			d->acts[i].open = false;
	while (d->nacts > 0 && !d->acts[d->nacts - 1].open)
		d->nacts--;
}

/* What happens at the nth step. 0: go on. */
static int strike(struct disk *d, const struct sys_call *c)
{
	d->reached = true;
	switch (d->end) {
	case DISK_FAIL:
		return d->steps == d->n ? EIO : 0;
	case DISK_FULL:
		return c->step == SYS_WRITE || c->step == SYS_CREATE || c->step == SYS_LINK ? ENOSPC : 0;
	case DISK_TORN:
		if (c->step == SYS_WRITE)
			return SYS_TORN;
		break;
	default:
		break;
	}
	raise(SIGKILL);
	return 0;
}

int disk_hook(void *ctx, const struct sys_call *c)
{
	struct disk *d = ctx;
	pthread_mutex_lock(&d->lock);
	int answer = 0;
	d->steps++;
	if (d->n > 0 && d->steps >= d->n)
		answer = strike(d, c);
	if (answer <= 0)
		note(d, c);
	if (answer == 0 && (c->step == SYS_SYNC || c->step == SYS_SYNC_FOLDER || c->step == SYS_SYNC_WHOLE))
		keep(d, c);
	if (answer != SYS_TORN) /* dying: nobody else does anything */
		pthread_mutex_unlock(&d->lock);
	return answer;
}

/* ---- the parent's part ----------------------------------------------------------------------- */

static bool chance(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16 & 1;
}

/* Puts old content back, block by block. */
static void undo_write(struct disk *d, const struct act *a, bool some, unsigned *seed)
{
	int fd = open(a->path, O_RDWR);
	bool all = true;
	if (fd < 0) /* gone under this name: nobody sees it */
		return;
	if (inode_of(fd) != a->inode) { /* another file has the name now */
		close(fd);
		return;
	}
	for (uint64_t at = 0; at < a->len;) {
		uint64_t n = BLOCK - (a->at + at) % BLOCK;
		n = n < a->len - at ? n : a->len - at;
		if (some && chance(seed))
			all = false;
		else
			assert(pwrite(fd, d->bytes + a->bytes + at, n, (off_t)(a->at + at)) == (ssize_t)n);
		at += n;
	}
	if (all)
		assert(ftruncate(fd, (off_t)a->size) == 0);
	close(fd);
}

static void undo(struct disk *d, const struct act *a, bool some, unsigned *seed)
{
	if (is_content(a)) {
		undo_write(d, a, some, seed);
		return;
	}
	if (some && chance(seed))
		return;
	if (a->step == SYS_CREATE) {
		unlink(a->path);
	} else if (a->step == SYS_LINK) {
		unlink(a->to);
	} else if (a->step == SYS_RENAME) {
		(void)!rename(a->to, a->path);
		if (a->old[0])
			(void)!link(a->old, a->to);
	} else if (a->step == SYS_UNLINK) {
		(void)!link(a->to, a->path);
	}
}

void disk_cut(struct disk *d, unsigned seed)
{
	bool some = d->end == DISK_SOME || d->end == DISK_FAIL;
	bool cut = some || d->end == DISK_CUT;
	for (size_t i = d->nacts; cut && i-- > 0;)
		if (d->acts[i].open)
			undo(d, &d->acts[i], some, &seed);
	for (unsigned i = 0; i <= d->steps; i++) {
		char path[PATH_MAX_];
		snprintf(path, sizeof path, "%.200s/%u", d->keep, i);
		unlink(path);
	}
	d->nacts = d->used = 0;
}
