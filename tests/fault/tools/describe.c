/* SPDX-License-Identifier: Apache-2.0 */
#include "inject.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum shape { ON_FD, ON_NAME, ON_NAME_AT, OPEN_AT, OPEN_HOW };

static const struct {
	long number;
	const char *name;
	enum shape shape;
	signed char arg, at; /* where descriptor or name stand; offset or length, or -1 */
} calls[] = {
	{ SYS_write, "write", ON_FD, 0, 2 },
	{ SYS_writev, "writev", ON_FD, 0, -1 },
	{ SYS_pwrite64, "pwrite", ON_FD, 0, 3 },
	{ SYS_pwritev, "pwritev", ON_FD, 0, 3 },
	{ SYS_pwritev2, "pwritev", ON_FD, 0, 3 },
	{ SYS_fsync, "fsync", ON_FD, 0, -1 },
	{ SYS_fdatasync, "fdatasync", ON_FD, 0, -1 },
	{ SYS_syncfs, "syncfs", ON_FD, 0, -1 },
	{ SYS_ftruncate, "ftruncate", ON_FD, 0, 1 },
	{ SYS_fallocate, "fallocate", ON_FD, 0, 3 },
	{ SYS_sendfile, "sendfile", ON_FD, 0, -1 },
	{ SYS_copy_file_range, "copy_file_range", ON_FD, 2, -1 },
	{ SYS_openat, "create", OPEN_AT, 0, -1 },
	{ SYS_openat2, "create", OPEN_HOW, 0, -1 },
	{ SYS_mkdirat, "mkdir", ON_NAME_AT, 0, -1 },
	{ SYS_unlinkat, "unlink", ON_NAME_AT, 0, -1 },
	{ SYS_renameat2, "rename", ON_NAME_AT, 2, -1 },
	{ SYS_linkat, "link", ON_NAME_AT, 2, -1 },
#ifdef SYS_open /* not every architecture has the old ones */
	{ SYS_mkdir, "mkdir", ON_NAME, 0, -1 },
	{ SYS_unlink, "unlink", ON_NAME, 0, -1 },
	{ SYS_rename, "rename", ON_NAME, 1, -1 },
	{ SYS_link, "link", ON_NAME, 1, -1 },
#endif
#ifdef SYS_renameat
	{ SYS_renameat, "rename", ON_NAME_AT, 2, -1 },
#endif
};

/* Reads from the other process; answers how much of it there was. */
static size_t peek(pid_t tid, uint64_t from, void *to, size_t n)
{
	struct iovec here = { to, n }, there = { (void *)(uintptr_t)from, n };
	ssize_t got = process_vm_readv(tid, &here, 1, &there, 1, 0);
	return got < 0 ? 0 : (size_t)got;
}

/* Reads a text, as much of it as fits; never across a page that may not be there. */
static void peek_text(pid_t tid, uint64_t from, char *to, size_t size)
{
	size_t len = 0;
	while (len + 1 < size) {
		size_t page = 4096 - (from + len) % 4096, n = page < size - 1 - len ? page : size - 1 - len;
		size_t got = peek(tid, from + len, to + len, n);
		const char *end = memchr(to + len, 0, got);
		len += end ? (size_t)(end - to) - len : got;
		if (end || got < n)
			break;
	}
	to[len] = '\0';
}

/* What a link below /proc/TID says; false: nothing. */
static bool read_link(pid_t tid, const char *what, char *to, size_t size)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/%s", (int)tid, what);
	ssize_t n = readlink(name, to, size - 1);
	to[n < 0 ? 0 : n] = '\0';
	return n > 0 && to[0] == '/';
}

static bool fd_path(pid_t tid, int fd, char *to, size_t size)
{
	char name[32];
	snprintf(name, sizeof name, "fd/%d", fd);
	return read_link(tid, fd == AT_FDCWD ? "cwd" : name, to, size);
}

/* The name at `from`, below the folder. */
static bool name_path(pid_t tid, int folder, uint64_t from, char *to, size_t size)
{
	char text[PATH_MAX];
	peek_text(tid, from, text, sizeof text);
	if (text[0] == '/') {
		snprintf(to, size, "%s", text);
		return true;
	}
	if (!fd_path(tid, folder, to, size))
		return false;
	size_t len = strlen(to);
	snprintf(to + len, size - len, "/%s", text);
	return true;
}

/* Its path, by the shape of its arguments. */
static bool find_path(struct call *c, pid_t tid, enum shape shape, const uint64_t *arg)
{
	uint64_t flags = 0;
	switch (shape) {
	case ON_FD:
		return fd_path(tid, (int)arg[0], c->path, sizeof c->path);
	case ON_NAME:
		return name_path(tid, AT_FDCWD, arg[0], c->path, sizeof c->path);
	case OPEN_AT:
		flags = arg[2];
		break;
	case OPEN_HOW: /* struct open_how begins with the flags */
		peek(tid, arg[2], &flags, sizeof flags);
		break;
	case ON_NAME_AT:
		flags = O_CREAT;
	}
	return (flags & O_CREAT) && name_path(tid, (int)arg[0], arg[1], c->path, sizeof c->path);
}

bool call_describe(struct call *c, pid_t tid, uint64_t number, const uint64_t args[6])
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if ((uint64_t)calls[i].number != number)
			continue;
		c->name = calls[i].name;
		c->at = calls[i].at < 0 ? 0 : args[calls[i].at];
		return find_path(c, tid, calls[i].shape, args + calls[i].arg);
	}
	return false;
}

void call_role(struct call *c, pid_t tid)
{
	char name[64], line[4096];
	snprintf(name, sizeof name, "/proc/%d/cmdline", (int)tid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
	if (fd >= 0)
		close(fd);
	line[n < 0 ? 0 : n] = '\0';
	const char *slash = strrchr(line, '/');
	snprintf(c->role, sizeof c->role, "%.*s", (int)sizeof c->role - 1, slash ? slash + 1 : line);
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(line + at) + 1) {
		if (strcmp(line + at, "--worker") != 0)
			continue;
		at += (ssize_t)sizeof "--worker";
		for (ssize_t i = at; i < n - 1; i++)
			if (line[i] == '\0')
				line[i] = ' ';
		snprintf(c->role, sizeof c->role, "%.*s", (int)sizeof c->role - 1, line + at);
		break;
	}
}
