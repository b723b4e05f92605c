/* SPDX-License-Identifier: Apache-2.0
 * Opening files beneath a folder, where the way there is not ours: no symbolic link leads out. */
#ifndef SHARED_BENEATH_H
#define SHARED_BENEATH_H

#include <sys/types.h>

/* openat(2), O_CLOEXEC and O_NOCTTY implied, that stays beneath base (EXDEV otherwise); the last part is never a symbolic link
 * (ELOOP). A slash at the start of path is skipped. -1 with errno. */
int beneath_open(int base, const char *path, int flags, mode_t mode);
/* Makes the folders that are missing on the way to path, whose last part is one too when `all`. Each new name is durable.
 * 0, or -1 with errno. */
int beneath_mkdirs(int base, const char *path, int all, mode_t mode);

#endif
