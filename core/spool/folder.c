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
	for (const struct dirent *e; d && (e = readdir(d));) {
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

bool folder_messages(struct spool *s, folder_each_fn *each, void *ctx)
{
	bool ok = true, all = true;
	for (unsigned i = 0; ok && i < 256; i++) {
		char name[4];
		snprintf(name, sizeof name, "%02X", i);
		DIR *d = open_folder(s->message, name);
		all = all && d;
		for (const struct dirent *e; d && ok && (e = readdir(d));) {
			uint64_t serial;
			if (queue_id_parse(e->d_name, &serial))
				ok = each(ctx, serial);
			else
				remove_unfinished(s, dirfd(d), e->d_name);
		}
		if (d)
			closedir(d);
	}
	return ok && all;
}
