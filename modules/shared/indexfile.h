/* SPDX-License-Identifier: Apache-2.0
 * What index files of all types have in common: their age, and what stands in for a file of Berkeley DB. */
#ifndef SHARED_INDEXFILE_H
#define SHARED_INDEXFILE_H

#include "ostler/host.h"
#include "shared/textmap.h"

/* One type of table that has an index file beside its text. */
struct index_type {
	const char *name;   /* "hash" */
	const char *suffix; /* ".db" */
};

/* Is it a file of Berkeley DB, as Postfix's hash: and btree: leave them behind? */
bool index_is_berkeley(int fd);
/* The text file in place of NAME.db, until somebody runs postmap; it says so in the log. NULL with the
 * reason. */
struct textmap *index_use_source(const struct ost_host *, struct ost_instance *, const struct index_type *,
				 struct ost_why *);
/* Postfix's warning, with its grace for a postmap that is running. fd: of the index. */
void index_warn_when_older(const struct ost_host *, struct ost_instance *, const struct index_type *, int fd);
/* All of source into a map, equal keys as its flags say and reported to it. NULL with the reason. */
struct textmap *index_gather(const struct ost_host *, struct ost_source *, struct ost_why *);

#endif
