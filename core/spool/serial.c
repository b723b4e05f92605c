/* SPDX-License-Identifier: Apache-2.0
 * Serials. The file `serial` holds, twice, the first number that no process has reserved. A process reserves
 * a block by moving that number on, durably, under the file's lock; what it does not use of its block is
 * never used. A copy that is damaged may have been the later one: then numbers go on well beyond the other. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "spool/home.h"

enum { BLOCK = 4096, COPY_AT = 2048, FILE_SIZE = 4096, GAP = 1 << 20 };
#define SERIAL_MAGIC UINT64_C(0x314c52534c54534f) /* "OSTLSRL1" */

struct wire {
	uint64_t magic, next, sum[2];
};

static void wire_put(struct wire *w, uint64_t next)
{
	*w = (struct wire){ .magic = htole64(SERIAL_MAGIC), .next = htole64(next) };
	struct sum s = sum_bytes(SERIAL_MAGIC, w, offsetof(struct wire, sum));
	w->sum[0] = htole64(s.lo);
	w->sum[1] = htole64(s.hi);
}

static bool wire_get(const struct wire *w, uint64_t *next)
{
	struct sum s = sum_bytes(SERIAL_MAGIC, w, offsetof(struct wire, sum));
	*next = le64toh(w->next);
	return le64toh(w->magic) == SERIAL_MAGIC && le64toh(w->sum[0]) == s.lo && le64toh(w->sum[1]) == s.hi;
}

/* Waits for the lock: it is held for one small write and sync. */
static bool lock_and_wait(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int done;
	while ((done = fcntl(fd, F_OFD_SETLKW, &lock)) != 0 && errno == EINTR)
		;
	return done == 0;
}

/* The number in the file: the higher good copy, or one beyond it when the other is damaged. *turn: the copy that is to be
 * written first. */
static bool read_next(int fd, uint64_t *next, int *turn, struct ost_why *why)
{
	char page[FILE_SIZE];
	uint64_t copy[2];
	bool good[2];
	if (!io_pread_full(fd, page, sizeof page, 0))
		return why_errno(why, "reading the serial file");
	for (int i = 0; i < 2; i++) {
		struct wire w;
		memcpy(&w, page + i * COPY_AT, sizeof w);
		good[i] = wire_get(&w, &copy[i]);
	}
	if (!good[0] && !good[1])
		return why_set(why, "the serial file is damaged");
	int best = good[1] && (!good[0] || copy[1] > copy[0]);
	*next = copy[best] + (good[!best] ? 0 : GAP);
	*turn = !best;
	return true;
}

/* Writes the number to both copies, one after the other. */
static bool write_next(const struct spool *s, int fd, uint64_t next, int turn)
{
	struct wire w;
	wire_put(&w, next);
	for (int i = 0; i < 2; i++, turn = !turn)
		if (!sys_pwrite(&s->sys, fd, &w, sizeof w, turn ? COPY_AT : 0) || !sys_datasync(&s->sys, fd))
			return false;
	return true;
}

/* Moves the number in the file on by `by`, or to `least` at least; answers what it was. */
static bool advance(struct spool *s, uint64_t by, uint64_t least, uint64_t *was, struct ost_why *why)
{
	int turn, fd = openat(s->root, "serial", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return why_errno(why, "%s/serial", s->path);
	bool ok = lock_and_wait(fd) || why_errno(why, "locking the serial file");
	ok = ok && read_next(fd, was, &turn, why);
	if (ok && (by > 0 || *was < least)) {
		if (*was < least)
			*was = least;
		ok = write_next(s, fd, *was + by, turn) || why_errno(why, "writing the serial file");
	}
	io_close(&fd); /* keeps errno: the caller may want to know that the disk is full */
	return ok;
}

bool serial_draw(struct spool *s, uint64_t *serial, struct ost_why *why)
{
	bool ok = true;
	pthread_mutex_lock(&s->serial_lock);
	if (s->serial_next == s->serial_end) {
		uint64_t first;
		ok = advance(s, BLOCK, 1, &first, why);
		if (ok) {
			s->serial_next = first;
			s->serial_end = first + BLOCK;
		}
	}
	if (ok)
		*serial = s->serial_next++;
	pthread_mutex_unlock(&s->serial_lock);
	return ok;
}

bool serial_skip(struct spool *s, uint64_t serial, struct ost_why *why)
{
	uint64_t was;
	return advance(s, 0, serial + 1, &was, why);
}

bool serial_create(int root, const struct sys *sys, uint64_t first, struct ost_why *why)
{
	sys_unlink(sys, root, "serial.new");
	int fd = sys_create(sys, root, "serial.new", true);
	char page[FILE_SIZE] = { 0 };
	struct wire w;
	wire_put(&w, first);
	memcpy(page, &w, sizeof w);
	memcpy(page + COPY_AT, &w, sizeof w);
	bool ok = fd >= 0 && sys_pwrite(sys, fd, page, sizeof page, 0) && sys_fsync(sys, fd) &&
		  (sys_link(sys, root, "serial.new", root, "serial") || errno == EEXIST);
	if (!ok)
		why_errno(why, "making the serial file");
	sys_unlink(sys, root, "serial.new");
	io_close(&fd);
	return ok;
}
