/* SPDX-License-Identifier: Apache-2.0
 * What is damaged goes to corrupt/, with a log line, and is never deleted. */
#ifndef SPOOL_ASIDE_H
#define SPOOL_ASIDE_H

#include "spool/home.h"

/* A copy of some bytes of a segment, durable when it answers true, now or from an earlier recovery. False: the bytes must
 * stay where they are. */
bool aside_bytes(struct spool *, const char *folder, const struct segment_header *, uint64_t from,
		 const char *bytes, uint64_t len);
/* A whole file, moved there. True as well when there is no such file any more. */
bool aside_file(struct spool *, int dir, const char *name, const char *why);

#endif
