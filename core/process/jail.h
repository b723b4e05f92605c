/* SPDX-License-Identifier: Apache-2.0
 * What a chrooted process finds below queue_directory: copies of the system's files that libc, resolver and
 * TLS read. */
#ifndef PROCESS_JAIL_H
#define PROCESS_JAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/why.h"
#include "config/view.h"

/* The master, as root, at start, at reload and when one of the files changed: brings the copies up to date.
 * Files that the system does not have are left out. The folders below the root belong to root. False: a copy
 * could not be made. */
bool jail_prepare(const struct cfg_view *, struct ost_why *);

/* The i-th of the files that are copied; NULL behind the last one. */
const char *jail_file(size_t i);

/* One lookup of each kind, so that libc loads all it needs before the jail and the seal. */
void jail_warm_up(void);

#endif
