/* SPDX-License-Identifier: Apache-2.0
 * One syncfs(2) in the place of many fsync(2), where that is known to be as good.
 *
 * That is ext4 with a journal, where it makes names as durable as fsync(2) of their folders does, on a kernel
 * whose syncfs() tells of what could not be written. It costs one commit and one flush of the disk's cache,
 * where each fsync() costs a flush of its own. It also writes what others have left dirty there: when that
 * takes long, it is not done for a while. */
#ifndef BASE_SYNCWHOLE_H
#define BASE_SYNCWHOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct syncwhole {
	dev_t device;       /* the file system that syncfs() may be used on; 0: none */
	int64_t not_before; /* clock_mono(): nor until then */
};

/* Allows it where this folder is, if the file system is such a one. To be called before the process is
 * sealed. */
void syncwhole_allow(struct syncwhole *, const char *folder);
/* May it be done now? */
bool syncwhole_may(const struct syncwhole *, int64_t now);
/* Syncs the file system that fd is on by `call`, a syncfs(2). False: it failed, and whom that concerns is not
 * known. */
bool syncwhole_do(struct syncwhole *, int fd, bool (*call)(void *ctx, int fd), void *ctx);

#endif
