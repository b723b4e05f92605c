/* SPDX-License-Identifier: Apache-2.0 */
#include "process/broker_rules.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "process/privileges.h"

enum { GROUP_BYTES = 65536 };

void broker_own_find(const struct cfg_view *view, struct broker_own *own)
{
	struct identity id = { .uid = 0 };
	struct group gr, *found = NULL;
	char *space = mem_alloc(GROUP_BYTES);
	*own = (struct broker_own){ 0 };
	if (identity_of(cfg_str(view, P_mail_owner), &id, NULL)) {
		own->mail_uid = id.uid;
		own->mail_gid = id.gid;
	}
	if (getgrnam_r(cfg_str(view, P_setgid_group), &gr, space, GROUP_BYTES, &found) == 0 && found) {
		own->setgid_gid = gr.gr_gid;
		own->has_setgid = true;
	}
	free(space);
}

/* Which transports work with names: the system's users. All others with a broker at all work with ids from
 * tables. */
static const char *const by_name[] = { "local" };

bool broker_may_name(const struct service *line)
{
	for (size_t i = 0; i < sizeof by_name / sizeof by_name[0]; i++) {
		if (strcmp(line->command, by_name[i]) == 0)
			return !line->unpriv;
	}
	return false;
}

bool broker_may_ids(const struct service *line)
{
	return !line->unpriv && !broker_may_name(line);
}

bool broker_may_become(const struct cfg_view *view, const struct broker_own *own, uid_t uid, gid_t gid,
		       bool by_ids, struct ost_why *why)
{
	int64_t least = cfg_int(view, P_virtual_minimum_uid);
	if (uid == 0 || gid == 0 || uid == (uid_t)-1 || gid == (gid_t)-1)
		return why_set(why, "uid %u, gid %u: refused, no delivery is made as root", (unsigned)uid,
			       (unsigned)gid);
	if (uid == own->mail_uid)
		return why_set(why, "uid %u: refused, it is the mail system's own", (unsigned)uid);
	if (gid == own->mail_gid || (own->has_setgid && gid == own->setgid_gid))
		return why_set(why, "gid %u: refused, it is the mail system's own", (unsigned)gid);
	if (by_ids && (int64_t)uid < least)
		return why_set(why, "uid %u: below virtual_minimum_uid = %lld", (unsigned)uid,
			       (long long)least);
	if (by_ids && cfg_str(view, P_virtual_mailbox_base)[0] != '/')
		return why_set(why, "virtual_mailbox_base is not set to an absolute path");
	return true;
}

bool broker_mailbox_name(const struct cfg_view *view, const char *path, char *name, size_t size,
			 struct ost_why *why)
{
	const char *folder = cfg_str(view, P_mail_spool_directory);
	size_t len = strlen(folder);
	while (len > 1 && folder[len - 1] == '/')
		len--;
	const char *rest = path + len;
	if (folder[0] != '/' || strncmp(path, folder, len) != 0 || *rest != '/')
		return why_set(why, "%s is not in mail_spool_directory", path);
	while (*rest == '/')
		rest++;
	if (!*rest || rest[0] == '.' || strchr(rest, '/') || (size_t)snprintf(name, size, "%s", rest) >= size)
		return why_set(why, "%s is not a file directly in mail_spool_directory", path);
	return true;
}
