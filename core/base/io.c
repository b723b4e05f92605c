/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

bool io_write_all(int fd, const void *p, size_t n)
{
	for (const char *s = p; n > 0;) {
		ssize_t done = write(fd, s, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		s += done;
		n -= (size_t)done;
	}
	return true;
}

bool io_pwrite_all(int fd, const void *p, size_t n, off_t at)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	return io_pwritev_all(fd, &iov, 1, at);
}

bool io_pwritev_all(int fd, struct iovec *iov, int count, off_t at)
{
	while (count > 0) {
		ssize_t done = pwritev(fd, iov, count > IOV_MAX ? IOV_MAX : count, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		at += done;
		while (count > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return true;
}

bool io_pread_full(int fd, void *p, size_t n, off_t at)
{
	for (char *s = p; n > 0;) {
		ssize_t done = pread(fd, s, n, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			if (done == 0)
				errno = 0;
			return false;
		}
		s += done;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

char *io_read_fd(int fd, size_t max, size_t *len)
{
	struct buf b = BUF_INIT;
	for (;;) {
		buf_reserve(&b, 16384);
		ssize_t n = pread(fd, b.data + b.len, 16384, (off_t)b.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			break;
		if (n < 0 || b.len + (size_t)n > max) {
			int error = n < 0 ? errno : EFBIG;
			buf_free(&b);
			errno = error;
			return NULL;
		}
		b.len += (size_t)n;
	}
	return buf_steal(&b, len);
}

char *io_read_file(int dirfd, const char *path, size_t max, size_t *len)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return NULL;
	char *text = io_read_fd(fd, max, len);
	io_close(&fd);
	return text;
}

static bool set_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);
	return flags >= 0 && fcntl(fd, set, on ? flags | flag : flags & ~flag) >= 0;
}

bool io_set_nonblock(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

bool io_set_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

void io_close(int *fd)
{
	int error = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = error;
}

int io_memfd_new(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

bool io_memfd_seal(int fd)
{
	return lseek(fd, 0, SEEK_SET) >= 0 &&
	       fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) >= 0;
}

int io_memfd(const char *name, const void *p, size_t n)
{
	int fd = io_memfd_new(name);
	if (fd >= 0 && (!io_write_all(fd, p, n) || !io_memfd_seal(fd)))
		io_close(&fd);
	return fd;
}

bool io_mkdirs(const char *path, mode_t mode)
{
	char *copy = mem_strdup(path);
	bool ok = true;
	for (char *p = copy + 1; ok && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		ok = mkdir(copy, mode) == 0 || errno == EEXIST;
		*p = '/';
	}
	ok = ok && (mkdir(copy, mode) == 0 || errno == EEXIST);
	int error = errno;
	free(copy);
	errno = error;
	return ok;
}

void io_leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	io_close(&null);
}
