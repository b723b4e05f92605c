/* SPDX-License-Identifier: Apache-2.0
 * Giving up root. All of it happens before a process has a second thread. */
#ifndef PROCESS_PRIVILEGES_H
#define PROCESS_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/why.h"

struct identity {
	uid_t uid;
	gid_t gid;
};

/* The user of this name; false with the reason. */
bool identity_of(const char *user, struct identity *, struct ost_why *);

/* From root to this identity for good: no supplementary groups, no capabilities but, when asked for,
 * CAP_SYS_CHROOT in the permitted set; no_new_privs. A process that is not root is checked to be that user
 * already. */
bool privileges_drop(const struct identity *, bool keep_chroot, struct ost_why *);
/* chroot(2) with the capability that was kept; the working folder becomes the new root. */
bool privileges_jail(const char *root, struct ost_why *);
/* Nothing is left. */
bool privileges_seal(struct ost_why *);

/* A child of the broker becomes a user: the groups that the system gives `name`, or with NULL the group
 * alone. Not dumpable from then on, and with no_new_privs: it runs no command. */
bool privileges_become(const char *name, const struct identity *, struct ost_why *);

#endif
