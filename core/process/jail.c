/* SPDX-License-Identifier: Apache-2.0 */
#include "process/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

enum { FILE_MAX_BYTES = 8 * 1024 * 1024 };

static const char *const copied[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/host.conf",
	"/etc/nsswitch.conf",
	"/etc/services",
	"/etc/localtime",
	"/etc/passwd",
	"/etc/group",
	"/etc/gai.conf",
	"/etc/protocols",
	"/etc/ssl/certs/ca-certificates.crt",
};

/* Opens (making what is missing) the folder of `path` below `root` step by step; no link is followed. */
static int open_folder_beneath(int root, const char *path)
{
	int at = dup(root);
	char *copy = mem_strdup(path + 1), *save = NULL;
	char *slash = strrchr(copy, '/');
	if (!slash) {
		free(copy);
		return at;
	}
	*slash = '\0';
	for (char *part = strtok_r(copy, "/", &save); part && at >= 0; part = strtok_r(NULL, "/", &save)) {
		if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
			io_close(&at);
		int next = at < 0 ? -1 : openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		io_close(&at);
		at = next;
	}
	int error = errno;
	free(copy);
	errno = error;
	return at;
}

/* Is the copy in `folder` what it should be already? */
static bool same_content(int folder, const char *name, const char *want, size_t len)
{
	size_t have_len = 0;
	char *have = io_read_file(folder, name, FILE_MAX_BYTES, &have_len);
	bool same = have && have_len == len && memcmp(have, want, len) == 0;
	free(have);
	return same;
}

/* Writes name anew: a temporary file, renamed. */
static bool replace_file(int folder, const char *name, const char *data, size_t len)
{
	char temp[256];
	unsigned nonce = 0;
	(void)!getrandom(&nonce, sizeof nonce, GRND_NONBLOCK);
	snprintf(temp, sizeof temp, ".%.200s.%08x", name, nonce);
	int fd = openat(folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && io_write_all(fd, data, len) && fchmod(fd, 0644) == 0;
	io_close(&fd);
	ok = ok && renameat(folder, temp, folder, name) == 0;
	if (!ok) {
		int error = errno;
		unlinkat(folder, temp, 0);
		errno = error;
	}
	return ok;
}

static bool copy_file(int root, const char *path, struct ost_why *why)
{
	size_t len = 0;
	char *data = io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &len);
	if (!data)
		return errno == ENOENT || why_errno(why, "read %s", path);
	int folder = open_folder_beneath(root, path);
	const char *name = strrchr(path, '/') + 1;
	bool ok = folder >= 0 &&
		  (same_content(folder, name, data, len) || replace_file(folder, name, data, len));
	if (!ok)
		why_errno(why, "copy %s for chrooted processes", path);
	io_close(&folder);
	free(data);
	return ok;
}

const char *jail_file(size_t i)
{
	return i < sizeof copied / sizeof copied[0] ? copied[i] : NULL;
}

bool jail_prepare(const struct cfg_view *view, struct ost_why *why)
{
	const char *queue = cfg_str(view, P_queue_directory);
	int root = open(queue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return why_errno(why, "open %s", queue);
	bool ok = true;
	for (size_t i = 0; ok && i < sizeof copied / sizeof copied[0]; i++)
		ok = copy_file(root, copied[i], why);
	io_close(&root);
	return ok;
}

void jail_warm_up(void)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *list = NULL;
	struct passwd pw, *found;
	struct servent se, *service;
	char space[4096];
	time_t now = time(NULL);
	struct tm tm;
	if (getaddrinfo("localhost", "25", &hints, &list) == 0) {
		char name[256];
		(void)getnameinfo(list->ai_addr, list->ai_addrlen, name, sizeof name, NULL, 0, 0);
		freeaddrinfo(list);
	}
	(void)getpwnam_r("root", &pw, space, sizeof space, &found);
	(void)getservbyname_r("smtp", "tcp", &se, space, sizeof space, &service);
	tzset();
	localtime_r(&now, &tm);
}
