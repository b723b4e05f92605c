/* SPDX-License-Identifier: Apache-2.0 */
#include "process/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"

enum { PASSWD_BYTES = 16384 };

bool identity_of(const char *user, struct identity *id, struct ost_why *why)
{
	char *space = mem_alloc(PASSWD_BYTES);
	struct passwd pw, *found = NULL;
	int error = getpwnam_r(user, &pw, space, PASSWD_BYTES, &found);
	if (found)
		*id = (struct identity){ .uid = pw.pw_uid, .gid = pw.pw_gid };
	free(space);
	errno = error;
	if (!found && error)
		return why_errno(why, "look up user \"%s\"", user);
	return found || why_set(why, "user \"%s\" does not exist", user);
}

/* For a process without root: is it what it should be? */
static bool check_identity(const struct identity *id, struct ost_why *why)
{
	if (getuid() == id->uid && geteuid() == id->uid)
		return true;
	return why_set(why, "runs as uid %u, not as uid %u", (unsigned)geteuid(), (unsigned)id->uid);
}

bool privileges_drop(const struct identity *id, bool keep_chroot, struct ost_why *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return why_errno(why, "no_new_privs");
	if (geteuid() != 0)
		return check_identity(id, why);
	if (id->uid == 0 || id->gid == 0)
		return why_set(why, "uid and gid of a process must not be 0");
	capng_clear(CAPNG_SELECT_ALL);
	if (keep_chroot)
		capng_update(CAPNG_ADD, CAPNG_PERMITTED, CAP_SYS_CHROOT);
	int result = capng_change_id((int)id->uid, (int)id->gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	if (result < 0)
		return why_set(why, "cannot become uid %u gid %u (step %d)", (unsigned)id->uid,
			       (unsigned)id->gid, -result);
	return check_identity(id, why);
}

/* Sets the capabilities to CAP_SYS_CHROOT in these sets, or to none. */
static bool set_capabilities(unsigned sets, struct ost_why *why)
{
	capng_clear(CAPNG_SELECT_CAPS);
	if (sets)
		capng_update(CAPNG_ADD, (capng_type_t)sets, CAP_SYS_CHROOT);
	return capng_apply(CAPNG_SELECT_CAPS) == 0 || why_errno(why, "set capabilities");
}

bool privileges_jail(const char *root, struct ost_why *why)
{
	if (!set_capabilities(CAPNG_EFFECTIVE | CAPNG_PERMITTED, why))
		return false;
	if (chroot(root) < 0 || chdir("/") < 0)
		return why_errno(why, "chroot to %s", root);
	return true;
}

bool privileges_seal(struct ost_why *why)
{
	if (!set_capabilities(0, why))
		return false;
	capng_get_caps_process();
	if (geteuid() == 0 || capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return why_set(why, "privileges are left that should be gone");
	return true;
}

bool privileges_become(const char *name, const struct identity *id, struct ost_why *why)
{
	if (id->uid == 0 || id->gid == 0)
		return why_set(why, "uid and gid 0 are refused");
	if (geteuid() == 0) {
		capng_clear(CAPNG_SELECT_BOUNDS);
		if (capng_apply(CAPNG_SELECT_BOUNDS) < 0)
			return why_errno(why, "empty the bounding set of capabilities");
		if ((name ? initgroups(name, id->gid) : setgroups(1, &id->gid)) < 0)
			return why_errno(why, "set groups");
		if (setresgid(id->gid, id->gid, id->gid) < 0 || setresuid(id->uid, id->uid, id->uid) < 0)
			return why_errno(why, "become uid %u", (unsigned)id->uid);
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return why_errno(why, "not dumpable, no_new_privs");
	return check_identity(id, why);
}
