/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/segment.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

#define SEGMENT_MAGIC 0x4753544fu /* "OTSG" */
enum { COPY_AT = 2048, ZERO_CHUNK = 1024 * 1024, FORMAT = 1 };

/* The header as it lies on disk. */
struct wire {
	uint32_t magic, format, kind, number;
	uint64_t size, epoch, end, sequence;
	uint32_t state, spare;
	unsigned char salt[16];
	uint64_t sum[2];
};
enum { SUMMED = offsetof(struct wire, sum) };

char *segment_name(char name[SEGMENT_NAME], uint32_t number)
{
	snprintf(name, SEGMENT_NAME, "%08u", number);
	return name;
}

bool segment_parse_name(const char *name, uint32_t *number)
{
	char again[SEGMENT_NAME];
	*number = (uint32_t)strtoul(name, NULL, 10);
	return *number > 0 && strcmp(segment_name(again, *number), name) == 0;
}

static void wire_put(struct wire *w, const struct segment_header *h)
{
	*w = (struct wire){
		.magic = htole32(SEGMENT_MAGIC),
		.format = htole32(FORMAT),
		.kind = htole32(h->kind),
		.number = htole32(h->number),
		.size = htole64(h->size),
		.epoch = htole64(h->epoch),
		.end = htole64(h->end),
		.sequence = htole64(h->sequence),
		.state = htole32(h->state),
	};
	memcpy(w->salt, h->salt.bytes, sizeof w->salt);
	struct sum s = sum_bytes(SEGMENT_MAGIC, w, SUMMED);
	w->sum[0] = htole64(s.lo);
	w->sum[1] = htole64(s.hi);
}

static bool wire_get(const struct wire *w, struct segment_header *h)
{
	struct sum s = sum_bytes(SEGMENT_MAGIC, w, SUMMED);
	if (le32toh(w->magic) != SEGMENT_MAGIC || le64toh(w->sum[0]) != s.lo || le64toh(w->sum[1]) != s.hi ||
	    le32toh(w->format) != FORMAT)
		return false;
	*h = (struct segment_header){
		.kind = le32toh(w->kind),
		.number = le32toh(w->number),
		.size = le64toh(w->size),
		.epoch = le64toh(w->epoch),
		.end = le64toh(w->end),
		.sequence = le64toh(w->sequence),
		.state = le32toh(w->state),
	};
	memcpy(h->salt.bytes, w->salt, sizeof w->salt);
	return h->size >= SEGMENT_MIN && h->size % RECORD_BORDER == 0 && h->size <= UINT32_MAX;
}

bool segment_read_header(int fd, struct segment_header *h, struct ost_why *why)
{
	char page[SEGMENT_HEADER];
	if (!io_pread_full(fd, page, sizeof page, 0))
		return why_errno(why, "reading a segment's header");
	struct segment_header copy[2];
	bool good[2];
	for (int i = 0; i < 2; i++) {
		struct wire w;
		memcpy(&w, page + i * COPY_AT, sizeof w);
		good[i] = wire_get(&w, &copy[i]);
	}
	if (!good[0] && !good[1])
		return why_set(why, "both copies of the segment's header are damaged");
	*h = copy[good[1] && (!good[0] || copy[1].epoch > copy[0].epoch)];
	return true;
}

bool segment_header_lost(int fd)
{
	char page[SEGMENT_HEADER];
	return io_pread_full(fd, page, sizeof page, 0) || errno == 0; /* 0: the file is too short */
}

bool segment_read_settled(int fd, struct segment_header *h, bool *locked, struct ost_why *why)
{
	/* The lock is taken before the header says USED, and let go after its last change: so the header
	 * first, to know that there was a writer, then the lock, to know that it is gone, then the header
	 * again, as it left it. */
	bool ok = segment_read_header(fd, h, why);
	*locked = sys_locked_by_other(fd);
	return ok && (*locked || h->state != SEGMENT_USED || segment_read_header(fd, h, why));
}

/* Writes the header to the copy whose turn it is. */
static bool write_header(const struct segment_family *f, int fd, struct segment_header *h)
{
	struct wire w;
	h->epoch++;
	wire_put(&w, h);
	return sys_pwrite(f->sys, fd, &w, sizeof w, h->epoch % 2 ? COPY_AT : 0);
}

/* Writes the header to both copies, the second when the first is durable (and itself durable with the next
 * sync): what damages one of them later costs nothing then. */
static bool write_both(const struct segment_family *f, int fd, struct segment_header *h)
{
	return write_header(f, fd, h) && sys_datasync(f->sys, fd) && write_header(f, fd, h);
}

/* Fills a new file with zeros, so that later syncs have no allocation to write. */
static bool write_zeros(const struct segment_family *f, int fd)
{
	char *zeros = mem_zalloc(ZERO_CHUNK);
	bool ok = true;
	for (uint64_t at = 0; ok && at < f->size; at += ZERO_CHUNK) {
		uint64_t n = f->size - at < ZERO_CHUNK ? f->size - at : ZERO_CHUNK;
		ok = sys_pwrite(f->sys, fd, zeros, (size_t)n, at);
	}
	int error = errno;
	free(zeros);
	errno = error;
	return ok;
}

/* Which outcome an errno value is. */
static enum segment_got failed(struct ost_why *why, const char *what, const char *name)
{
	enum segment_got got = errno == ENOSPC || errno == EDQUOT ? SEGMENT_NO_SPACE : SEGMENT_ERROR;
	why_errno(why, "%s segment %s", what, name);
	return got;
}

/* Would a new one leave the reserve alone? */
static bool has_room(const struct segment_family *f)
{
	struct statvfs v;
	if (f->reserve == 0 || fstatvfs(f->dir, &v) != 0)
		return true;
	uint64_t free = (uint64_t)v.f_bavail * v.f_frsize;
	return free >= f->size && free - f->size >= f->reserve;
}

/* Makes a new segment, under another name until it is whole. The lock is held from the beginning. */
static enum segment_got make(const struct segment_family *f, uint32_t number, struct segment *s,
			     struct ost_why *why)
{
	char name[SEGMENT_NAME], fresh[SEGMENT_NAME + 16];
	uint32_t maker = 0;
	/* A name that is this maker's alone: what is linked below is the file that we hold, and no other's.
	 */
	if (getrandom(&maker, sizeof maker, 0) != (ssize_t)sizeof maker)
		return failed(why, "naming", segment_name(name, number));
	snprintf(fresh, sizeof fresh, "%s.%08x.new", segment_name(name, number), (unsigned)maker);
	int fd = sys_create(f->sys, f->dir, fresh, true);
	if (fd < 0)
		return failed(why, "creating", name);
	struct segment_header h = {
		.kind = f->kind, .number = number, .size = f->size, .state = SEGMENT_USED
	};
	bool ok = sys_lock(fd) && salt_draw(&h.salt) && write_zeros(f, fd) && write_header(f, fd, &h) &&
		  write_header(f, fd, &h) && sys_fsync(f->sys, fd) &&
		  sys_link(f->sys, f->dir, fresh, f->dir, name);
	/* EEXIST: made by somebody else since we looked: never replace it. EAGAIN, EACCES, ENOENT: the keeper
	 * took our file for a dead writer's in the moment before the lock. */
	bool raced = !ok && (errno == EEXIST || errno == ENOENT || errno == EAGAIN || errno == EACCES);
	enum segment_got got = ok || raced ? SEGMENT_NONE_FREE : failed(why, "making", name);
	bool gone = sys_unlink(f->sys, f->dir, fresh) || (raced && errno == ENOENT);
	if (!gone || (ok && !sys_sync_folder(f->sys, f->dir))) {
		got = failed(why, "making", name);
		ok = false;
	}
	if (!ok) {
		io_close(&fd);
		return got;
	}
	*s = (struct segment){ .fd = fd, .identity = sys_identity(fd), .header = h, .tail = SEGMENT_HEADER };
	return SEGMENT_GOT;
}

/* May this segment be taken by us, who hold its lock? */
static bool is_free(const struct segment_family *f, int fd, uint32_t number, struct segment_header *h)
{
	struct stat st;
	return segment_read_header(fd, h, NULL) && h->state == SEGMENT_FREE && h->kind == f->kind &&
	       h->number == number && fstat(fd, &st) == 0 && st.st_nlink > 0 &&
	       (uint64_t)st.st_size >= h->size;
}

/* Takes one segment if it is there and free. */
static enum segment_got take_one(const struct segment_family *f, uint32_t number, struct segment *s,
				 bool *missing, struct ost_why *why)
{
	char name[SEGMENT_NAME];
	int fd = openat(f->dir, segment_name(name, number), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		sys_check_folder();
	*missing = fd < 0 && errno == ENOENT;
	if (*missing)
		return SEGMENT_NONE_FREE;
	if (fd < 0)
		return failed(why, "opening", name);
	struct segment_header h;
	enum segment_got got = SEGMENT_NONE_FREE;
	if (sys_lock(fd) && is_free(f, fd, number, &h)) {
		h.state = SEGMENT_USED;
		h.end = h.sequence = 0;
		if (write_both(f, fd, &h)) {
			*s = (struct segment){
				.fd = fd, .identity = sys_identity(fd), .header = h, .tail = SEGMENT_HEADER
			};
			return SEGMENT_GOT;
		}
		got = failed(why, "taking", name);
	}
	io_close(&fd);
	return got;
}

/* Looks for a free one among [from, to]. Stops at the first number that is not there: numbers have no holes
 * but those that make() fills. Answers the outcome, and the missing number, if any. */
static enum segment_got take_between(const struct segment_family *f, uint32_t from, uint32_t to,
				     struct segment *s, uint32_t *missing_number, struct ost_why *why)
{
	enum segment_got worst = SEGMENT_NONE_FREE;
	for (uint32_t number = from; number <= to; number++) {
		bool missing;
		enum segment_got got = take_one(f, number, s, &missing, why);
		if (got == SEGMENT_GOT)
			return got;
		if (missing) {
			*missing_number = number;
			break;
		}
		if (got > worst)
			worst = got;
	}
	return worst;
}

/* Makes the first one from this number on that is not there. */
static enum segment_got make_from(const struct segment_family *f, uint32_t number, struct segment *s,
				  struct ost_why *why)
{
	char name[SEGMENT_NAME];
	for (; number > 0 && number <= f->count && has_room(f); number++) {
		if (faccessat(f->dir, segment_name(name, number), F_OK, 0) == 0)
			continue;
		enum segment_got got = make(f, number, s, why);
		if (got != SEGMENT_NONE_FREE)
			return got;
	}
	return SEGMENT_NONE_FREE;
}

enum segment_got segment_take(const struct segment_family *f, uint32_t *next, struct segment *s,
			      struct ost_why *why)
{
	uint32_t missing = 0;
	enum segment_got got = take_between(f, *next + 1, f->count, s, &missing, why);
	if (got != SEGMENT_GOT)
		got = take_between(f, 1, *next, s, &missing, why);
	if (got == SEGMENT_NONE_FREE && missing)
		got = make_from(f, missing, s, why);
	if (got == SEGMENT_GOT)
		*next = s->header.number % f->count;
	return got;
}

void segment_close(const struct segment_family *f, struct segment *s)
{
	if (s->fd < 0)
		return;
	s->header.end = s->tail;
	s->header.sequence = s->sequence;
	(void)write_header(f, s->fd, &s->header);
	io_close(&s->fd);
}

bool segment_cut(const struct segment_family *f, struct segment *s, struct ost_why *why)
{
	s->header.end = s->tail;
	s->header.sequence = s->sequence;
	bool ok = write_header(f, s->fd, &s->header) && sys_datasync(f->sys, s->fd);
	if (!ok)
		why_errno(why, "closing segment %u before a batch that failed", s->header.number);
	io_close(&s->fd);
	return ok;
}

bool segment_recycle(const struct segment_family *f, int fd, struct segment_header *h, struct ost_why *why)
{
	struct flock unlock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	if (!sys_lock(fd))
		return why_set(why, "segment %u is in use", h->number);
	bool ok = segment_read_header(fd, h, why);
	if (ok) { /* a free one as well: its last recycling may have failed half way */
		h->state = SEGMENT_FREE;
		h->end = h->sequence = 0;
		ok = salt_draw(&h->salt) && write_both(f, fd, h);
		if (!ok)
			why_errno(why, "recycling segment %u", h->number);
	}
	(void)fcntl(fd, F_OFD_SETLK, &unlock);
	return ok;
}

bool segment_discard(const struct segment_family *f, int fd, const struct segment_header *h,
		     struct ost_why *why)
{
	char name[SEGMENT_NAME];
	if (!sys_lock(fd)) /* who has opened it and waits for the lock sees that it has no name any more */
		return why_set(why, "segment %u is in use", h->number);
	return sys_unlink(f->sys, f->dir, segment_name(name, h->number)) ||
	       why_errno(why, "removing segment %u", h->number);
}
