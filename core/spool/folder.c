/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/file.h"

enum { AHEAD = 128, AHEAD_BYTES = 16 * 1024 };

/* A stream of its own over an open folder. */
static DIR *open_folder(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		log_error("spool: reading the folder %s: errno %d", name, errno);
		io_close(&fd);
	}
	return d;
}

/* The next name; NULL at the end, or when the folder cannot be read on. */
static const struct dirent *next_name(DIR *d, bool *failed)
{
	errno = 0;
	const struct dirent *e = readdir(d);
	if (!e && errno) {
		*failed = true;
		log_error("spool: reading a folder: errno %d", errno);
	}
	return e;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* A file that somebody was making under another name: removed when he is gone. */
static void remove_unfinished(struct spool *s, int dir, const char *name)
{
	size_t len = strlen(name);
	if (len < 4 || strcmp(name + len - 4, ".new") != 0)
		return;
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && sys_lock(fd))
		(void)sys_unlink(&s->sys, dir, name);
	io_close(&fd);
}

struct folder_list folder_segments(struct spool *s, int dir)
{
	struct folder_list list = { 0 };
	size_t cap = 0;
	DIR *d = open_folder(dir, ".");
	list.failed = !d;
	for (const struct dirent *e; d && (e = next_name(d, &list.failed));) {
		uint32_t number;
		if (!segment_parse_name(e->d_name, &number)) {
			remove_unfinished(s, dir, e->d_name);
			continue;
		}
		if (list.n == cap) {
			cap = cap * 2 + 16;
			list.numbers = mem_realloc_array(list.numbers, cap, sizeof *list.numbers);
		}
		list.numbers[list.n++] = number;
	}
	if (d)
		closedir(d);
	if (list.n > 0)
		qsort(list.numbers, list.n, sizeof *list.numbers, by_number);
	return list;
}

/* ---- message files --------------------------------------------------------------------------- */

struct serial_list {
	uint64_t *items;
	size_t n, cap;
};

static int by_serial(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* The messages of one folder. In the order in which they were made: so do their inodes, and mostly their
 * blocks, lie on the disk. */
static bool list_messages(struct spool *s, unsigned folder, struct serial_list *list)
{
	char name[4];
	snprintf(name, sizeof name, "%02X", folder);
	DIR *d = open_folder(s->message, name);
	bool failed = !d;
	list->n = 0;
	for (const struct dirent *e; d && (e = next_name(d, &failed));) {
		uint64_t serial;
		if (!queue_id_parse(e->d_name, &serial)) {
			remove_unfinished(s, dirfd(d), e->d_name);
			continue;
		}
		if (list->n == list->cap) {
			list->cap = list->cap * 2 + 256;
			list->items = mem_realloc_array(list->items, list->cap, sizeof *list->items);
		}
		list->items[list->n++] = serial;
	}
	if (d)
		closedir(d);
	if (list->n > 0)
		qsort(list->items, list->n, sizeof *list->items, by_serial);
	return !failed;
}

/* Has the disk read the beginning of a file; does not wait for it. */
static void read_ahead(struct spool *s, uint64_t serial)
{
	char name[FILE_NAME];
	int fd = openat(s->message, file_name(name, serial), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0)
		(void)posix_fadvise(fd, 0, AHEAD_BYTES, POSIX_FADV_WILLNEED);
	io_close(&fd);
}

/* All message files, with so many asked for in advance. */
static bool walk_messages(struct spool *s, size_t ahead, folder_each_fn *each, void *ctx)
{
	bool on = true, all = true;
	struct serial_list list = { 0 };
	for (unsigned folder = 0; on && folder < 256; folder++) {
		all = list_messages(s, folder, &list) && all;
		for (size_t i = 0; i < ahead && i < list.n; i++)
			read_ahead(s, list.items[i]);
		for (size_t i = 0; on && i < list.n; i++) {
			if (ahead > 0 && i + ahead < list.n)
				read_ahead(s, list.items[i + ahead]);
			on = each(ctx, list.items[i]);
		}
	}
	free(list.items);
	return on && all;
}

bool folder_messages(struct spool *s, folder_each_fn *each, void *ctx)
{
	return walk_messages(s, 0, each, ctx);
}

bool folder_messages_ahead(struct spool *s, folder_each_fn *each, void *ctx)
{
	return walk_messages(s, AHEAD, each, ctx);
}
