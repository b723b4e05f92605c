/* SPDX-License-Identifier: Apache-2.0
 * Tables and caches in files of LMDB: the entry points of the table types `lmdb` and `btree`. */
#ifndef SHARED_LMDB_TABLE_H
#define SHARED_LMDB_TABLE_H

#include "ostler/host.h"
#include "shared/indexfile.h"

struct lmdb_table;

/* Opens NAME.suffix; as a cache for writing too, and made when it is missing. berkeley: a NAME.db that
 * Postfix has left may stand in for a missing index. NULL with the reason. */
struct lmdb_table *lmdb_table_open(const struct ost_host *, struct ost_instance *, const struct index_type *,
				   bool berkeley, struct ost_why *);
void lmdb_table_close(void *self);
enum ost_found lmdb_table_lookup(void *self, const struct ost_query *, struct ost_answer *);
enum ost_found lmdb_table_update(void *self, const char *key, size_t klen, const char *value, size_t vlen,
				 struct ost_why *);
enum ost_found lmdb_table_remove(void *self, const char *key, size_t klen, struct ost_why *);
enum ost_found lmdb_table_walk(void *self, struct ost_cursor **, struct ost_answer *key,
			       struct ost_answer *value);
void lmdb_table_cursor_free(void *self, struct ost_cursor *);

#endif
