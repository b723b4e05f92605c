/* SPDX-License-Identifier: Apache-2.0
 * What the broker does for whom. Pure functions on the configuration and on what the system says of a user.
 */
#ifndef PROCESS_BROKER_RULES_H
#define PROCESS_BROKER_RULES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/why.h"
#include "config/config.h"

struct broker_own { /* Ostler's own users and groups */
	uid_t mail_uid;
	gid_t mail_gid, setgid_gid;
	bool has_setgid;
};

struct broker_user { /* what the system says of a name */
	uid_t uid;
	gid_t gid;
	char home[512];
};

void broker_own_find(const struct cfg_view *, struct broker_own *);

/* May this service ask for users by name (and for mailboxes)? For ids? */
bool broker_may_name(const struct service *);
bool broker_may_ids(const struct service *);
/* May a child become this user? by_ids: virtual_minimum_uid holds. False with the reason. */
bool broker_may_become(const struct cfg_view *, const struct broker_own *, uid_t, gid_t, bool by_ids,
		       struct ost_why *);
/* A mailbox directly in mail_spool_directory: its name there goes to name. False with the reason. */
bool broker_mailbox_name(const struct cfg_view *, const char *path, char *name, size_t size,
			 struct ost_why *);

#endif
