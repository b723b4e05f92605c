/* SPDX-License-Identifier: Apache-2.0
 * Who may have written a file that is about to be loaded. */
#include "module/module.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One step of the path. A folder that everybody may write to is fine when it is sticky (/tmp): what lies in it is checked
 * in turn, and nobody else can replace it. */
static bool step_trusted(const char *path, bool folder, uid_t user, struct ost_why *why)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return why_errno(why, "%s", path);
	if (folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
		return why_set(why, "%s is not a %s", path, folder ? "folder" : "regular file");
	if (st.st_uid != 0 && st.st_uid != user) {
		if (user == 0)
			return why_set(why, "%s is owned by user %u, not by root", path, (unsigned)st.st_uid);
		return why_set(why, "%s is owned by user %u, not by root or user %u", path, (unsigned)st.st_uid,
			       (unsigned)user);
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(folder && (st.st_mode & S_ISVTX)))
		return why_set(why, "%s is writable by %s (mode %04o)", path,
			       st.st_mode & S_IWOTH ? "everybody" : "its group", (unsigned)(st.st_mode & 07777));
	return true;
}

bool mod_file_trusted(const char *path, unsigned user, struct ost_why *why)
{
	char real[PATH_MAX];
	if (!realpath(path, real))
		return why_errno(why, "%s", path);
	if (!step_trusted("/", true, user, why))
		return false;
	for (char *slash = strchr(real + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool ok = step_trusted(real, true, user, why);
		*slash = '/';
		if (!ok)
			return false;
	}
	return step_trusted(real, false, user, why);
}
