/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "config.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/magic.h"
#include "base/mem.h"
#include "spool/home.h"

enum { MIN_INODES = 100, MOVE_INODES = 50, NEAR = 8, RESULT_SEGMENTS_MAX = 100000 };

/* What spool/README.md says. */
static const struct spool_options defaults = {
	.segment_size = 8 * 1024 * 1024,
	.segment_count = 32,
	.file_threshold = 256 * 1024,
	.memory_budget = 64 * 1024 * 1024,
	.min_free = 32 * 1024 * 1024,
	.update_limit = 128 * 1024,
};
enum { RESULT_SEGMENT_SIZE = 1024 * 1024 };

#define FOLDER_MEMBER(name)  offsetof(struct spool, name),
#define FOLDER_NAME_OF(name) #name,
static const size_t folder_members[] = { SPOOL_FOLDERS(FOLDER_MEMBER) };
static const char *const folder_names[] = { SPOOL_FOLDERS(FOLDER_NAME_OF) };
enum { FOLDERS = sizeof folder_names / sizeof folder_names[0] };

static int *folder_fd(struct spool *s, size_t i)
{
	return (int *)(void *)((char *)s + folder_members[i]);
}

/* Zeros become the defaults, and sizes what the format wants. */
static void fill_options(struct spool_options *o)
{
	o->segment_size = o->segment_size ? o->segment_size : defaults.segment_size;
	o->segment_count = o->segment_count ? o->segment_count : defaults.segment_count;
	o->file_threshold = o->file_threshold ? o->file_threshold : defaults.file_threshold;
	o->memory_budget = o->memory_budget ? o->memory_budget : defaults.memory_budget;
	o->min_free = o->min_free > defaults.min_free ? o->min_free : defaults.min_free;
	o->update_limit = o->update_limit ? o->update_limit : defaults.update_limit;
	o->segment_size = round_up(o->segment_size, RECORD_BORDER);
	if (o->segment_size < SEGMENT_MIN)
		o->segment_size = SEGMENT_MIN;
	if (o->segment_size > UINT32_MAX - RECORD_BORDER)
		o->segment_size = 1u << 31;
	if (o->segment_count > UINT16_MAX)
		o->segment_count = UINT16_MAX;
	if (o->file_threshold > o->segment_size / 4)
		o->file_threshold = o->segment_size / 4;
}

/* The spool without its folders. */
static struct spool *new_spool(const char *path, const struct spool_options *options)
{
	struct spool *s = MEM_NEW(struct spool);
	s->magic = SPOOL_MAGIC;
	s->path = mem_strdup(path);
	s->options = options ? *options : (struct spool_options){ 0 };
	s->sys = (struct sys){ .hook = s->options.hook, .ctx = s->options.hook_ctx };
	fill_options(&s->options);
	s->root = -1;
	for (size_t i = 0; i < FOLDERS; i++)
		*folder_fd(s, i) = -1;
	for (int i = 0; i <= SPOOL_FDS; i++)
		s->fds[i] = -1;
	pthread_mutex_init(&s->serial_lock, NULL);
	pthread_mutex_init(&s->room_lock, NULL);
	pthread_rwlock_init(&s->fds_lock, NULL);
	return s;
}

/* Opens the folders. */
static bool open_folders(struct spool *s, struct ost_why *why)
{
	s->root = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0)
		return why_errno(why, "spool %s", s->path);
	for (size_t i = 0; i < FOLDERS; i++) {
		int *fd = folder_fd(s, i);
		*fd = openat(s->root, folder_names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*fd < 0)
			return why_errno(why, "spool %s/%s", s->path, folder_names[i]);
	}
	return true;
}

struct spool *spool_open(const char *path, const struct spool_options *options, struct ost_why *why)
{
	struct spool *s = new_spool(path, options);
	sum_prepare();
	bool ok = open_folders(s, why);
	if (!ok)
		spool_close(&s);
	if (!s)
		return NULL;
	s->journal_family = (struct segment_family){
		.sys = &s->sys,
		.dir = s->journal,
		.kind = SEGMENT_JOURNAL,
		.size = s->options.segment_size,
		.count = (uint32_t)s->options.segment_count,
		.reserve = s->options.min_free,
	};
	s->results_family = (struct segment_family){
		.sys = &s->sys,
		.dir = s->results,
		.kind = SEGMENT_RESULTS,
		.size = RESULT_SEGMENT_SIZE,
		.count = RESULT_SEGMENTS_MAX,
	};
	syncwhole_allow(&s->whole, s->path);
	return s;
}

void spool_close(struct spool **sp)
{
	struct spool *s = *sp;
	if (!s)
		return;
	CHECK_MAGIC(s, SPOOL_MAGIC);
	for (size_t i = 0; i < FOLDERS; i++)
		io_close(folder_fd(s, i));
	for (int i = 0; i <= SPOOL_FDS; i++)
		io_close(&s->fds[i]);
	io_close(&s->root);
	pthread_mutex_destroy(&s->serial_lock);
	pthread_mutex_destroy(&s->room_lock);
	pthread_rwlock_destroy(&s->fds_lock);
	free(s->path);
	s->magic = 0;
	free(s);
	*sp = NULL;
}

const char *spool_path(const struct spool *s)
{
	CHECK_MAGIC(s, SPOOL_MAGIC);
	return s->path;
}

enum spool_outcome spool_outcome_of_errno(int error)
{
	return error == ENOSPC || error == EDQUOT ? SPOOL_NO_SPACE : SPOOL_FAILED;
}

/* Asks the file system, unless it was asked within the last second and had plenty. Called with the lock held.
 */
static void look_for_room(struct spool *s)
{
	struct statvfs v;
	int64_t now = clock_mono();
	if (s->room_known && !s->room_near && now - s->room_looked < CLOCK_SECOND)
		return;
	s->room_known = fstatvfs(s->root, &v) == 0;
	s->room_looked = now;
	if (!s->room_known)
		return;
	s->room_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	s->room_near = s->room_bytes / NEAR < s->options.min_free ||
		       (v.f_files > 0 && v.f_favail / NEAR < MIN_INODES);
	s->room_inodes =
		v.f_files == 0 || v.f_favail >= MIN_INODES; /* 0: a file system that does not count them */
}

enum spool_outcome spool_has_room(struct spool *s, uint64_t size)
{
	CHECK_MAGIC(s, SPOOL_MAGIC);
	pthread_mutex_lock(&s->room_lock);
	look_for_room(s);
	uint64_t reserve = s->options.min_free;
	enum spool_outcome outcome = SPOOL_STORED;
	if (!s->room_known)
		outcome = SPOOL_FAILED;
	else if (!s->room_inodes || s->room_bytes < reserve || s->room_bytes - reserve < size)
		outcome = SPOOL_NO_SPACE;
	pthread_mutex_unlock(&s->room_lock);
	return outcome;
}

bool spool_may_move(struct spool *s)
{
	struct statvfs v;
	return fstatvfs(s->root, &v) != 0 || v.f_files == 0 || v.f_favail >= MOVE_INODES;
}

/* The descriptor of a segment that is open already, or -1. */
static int known_fd(struct spool *s, uint32_t number)
{
	pthread_rwlock_rdlock(&s->fds_lock);
	int fd = s->fds[number];
	pthread_rwlock_unlock(&s->fds_lock);
	return fd;
}

int spool_segment_fd(struct spool *s, uint32_t number, bool *own)
{
	char name[SEGMENT_NAME];
	bool keep = number <= SPOOL_FDS;
	int known = keep ? known_fd(s, number) : -1;
	*own = false;
	if (known >= 0)
		return known;
	int fd = openat(s->journal, segment_name(name, number), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !keep) {
		*own = true;
		return fd;
	}
	pthread_rwlock_wrlock(&s->fds_lock);
	if (s->fds[number] >= 0)
		io_close(&fd);
	else
		s->fds[number] = fd;
	fd = s->fds[number];
	pthread_rwlock_unlock(&s->fds_lock);
	return fd;
}
