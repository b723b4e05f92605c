/* SPDX-License-Identifier: Apache-2.0
 * Host services: the files that tables are made of. The core opens them and remembers which they were, so that a change is
 * noticed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "module/host_services.h"
#include "module/hosts.h"
#include "module/instance.h"

/* What tells one state of a file from another. */
static void note_state(struct watched *w, const struct stat *st)
{
	w->missing = false;
	w->device = st->st_dev;
	w->inode = st->st_ino;
	w->size = (uint64_t)st->st_size;
	w->changed = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec;
}

static bool same_state(const struct watched *w, const struct stat *st)
{
	struct watched now = { 0 };
	note_state(&now, st);
	return !w->missing && now.device == w->device && now.inode == w->inode && now.size == w->size &&
	       now.changed == w->changed;
}

/* Remembers the path, once; a missing file too: that it comes is a change. */
static void watch(struct mod_instance *in, const char *path, const struct stat *st)
{
	pthread_mutex_lock(&in->files_lock);
	struct watched *w = in->files;
	while (w && strcmp(w->path, path) != 0)
		w = w->next;
	if (!w) {
		w = ARENA_NEW(in->arena, struct watched);
		w->path = arena_strdup(in->arena, path);
		w->next = in->files;
		in->files = w;
	}
	if (st)
		note_state(w, st);
	else
		w->missing = true;
	pthread_mutex_unlock(&in->files_lock);
}

/* A regular file, and no waiting for the other end of a pipe. */
static bool open_regular(const char *path, int *fd, struct stat *st, struct ost_why *why)
{
	*fd = mod_files()->open(path, why);
	if (*fd < 0)
		return false;
	if (fstat(*fd, st) == 0 && S_ISREG(st->st_mode))
		return true;
	io_close(fd);
	return host_why(why, "not a regular file");
}

int host_file_open(struct ost_instance *instance, const char *path, const char *suffix, struct ost_why *why)
{
	char *full = mem_printf("%s%s", path, suffix ? suffix : "");
	struct stat st;
	struct ost_why inner = { "" };
	int fd;
	bool ok = open_regular(full, &fd, &st, &inner);
	if (!ok)
		host_why(why, "open %s%s: %s", suffix && *suffix ? "database " : "", full, inner.text);
	watch(instance->core, full, ok ? &st : NULL);
	free(full);
	return fd;
}

void mod_files_each(struct mod_instance *in, void (*each)(void *ctx, const char *path), void *ctx)
{
	pthread_mutex_lock(&in->files_lock);
	for (const struct watched *w = in->files; w; w = w->next)
		each(ctx, w->path);
	pthread_mutex_unlock(&in->files_lock);
}

/* The file's state, without opening it where that can be: to close a file gives up the locks that a library may have on it. */
static bool look_at(const char *path, struct stat *st)
{
	int fd;
	if (stat(path, st) == 0 && S_ISREG(st->st_mode))
		return true;
	if (!open_regular(path, &fd, st, NULL))
		return false;
	close(fd);
	return true;
}

bool mod_files_changed(struct mod_instance *in)
{
	bool changed = false;
	pthread_mutex_lock(&in->files_lock);
	for (const struct watched *w = in->files; w && !changed; w = w->next) {
		struct stat st;
		changed = look_at(w->path, &st) ? !same_state(w, &st) : !w->missing;
	}
	pthread_mutex_unlock(&in->files_lock);
	return changed;
}
