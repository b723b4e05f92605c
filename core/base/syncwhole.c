/* SPDX-License-Identifier: Apache-2.0 */
#include "base/syncwhole.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

enum { PATH_SIZE = 256 };
/* A sync of the whole that takes longer writes too much of others': for so long each file is synced for
 * itself. */
static const int64_t longest = CLOCK_SECOND / 5, pause_after = 60 * CLOCK_SECOND;

/* Since Linux 5.8 syncfs() tells of data that could not be written. */
static bool tells_errors(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 8));
}

/* Is the device's file system ext4 with a journal? Its sysfs entry names the thread that writes that. */
static bool journalled(dev_t dev)
{
	char path[PATH_SIZE], link[PATH_SIZE], text[16];
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(dev), minor(dev));
	ssize_t n = readlink(path, link, sizeof link - 1);
	if (n <= 0)
		return false;
	link[n] = '\0';
	const char *name = strrchr(link, '/');
	if (!name || snprintf(path, sizeof path, "/sys/fs/ext4%s/journal_task", name) >= (int)sizeof path)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof text) : -1;
	io_close(&fd);
	return n > 0 && isdigit((unsigned char)text[0]);
}

void syncwhole_allow(struct syncwhole *w, const char *folder)
{
	struct stat st;
	if (tells_errors() && stat(folder, &st) == 0 && journalled(st.st_dev))
		w->device = st.st_dev;
}

bool syncwhole_may(const struct syncwhole *w, int64_t now)
{
	return w->device != 0 && now >= w->not_before;
}

bool syncwhole_do(struct syncwhole *w, int fd, bool (*call)(void *ctx, int fd), void *ctx)
{
	int64_t start = clock_mono();
	bool ok = call(ctx, fd);
	int64_t end = clock_mono();
	if (end - start > longest)
		w->not_before = end + pause_after;
	return ok;
}
