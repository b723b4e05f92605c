/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/pool.h"

/* Asks the hook; true: go on. Otherwise errno is set, or *torn. */
static bool step(const struct sys *s, const struct sys_call *call, bool *torn)
{
	if (!s->hook)
		return true;
	int answer = s->hook(s->ctx, call);
	if (answer == SYS_TORN && torn) {
		*torn = true;
		return true;
	}
	errno = answer > 0 ? answer : EIO;
	return answer == 0;
}

int sys_create(const struct sys *s, int dir, const char *name, bool readable)
{
	if (!step(s, &(struct sys_call){ .step = SYS_CREATE, .fd = dir, .name = name }, NULL))
		return -1;
	int fd = openat(dir, name, (readable ? O_RDWR : O_WRONLY) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		sys_check_folder();
	return fd;
}

/* A death in the middle of a write: the first half is there. */
static void write_half_and_die(int fd, const struct iovec *iov, int count, uint64_t total, uint64_t at)
{
	uint64_t left = total / 2;
	for (int i = 0; i < count && left > 0; i++) {
		size_t n = iov[i].iov_len < left ? iov[i].iov_len : (size_t)left;
		(void)io_pwrite_all(fd, iov[i].iov_base, n, (off_t)at);
		at += n;
		left -= n;
	}
	(void)raise(SIGKILL);
}

bool sys_pwritev(const struct sys *s, int fd, struct iovec *iov, int count, uint64_t at)
{
	if (s->hook) {
		uint64_t total = 0;
		bool torn = false;
		for (int i = 0; i < count; i++)
			total += iov[i].iov_len;
		if (!step(s, &(struct sys_call){ .step = SYS_WRITE, .fd = fd, .at = at, .len = total },
			  &torn))
			return false;
		if (torn)
			write_half_and_die(fd, iov, count, total, at);
	}
	return io_pwritev_all(fd, iov, count, (off_t)at);
}

bool sys_pwrite(const struct sys *s, int fd, const void *p, size_t n, uint64_t at)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	return sys_pwritev(s, fd, &iov, 1, at);
}

void sys_start_write(int fd, uint64_t at, uint64_t len)
{
	pool_wait_begin(); /* a disk with a full queue may have it wait */
	(void)sync_file_range(fd, (off_t)at, (off_t)len, SYNC_FILE_RANGE_WRITE);
	pool_wait_end();
}

/* A sync waits for the disk: a thread of a pool lets another work meanwhile. */
static bool synced(const struct sys *s, enum sys_step what, int fd, int (*call)(int))
{
	if (!step(s, &(struct sys_call){ .step = what, .fd = fd }, NULL))
		return false;
	pool_wait_begin();
	bool ok = call(fd) == 0;
	int error = errno;
	pool_wait_end();
	errno = error;
	return ok;
}

bool sys_datasync(const struct sys *s, int fd)
{
	return synced(s, SYS_SYNC, fd, fdatasync);
}

bool sys_fsync(const struct sys *s, int fd)
{
	return synced(s, SYS_SYNC, fd, fsync);
}

bool sys_sync_folder(const struct sys *s, int fd)
{
	return synced(s, SYS_SYNC_FOLDER, fd, fsync);
}

bool sys_sync_whole(const struct sys *s, int fd)
{
	return synced(s, SYS_SYNC_WHOLE, fd, syncfs);
}

struct sys_identity sys_identity(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return (struct sys_identity){ .inode = 0 };
	return (struct sys_identity){ .device = st.st_dev, .inode = st.st_ino };
}

void sys_check_identity(int fd, const struct sys_identity *was, const char *what)
{
	struct sys_identity is = sys_identity(fd);
	if (was->inode != 0 && (is.inode != was->inode || is.device != was->device))
		log_panic("spool: the descriptor of %s was closed by somebody else in this process", what);
}

void sys_check_folder(void)
{
	if (errno == EBADF || errno == ENOTDIR)
		log_panic("spool: the descriptor of a folder was closed by somebody else in this process");
}

bool sys_rename(const struct sys *s, int dir, const char *from, int to_dir, const char *to)
{
	struct sys_call call = { .step = SYS_RENAME, .fd = dir, .name = from, .to_fd = to_dir, .to = to };
	return step(s, &call, NULL) && renameat(dir, from, to_dir, to) == 0;
}

bool sys_link(const struct sys *s, int dir, const char *from, int to_dir, const char *to)
{
	struct sys_call call = { .step = SYS_LINK, .fd = dir, .name = from, .to_fd = to_dir, .to = to };
	return step(s, &call, NULL) && linkat(dir, from, to_dir, to, 0) == 0;
}

bool sys_unlink(const struct sys *s, int dir, const char *name)
{
	return step(s, &(struct sys_call){ .step = SYS_UNLINK, .fd = dir, .name = name }, NULL) &&
	       unlinkat(dir, name, 0) == 0;
}

bool sys_truncate(const struct sys *s, int fd, uint64_t len)
{
	return step(s, &(struct sys_call){ .step = SYS_TRUNCATE, .fd = fd, .at = len }, NULL) &&
	       ftruncate(fd, (off_t)len) == 0;
}

bool sys_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool sys_locked_by_other(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
