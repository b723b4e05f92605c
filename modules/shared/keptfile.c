/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/keptfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIMIT = 4 << 20 };

static bool copy(int from, int to)
{
	char block[16384];
	size_t total = 0;
	ssize_t n;
	while ((n = read(from, block, sizeof block)) > 0 && (total += (size_t)n) <= LIMIT)
		if (write(to, block, (size_t)n) != n)
			return false;
	return n == 0;
}

bool keptfile_open(const struct ost_host *host, struct ost_instance *instance, const char *path,
		   struct keptfile *kept, struct ost_why *why)
{
	*kept = (struct keptfile)KEPTFILE_NONE;
	if (!path || !*path)
		return true;
	int fd = host->file_open(instance, path, "", why);
	if (fd < 0)
		return false;
	kept->fd = memfd_create("file", MFD_CLOEXEC);
	/* Libraries refuse a key that others could read. */
	bool ok = kept->fd >= 0 && fchmod(kept->fd, S_IRUSR | S_IWUSR) == 0 && copy(fd, kept->fd);
	snprintf(kept->path, sizeof kept->path, "/proc/self/fd/%d", kept->fd);
	close(fd);
	if (ok)
		return true;
	keptfile_close(kept);
	return host->why(why, "%s: cannot be kept: %s", path, strerror(errno));
}

void keptfile_close(struct keptfile *kept)
{
	if (kept->fd >= 0)
		close(kept->fd);
	kept->fd = -1;
}

const char *keptfile_path(const struct keptfile *kept)
{
	return kept->fd >= 0 ? kept->path : NULL;
}
