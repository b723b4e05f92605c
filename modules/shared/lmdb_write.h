/* SPDX-License-Identifier: Apache-2.0
 * Writes files of LMDB: whole indexes for postmap, and caches that several processes change at the same time.
 */
#ifndef SHARED_LMDB_WRITE_H
#define SHARED_LMDB_WRITE_H

#include "ostler/host.h"

enum { LMDB_KEY_MAX = 511 }; /* bytes; a NUL that is stored with the key counts */

/* postmap's index, to source->fd. NULs are stored unless the source's flags say otherwise, as Postfix does.
 */
bool lmdb_build(const struct ost_host *, struct ost_source *, struct ost_why *);

/* A file that this process changes: opened by its path, once per process however many ask for it. */
struct lmdb_writer;

/* Makes the file when it is missing, or anew when the last change to it was before the system was started and
 * it was damaged by that. NULL with the reason. */
struct lmdb_writer *lmdb_writer_open(const struct ost_host *, struct ost_instance *, const char *path,
				     struct ost_why *);
void lmdb_writer_close(struct lmdb_writer *);
int lmdb_writer_fd(const struct lmdb_writer *); /* of the file, for a reader; the writer's */
/* OST_FOUND: it is stored; it replaces what the key had. OST_TEMPFAIL with the reason. From any thread. */
enum ost_found lmdb_writer_put(struct lmdb_writer *, const void *key, size_t klen, const void *value,
			       size_t vlen, struct ost_why *);
/* OST_FOUND: it was there. */
enum ost_found lmdb_writer_remove(struct lmdb_writer *, const void *key, size_t klen, struct ost_why *);

#endif
