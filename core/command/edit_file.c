/* SPDX-License-Identifier: Apache-2.0 */
#include "command/edit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

enum { FILE_BYTES = 8 << 20 };

struct edit_file {
	char *path, *temporary; /* path has no link in it */
	char *text;
	int fd; /* of the temporary file, which is the lock */
	struct stat st;
};

/* The temporary file, locked. One that was renamed or removed while this waited for its lock is none any
 * more. */
static int lock_temporary(const char *path, struct ost_why *why)
{
	for (;;) {
		struct stat mine, there;
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &mine) != 0) {
			why_errno(why, "open %s", path);
			io_close(&fd);
			return -1;
		}
		if (lstat(path, &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
			return fd;
		io_close(&fd);
	}
}

static void edit_file_free(struct edit_file **pf)
{
	struct edit_file *f = *pf;
	io_close(&f->fd);
	free(f->path);
	free(f->temporary);
	free(f->text);
	free(f);
	*pf = NULL;
}

struct edit_file *edit_file_open(const char *path, const char **text, size_t *len, struct ost_why *why)
{
	struct edit_file *f = MEM_NEW(struct edit_file);
	f->fd = -1;
	f->path = realpath(path, NULL);
	if (!f->path) {
		why_errno(why, "open %s for reading", path);
		edit_file_free(&f);
		return NULL;
	}
	f->temporary = mem_printf("%s.tmp", f->path);
	f->fd = lock_temporary(f->temporary, why);
	if (f->fd < 0) {
		edit_file_free(&f);
		return NULL;
	}
	f->text = stat(f->path, &f->st) == 0 ? io_read_file(AT_FDCWD, f->path, FILE_BYTES, len) : NULL;
	if (!f->text) {
		why_errno(why, "open %s for reading", path);
		edit_file_abort(&f);
		return NULL;
	}
	*text = f->text;
	return f;
}

/* The folder of a file, so that its new name is there after a power cut. */
static bool sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash && slash > path ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup("/");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	io_close(&fd);
	free(folder);
	return ok;
}

bool edit_file_commit(struct edit_file **pf, const struct buf *text, struct ost_why *why)
{
	struct edit_file *f = *pf;
	bool ok = ftruncate(f->fd, 0) == 0 && io_write_all(f->fd, buf_str(text), text->len) &&
		  fchown(f->fd, f->st.st_uid, f->st.st_gid) == 0 &&
		  fchmod(f->fd, f->st.st_mode & 07777) == 0 && fsync(f->fd) == 0 &&
		  rename(f->temporary, f->path) == 0;
	if (!ok) {
		why_errno(why, "write %s", f->temporary);
		edit_file_abort(pf);
		return false;
	}
	if (!sync_folder(f->path))
		ok = why_errno(why, "the folder of %s", f->path);
	edit_file_free(pf);
	return ok;
}

void edit_file_abort(struct edit_file **pf)
{
	if (!*pf)
		return;
	int saved = errno;
	unlink((*pf)->temporary);
	edit_file_free(pf);
	errno = saved;
}
