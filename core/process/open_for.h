/* SPDX-License-Identifier: Apache-2.0
 * Files that a process of the mail owner's may have, opened by a process that is root. */
#ifndef PROCESS_OPEN_FOR_H
#define PROCESS_OPEN_FOR_H

#include "config/config.h"

/* A read-only descriptor of a regular file: as the mail owner; when that is not permitted and the configuration names the file,
 * and nobody but root can have put it there, as root. -1 with errno. By an ordinary user: as that user. */
int open_for_owner(const struct config *, const char *path);

#endif
