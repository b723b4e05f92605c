/* SPDX-License-Identifier: Apache-2.0 */
#include "command/unprivileged.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

bool command_is_root(void)
{
	return geteuid() == 0;
}

bool command_become(uid_t uid, gid_t gid, struct ost_why *why)
{
	if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return why_errno(why, "become user %u", (unsigned)uid);
	return uid == 0 || setuid(0) < 0 || why_set(why, "user %u can become root again", (unsigned)uid);
}

bool command_become_mail_owner(const struct cfg_view *view, struct ost_why *why)
{
	if (!command_is_root())
		return true;
	const char *name = cfg_str(view, P_mail_owner);
	const struct passwd *pw = getpwnam(name);
	if (!pw)
		return why_set(why, "parameter mail_owner: there is no user %s", name);
	if (pw->pw_uid == 0)
		return why_set(why, "parameter mail_owner: %s is root", name);
	if (initgroups(name, pw->pw_gid) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return why_errno(why, "become user %s", name);
	return true;
}
