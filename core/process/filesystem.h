/* SPDX-License-Identifier: Apache-2.0
 * What a file system's own features mean for mail. */
#ifndef PROCESS_FILESYSTEM_H
#define PROCESS_FILESYSTEM_H

#include <stdbool.h>

/* Does the path (or the first folder above that exists) lie on an ext4 file system with the fast_commit
 * feature? False also where the device may not be read. */
bool filesystem_has_fast_commit(const char *path);

#endif
