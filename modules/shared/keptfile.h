/* SPDX-License-Identifier: Apache-2.0
 * A file for a library that wants a path and opens it at some later time, when a sealed process may not: its
 * content is kept in memory, under a path that can always be opened. */
#ifndef SHARED_KEPTFILE_H
#define SHARED_KEPTFILE_H

#include "ostler/host.h"

enum { KEPTFILE_PATH = 40 };

struct keptfile {
	int fd; /* -1: none */
	char path[KEPTFILE_PATH];
};
#define KEPTFILE_NONE                                                                                        \
	{                                                                                                    \
		.fd = -1                                                                                     \
	}

/* From open() alone: the core opens the file and watches it. A path that is NULL or empty is none. False with
 * the reason. */
bool keptfile_open(const struct ost_host *, struct ost_instance *, const char *path, struct keptfile *,
		   struct ost_why *);
void keptfile_close(struct keptfile *);
/* NULL: none. */
const char *keptfile_path(const struct keptfile *);

#endif
