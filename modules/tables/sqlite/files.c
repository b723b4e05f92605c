/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sqlite_file {
	struct sqlite_file *next;
	struct ost_instance *instance;
	size_t len;
	char path[];
};

static const struct ost_host *host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct sqlite_file *files;

/* What the library puts behind a database's name. */
static const char *const suffixes[] = { "", "-journal", "-wal", "-shm" };

/* The instance whose database the path belongs to; NULL: none. Lock held. */
static struct ost_instance *owner(const char *path)
{
	for (const struct sqlite_file *f = files; f; f = f->next) {
		if (strncmp(path, f->path, f->len) != 0)
			continue;
		for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
			if (strcmp(path + f->len, suffixes[i]) == 0)
				return f->instance;
	}
	return NULL;
}

/* In the place of open(2). The lock is held while the host opens, so that the instance stays. A database
 * belongs to the library as soon as it is open: to close any descriptor of it gives up the locks of all. */
static int open_file(const char *path, int flags, int mode)
{
	if ((flags & O_ACCMODE) == O_RDONLY) {
		pthread_mutex_lock(&lock);
		struct ost_instance *instance = owner(path);
		int fd = instance ? host->file_open(instance, path, "", NULL) : -1;
		pthread_mutex_unlock(&lock);
		if (fd >= 0)
			return fd;
	}
	return open(path, flags | O_CLOEXEC, (mode_t)mode);
}

bool sqlite_files_start(const struct ost_host *the_host)
{
	host = the_host;
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	return vfs && vfs->iVersion >= 3 && vfs->xSetSystemCall &&
	       vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)open_file) == SQLITE_OK;
}

/* Has the host note which files there may be: a sealed process is given no others. Lock held; nobody has them
 * open. */
static void announce(struct ost_instance *instance, const char *path)
{
	for (size_t i = 1; i < sizeof suffixes / sizeof *suffixes; i++) {
		int fd = host->file_open(instance, path, suffixes[i], NULL);
		if (fd >= 0)
			close(fd);
	}
}

struct sqlite_file *sqlite_files_add(struct ost_instance *instance, const char *path)
{
	size_t len = strlen(path);
	struct sqlite_file *f = malloc(sizeof *f + len + 1);
	if (!f)
		return NULL;
	*f = (struct sqlite_file){ .instance = instance, .len = len };
	memcpy(f->path, path, len + 1);
	pthread_mutex_lock(&lock);
	if (!owner(path))
		announce(instance, path);
	f->next = files;
	files = f;
	pthread_mutex_unlock(&lock);
	return f;
}

void sqlite_files_remove(struct sqlite_file *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&lock);
	struct sqlite_file **at = &files;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	pthread_mutex_unlock(&lock);
	free(f);
}
