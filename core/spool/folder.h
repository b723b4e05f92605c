/* SPDX-License-Identifier: Apache-2.0
 * Walks over the spool's folders. */
#ifndef SPOOL_FOLDER_H
#define SPOOL_FOLDER_H

#include "spool/home.h"

struct folder_list {
	uint32_t *numbers; /* in order; the caller frees them */
	size_t n;
	bool failed; /* the folder could not be read to its end */
};
/* The segments in a folder. Files of segments that were never finished are removed on the way. */
struct folder_list folder_segments(struct spool *, int dir);

/* Removes what rewriting left over, and calls `each` for every message file, by its serial, in the order of
 * serials within a folder, until that answers false. False: a folder could not be read, or it was ended. */
typedef bool folder_each_fn(void *ctx, uint64_t serial);
bool folder_messages(struct spool *, folder_each_fn *, void *ctx);
/* The same, for who reads each file: the disk is asked for those that come next, many at once, so that one
 * read need not wait for the other. */
bool folder_messages_ahead(struct spool *, folder_each_fn *, void *ctx);

#endif
