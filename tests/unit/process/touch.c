/* SPDX-License-Identifier: Apache-2.0 */
#include "touch.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

static const char parent[] = "/proc/parent/";

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	bool ok = fd >= 0;
	io_close(&fd);
	return ok;
}

/* A new file, of this process alone, in the folder. */
static bool creates(const char *folder)
{
	char path[560];
	snprintf(path, sizeof path, "%stouch.%d", folder, (int)getpid());
	bool ok = opens(path, O_WRONLY | O_CREAT | O_EXCL);
	return ok && unlink(path) == 0;
}

const char *touch_path(const char *path, char *letters)
{
	char place[512], file[520];
	size_t n = 0, len = strlen(path);
	bool folder = len > 0 && path[len - 1] == '/';
	if (strncmp(path, parent, strlen(parent)) == 0)
		snprintf(place, sizeof place, "/proc/%d/%s", (int)getppid(), path + strlen(parent));
	else
		snprintf(place, sizeof place, "%s", path);
	snprintf(file, sizeof file, "%s%s", place, folder ? "probe" : "");
	if (folder && opens(place, O_RDONLY | O_DIRECTORY))
		letters[n++] = 'l';
	if (opens(file, O_RDONLY))
		letters[n++] = 'r';
	if (opens(file, O_WRONLY))
		letters[n++] = 'w';
	if (folder && creates(place))
		letters[n++] = 'c';
	if (n == 0)
		letters[n++] = '-';
	letters[n] = '\0';
	return letters;
}
