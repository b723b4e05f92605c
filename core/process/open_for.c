/* SPDX-License-Identifier: Apache-2.0 */
#include "process/open_for.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "module/module.h"
#include "process/mentions.h"
#include "process/privileges.h"

static int open_plain(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		io_close(&fd);
		errno = EINVAL;
	}
	return fd;
}

/* With the mail owner's rights on files. */
static int open_as(const struct identity *id, const char *path)
{
	gid_t gid = (gid_t)setfsgid(id->gid);
	uid_t uid = (uid_t)setfsuid(id->uid);
	int fd = open_plain(path);
	int error = errno;
	setfsuid(uid);
	setfsgid(gid);
	errno = error;
	return fd;
}

/* Does no link lie on the way, which somebody may have put there? */
static bool is_plain_path(const char *path)
{
	char real[PATH_MAX];
	return realpath(path, real) && strcmp(real, path) == 0;
}

int open_for_owner(const struct config *c, const char *path)
{
	struct identity id;
	struct ost_why why;
	if (geteuid() != 0)
		return open_plain(path);
	errno = EACCES;
	if (!identity_of(cfg_str(config_main_view(c), P_mail_owner), &id, &why))
		return -1;
	int fd = open_as(&id, path);
	if (fd >= 0 || errno != EACCES || !config_mentions(c, path))
		return fd;
	bool trusted = is_plain_path(path) && mod_file_trusted(path, 0, &why);
	errno = EACCES;
	return trusted ? open_plain(path) : -1;
}
