/* SPDX-License-Identifier: Apache-2.0
 * Several syncs at a time: side by side in threads, or, where this is known to be as good, one for the whole file system. */
#ifndef DELIVER_SYNCER_H
#define DELIVER_SYNCER_H

#include <stddef.h>

#include "deliver/userrun.h"

struct together;

struct sync { /* one that is asked for */
	int fd, error;             /* error: errno, or 0 */
	struct together *together; /* the syncer's */
};

struct syncer *syncer_new(size_t threads);
void syncer_destroy(struct syncer **);
/* Where this folder is, groups may be synced by syncfs(2), if that is as good there (base/syncwhole.h). To be called
 * before the process is sealed. */
void syncer_allow_whole(struct syncer *, const char *folder);
/* At most USER_BATCH; afterwards each error says how it went. syncer NULL: one after the other. */
void syncer_files(struct syncer *, struct sync *, size_t n);
void syncer_folders(struct syncer *, struct sync *, size_t n);

#endif
