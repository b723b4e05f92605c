/* SPDX-License-Identifier: Apache-2.0
 * Making a spool's folders and its serial file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "spool/folder.h"
#include "spool/home.h"
#include "spool/scan.h"

enum { SERIAL_GAP = 1 << 20 };

#define FOLDER_NAME_OF(name) #name,
static const char *const names[] = { SPOOL_FOLDERS(FOLDER_NAME_OF) };

/* Makes a folder unless it is there, and the 256 below message/. */
static bool make_folder(int root, const char *name, struct ost_why *why)
{
	char sub[32];
	if (mkdirat(root, name, 0700) != 0 && errno != EEXIST)
		return why_errno(why, "making the folder %s", name);
	for (int i = 0; i < 256 && strcmp(name, "message") == 0; i++) {
		snprintf(sub, sizeof sub, "message/%02X", (unsigned)i);
		if (mkdirat(root, sub, 0700) != 0 && errno != EEXIST)
			return why_errno(why, "making the folder %s", sub);
	}
	int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (!ok)
		why_errno(why, "making the folder %s durable", name);
	io_close(&fd);
	return ok;
}

static bool note_serial(void *ctx, uint64_t serial)
{
	uint64_t *highest = ctx;
	if (serial > *highest)
		*highest = serial;
	return true;
}

static void note_record(void *ctx, const struct record_head *h, const char *bytes, bool foreign)
{
	(void)bytes, (void)foreign;
	note_serial(ctx, h->serial);
}

static void ignore_hole(void *ctx, uint64_t from, const char *bytes, uint64_t len)
{
	(void)ctx, (void)from, (void)bytes, (void)len;
}

/* The highest serial of a message that the spool holds or has lately held. */
static uint64_t highest_serial(struct spool *s)
{
	uint64_t highest = 0;
	struct folder_list list = folder_segments(s, s->journal);
	folder_messages(s, note_serial, &highest);
	for (size_t i = 0; i < list.n; i++) {
		bool own;
		struct segment_header h;
		struct ost_why why;
		int fd = spool_segment_fd(s, list.numbers[i], &own);
		struct scan scan = { .header = &h,
				     .live = true,
				     .from = SEGMENT_HEADER,
				     .record = note_record,
				     .hole = ignore_hole,
				     .ctx = &highest };
		if (fd >= 0 && segment_read_header(fd, &h, &why))
			(void)scan_segment(fd, &scan, &why);
		if (own)
			io_close(&fd);
	}
	free(list.numbers);
	return highest;
}

/* Makes the serial file. When it was lost while messages were there, it starts well beyond what they have. */
static bool make_serial_file(const char *path, int root, struct ost_why *why)
{
	static const struct sys plain = { 0 };
	struct spool *s = spool_open(path, NULL, why);
	if (!s)
		return false;
	uint64_t highest = highest_serial(s);
	spool_close(&s);
	if (highest > 0)
		log_warning("spool: %s/serial was lost: a new one starts beyond what the messages have",
			    path);
	return serial_create(root, &plain, highest ? highest + SERIAL_GAP : 1, why);
}

bool spool_create(const char *path, struct ost_why *why)
{
	if (!io_mkdirs(path, 0700))
		return why_errno(why, "making %s", path);
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return why_errno(why, "%s", path);
	/* One process at a time; the serials are made last: where they are, all is. */
	if (flock(root, LOCK_EX) != 0) {
		why_errno(why, "locking %s", path);
		io_close(&root);
		return false;
	}
	bool ok = faccessat(root, "serial", F_OK, 0) != 0;
	if (!ok) {
		io_close(&root);
		return true;
	}
	for (size_t i = 0; ok && i < sizeof names / sizeof names[0]; i++)
		ok = make_folder(root, names[i], why);
	ok = ok && make_serial_file(path, root, why);
	if (ok && fsync(root) != 0)
		ok = why_errno(why, "making %s durable", path);
	io_close(&root);
	return ok;
}
