/* SPDX-License-Identifier: Apache-2.0 */
#include "process/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "process/paths.h"
#include "process/privileges.h"
#include "spool/spool.h"

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

/* The spool's own folders, made by their owner: a child does it, which is small at this time of the start. */
static bool create_spool(const struct cfg_view *view, const struct identity *mail, struct ost_why *why)
{
	struct ost_why *shared =
		mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return why_errno(why, "shared memory");
	char *path = instance_path(view, PLACE_SPOOL);
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		umask(077);
		_exit(privileges_drop(mail, false, shared) && spool_create(path, shared) ? 0 : 1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	bool ok = status == 0 ||
		  why_set(why, "%s: %s", path, shared->text[0] ? shared->text : "cannot be made");
	munmap(shared, sizeof *shared);
	free(path);
	return ok;
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
	return ok && create_spool(view, &mail, why);
}
