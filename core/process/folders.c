/* SPDX-License-Identifier: Apache-2.0 */
#include "process/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "process/paths.h"
#include "process/privileges.h"

enum whose { ROOTS, MAIL_OWNERS, ROOTS_MAIL_GROUP };

static const struct {
	enum instance_place place;
	enum whose whose;
	mode_t mode;
} folders[] = {
	{ PLACE_BASE, ROOTS, 0755 },
	{ PLACE_PUBLIC, ROOTS, 0755 },
	{ PLACE_PRIVATE, ROOTS_MAIL_GROUP, 0750 },
	{ PLACE_MAILDROP, MAIL_OWNERS, 01733 },
	{ PLACE_SPOOL, MAIL_OWNERS, 0700 },
};

/* Gives a new folder its owner; checks the one that was there. */
static bool settle(const char *path, bool made, enum whose whose, mode_t mode, const struct identity *mail,
		   struct ost_why *why)
{
	uid_t uid = whose == MAIL_OWNERS ? mail->uid : geteuid();
	gid_t gid = whose == ROOTS ? getegid() : mail->gid;
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return why_errno(why, "open folder %s", path);
	bool ok = !made || ((geteuid() != 0 || fchown(fd, uid, gid) == 0) && fchmod(fd, mode) == 0);
	if (!ok)
		why_errno(why, "set owner and mode of %s", path);
	if (ok && fstat(fd, &st) == 0 && st.st_uid != uid)
		ok = why_set(why, "%s belongs to uid %u, not to uid %u", path, (unsigned)st.st_uid,
			     (unsigned)uid);
	io_close(&fd);
	return ok;
}

static bool prepare_one(const char *path, enum whose whose, mode_t mode, const struct identity *mail,
			struct ost_why *why)
{
	bool made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST)
		return why_errno(why, "make folder %s", path);
	return settle(path, made, whose, mode, mail, why);
}

bool folders_prepare(const struct cfg_view *view, bool rootless, struct ost_why *why)
{
	struct identity mail = { .uid = geteuid(), .gid = getegid() };
	if (!rootless && !identity_of(cfg_str(view, P_mail_owner), &mail, why))
		return false;
	if (!io_mkdirs(cfg_str(view, P_queue_directory), 0755))
		return why_errno(why, "make folder %s", cfg_str(view, P_queue_directory));
	bool ok = true;
	for (size_t i = 0; ok && i < sizeof folders / sizeof folders[0]; i++) {
		char *path = instance_path(view, folders[i].place);
		ok = prepare_one(path, folders[i].whose, folders[i].mode, &mail, why);
		free(path);
	}
	const char *data = cfg_str(view, P_data_directory);
	if (ok && access(data, F_OK) < 0 && io_mkdirs(data, 0700))
		ok = settle(data, true, MAIL_OWNERS, 0700, &mail, why);
	return ok;
}
