/* SPDX-License-Identifier: Apache-2.0 */
#include "process/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "process/paths.h"

enum {
	PATIENCE_SECONDS = 45, /* a system whose guardian is dead ends within this time */
	LOOK_MS = 100,
};

/* Opens the lock file; a link in its place is not followed. */
static int open_lock(const struct cfg_view *view, int flags)
{
	char *path = instance_path(view, PLACE_LOCK);
	int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
	int error = errno;
	free(path);
	errno = error;
	return fd;
}

static pid_t read_pid(int fd)
{
	char text[64] = "";
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;
	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : -1;
}

static bool make_folder(const struct cfg_view *view, struct ost_why *why)
{
	char *path = instance_path(view, PLACE_LOCK);
	*strrchr(path, '/') = '\0';
	bool ok = io_mkdirs(path, 0755) || why_errno(why, "make %s", path);
	free(path);
	return ok;
}

/* The pid file's process is gone, but what it started still holds the lock: that ends soon. */
static bool is_ending(int fd)
{
	pid_t pid = read_pid(fd);
	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

static bool take_lock(int fd)
{
	int64_t deadline = clock_mono() + PATIENCE_SECONDS * CLOCK_SECOND;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (!is_ending(fd) || clock_mono() >= deadline)
			return false;
		poll(NULL, 0, LOOK_MS);
	}
	return true;
}

int lock_take(const struct cfg_view *view, struct ost_why *why)
{
	if (!make_folder(view, why))
		return -1;
	int fd = open_lock(view, O_RDWR | O_CREAT);
	if (fd < 0) {
		why_errno(why, "open %s/pid/master.pid", cfg_str(view, P_queue_directory));
		return -1;
	}
	if (!take_lock(fd)) {
		pid_t pid = read_pid(fd);
		const char *whose = lock_is_postfix(pid) ? "the Postfix mail system" : "the mail system";
		if (pid > 0)
			why_set(why, "%s is already running: process id %d", whose, (int)pid);
		else
			why_set(why, "%s is already running", whose);
		io_close(&fd);
		return -1;
	}
	return fd;
}

bool lock_sign(int fd, struct ost_why *why)
{
	char text[64];
	int n = snprintf(text, sizeof text, "%*d\n", (int)sizeof(unsigned long) * 4, (int)getpid());
	return (ftruncate(fd, 0) == 0 && io_pwrite_all(fd, text, (size_t)n, 0)) ||
	       why_errno(why, "write the pid file");
}

pid_t lock_holder(const struct cfg_view *view)
{
	int fd = open_lock(view, O_RDONLY);
	if (fd < 0)
		return 0;
	pid_t pid = 0;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		pid = read_pid(fd);
	io_close(&fd);
	return pid;
}

bool lock_is_postfix(pid_t pid)
{
	char path[64], exe[PATH_MAX];
	if (pid <= 0)
		return false;
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, exe, sizeof exe - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	const char *slash = strrchr(exe, '/');
	return slash && strcmp(slash, "/master") == 0;
}

void lock_leave(int fd)
{
	(void)!ftruncate(fd, 0);
}
