/* SPDX-License-Identifier: Apache-2.0
 * Every user may put files of any kind into this folder: nothing in it is trusted, not even that it is a file. */
#include "pickup/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

enum { BAD_AFTER = 60, PART_AFTER = 86400, FORGET_AFTER = 3600, FILES_PER_SCAN = 10000 }; /* seconds; files */

/* Removes something that is no submission, and says so. */
static void throw_away(int dir, const char *name, const char *why)
{
	log_warning("maildrop/%.64s: %s: removed", name, why);
	if (unlinkat(dir, name, 0) < 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		log_warning("maildrop/%.64s: %s", name, strerror(errno));
}

/* Keeps something that is broken for the administrator, under a name that is not looked at again. */
static void set_aside(int dir, const char *name, const char *why)
{
	char bad[80];
	snprintf(bad, sizeof bad, "%.64s.bad", name);
	log_warning("maildrop/%.64s: %s: renamed to %s", name, why, bad);
	if (renameat(dir, name, dir, bad) < 0)
		log_warning("maildrop/%.64s: %s", name, strerror(errno));
}

/* Opens a file without following or waiting for anything; -1: it is not to be looked at now, or was thrown away. */
static int open_file(int dir, const char *name, struct stat *st)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ELOOP || errno == ENXIO)
			throw_away(dir, name, "not a regular file");
		else if (errno != ENOENT)
			log_warning("maildrop/%.64s: %s", name, strerror(errno));
		return -1;
	}
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
		throw_away(dir, name, "not a regular file");
	else if (st->st_nlink != 1)
		throw_away(dir, name, "has several links");
	else
		return fd;
	io_close(&fd);
	return -1;
}

/* Feeds the file's records to the intake; false: it has no END. */
static bool feed(struct intake *in, int fd)
{
	struct drop_reader r = { .fd = fd };
	const char *p;
	size_t n;
	enum drop_record got;
	while ((got = drop_read(&r, &p, &n)) == DROP_ENVELOPE || got == DROP_DATA) {
		if (got == DROP_ENVELOPE)
			(void)intake_envelope(in, p, n);
		else
			(void)intake_data(in, p, n);
	}
	drop_reader_free(&r);
	return got == DROP_END;
}

/* One file. */
static void take_in(const struct post *post, int dir, const char *name)
{
	struct stat st;
	struct intake_result result;
	int fd = open_file(dir, name, &st);
	if (fd < 0)
		return;
	struct intake *in = intake_new(post, st.st_uid);
	if (!feed(in, fd)) {
		if (time(NULL) - st.st_mtime > BAD_AFTER)
			set_aside(dir, name, "not a complete submission");
	} else {
		intake_finish(in, name, &result);
		if (result.status == EX_OK) {
			if (unlinkat(dir, name, 0) < 0)
				log_warning("maildrop/%s: remove: %s", name, strerror(errno));
		} else if (result.status != EX_TEMPFAIL) {
			set_aside(dir, name, result.reason);
		} else {
			log_warning("maildrop/%s: %s: will try again", name, result.reason);
		}
	}
	intake_free(&in);
	io_close(&fd);
}

/* A file that somebody began to write and never finished. */
static void old_part(int dir, const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - st.st_mtime > PART_AFTER)
		throw_away(dir, name, "was never finished");
}

void maildrop_scan(const struct post *post, const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		if (errno != ENOENT)
			log_warning("%s: %s", folder, strerror(errno));
		io_close(&fd);
		return;
	}
	struct dirent *entry;
	for (int files = 0; files < FILES_PER_SCAN && (entry = readdir(d));) {
		size_t len = strlen(entry->d_name);
		if (drop_name_valid(entry->d_name)) {
			files++;
			take_in(post, dirfd(d), entry->d_name);
		} else if (len > 5 && strcmp(entry->d_name + len - 5, ".part") == 0) {
			old_part(dirfd(d), entry->d_name);
		}
	}
	closedir(d);
}

struct gone {
	struct spool *spool;
	int dir;
};

static void forget_if_gone(void *ctx, const char *name)
{
	const struct gone *g = ctx;
	struct stat st;
	if (fstatat(g->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		spool_named_forget(g->spool, name);
}

void maildrop_forget_gone(struct spool *spool, const char *folder)
{
	struct gone g = { .spool = spool, .dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	/* A young one may be of a sendmail(1) that lost its link to us, and is about to write the file. */
	time_t before = time(NULL) - FORGET_AFTER;
	/* Durable first: a removal that a power cut undoes would bring the file back. */
	if (g.dir >= 0 && fsync(g.dir) == 0)
		spool_named_each(spool, before, forget_if_gone, &g);
	io_close(&g.dir);
}
