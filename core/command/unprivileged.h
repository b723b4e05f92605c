/* SPDX-License-Identifier: Apache-2.0
 * Commands that were started by root become somebody else before the first module is loaded. */
#ifndef COMMAND_UNPRIVILEGED_H
#define COMMAND_UNPRIVILEGED_H

#include <sys/types.h>

#include "base/why.h"
#include "config/view.h"

bool command_is_root(void);
/* Becomes the user and group for good, with no other groups. */
bool command_become(uid_t, gid_t, struct ost_why *);
/* Becomes $mail_owner with its groups; does nothing when not root. */
bool command_become_mail_owner(const struct cfg_view *, struct ost_why *);

#endif
