/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_keeping_errno(int fd)
{
	int error = errno;
	close(fd);
	errno = error;
}

/* Where openat2(2) is not to be had: part by part, and no symbolic link at all. */
static int open_stepwise(int base, const char *path, int flags, mode_t mode)
{
	char part[NAME_MAX + 1];
	int at = base;
	for (;;) {
		path += strspn(path, "/");
		size_t len = strcspn(path, "/");
		const char *rest = path + len + strspn(path + len, "/");
		int next = -1;
		if (len == 0)
			memcpy(part, ".", 2);
		else if (len > NAME_MAX || (len == 2 && memcmp(path, "..", 2) == 0))
			errno = len > NAME_MAX ? ENAMETOOLONG : EXDEV;
		else
			memcpy(part, path, len), part[len] = '\0';
		if (len <= NAME_MAX && !(len == 2 && memcmp(path, "..", 2) == 0))
			next = *rest ? openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) :
				       openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
		if (at != base)
			close_keeping_errno(at);
		if (next < 0 || !*rest)
			return next;
		at = next;
		path = rest;
	}
}

int beneath_open(int base, const char *path, int flags, mode_t mode)
{
	int extra = flags & O_PATH ? 0 : O_NOCTTY; /* O_PATH takes none but a few flags */
	struct open_how how = { .flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC | extra),
				.mode = flags & O_CREAT ? mode : 0,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	path += strspn(path, "/");
	int fd;
	do
		fd = (int)syscall(SYS_openat2, base, *path ? path : ".", &how, sizeof how);
	while (fd < 0 && errno == EAGAIN); /* a folder was renamed meanwhile */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_stepwise(base, path, flags, mode);
	return fd;
}

/* One folder beneath `at`, whose name is the first len bytes of path. Answers a descriptor of it. */
static int make_part(int at, const char *path, size_t len, mode_t mode)
{
	char part[NAME_MAX + 1];
	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(part, path, len);
	part[len] = '\0';
	if (strcmp(part, "..") == 0) {
		errno = EXDEV;
		return -1;
	}
	int made = mkdirat(at, part, mode);
	if (made < 0 && errno != EEXIST)
		return -1;
	if (made == 0) { /* O_PATH descriptors cannot be synced */
		int sync_fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int ok = sync_fd >= 0 && fsync(sync_fd) == 0;
		if (sync_fd >= 0)
			close_keeping_errno(sync_fd);
		if (!ok)
			return -1;
	}
	return beneath_open(at, part, O_PATH | O_DIRECTORY, 0);
}

int beneath_mkdirs(int base, const char *path, int all, mode_t mode)
{
	int at = base;
	for (;;) {
		path += strspn(path, "/");
		size_t len = strcspn(path, "/");
		if (len == 0 || (!all && path[len + strspn(path + len, "/")] == '\0'))
			break;
		int next = make_part(at, path, len, mode);
		if (at != base)
			close_keeping_errno(at);
		if (next < 0)
			return -1;
		at = next;
		path += len;
	}
	if (at != base)
		close(at);
	return 0;
}
