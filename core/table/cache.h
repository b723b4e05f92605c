/* SPDX-License-Identifier: Apache-2.0
 * Caches: tables that this process changes, as other processes do with the same file at the same time
 * (address_verify_map, smtp_tls_session_cache_database …). The file lies in data_directory.
 *
 * A cache is opened while its process still may open files, and is for any thread afterwards. What it holds
 * may be gone after a power cut, and never is half an entry. */
#ifndef TABLE_CACHE_H
#define TABLE_CACHE_H

#include "table/table.h"

struct cache;

/* "btree:/var/lib/ostler/verify_cache"; a "proxy:" in front counts for nothing. NULL with the reason: the
 * type is not there, cannot be changed, or the file cannot be opened or made. */
struct cache *table_cache_open(const struct cfg_view *, const char *type_name, struct ost_why *);
void table_cache_close(struct cache **);
const char *table_cache_name(const struct cache *);

/* The key as it is. OST_FOUND, OST_NOTFOUND, or the cache failed (logged). */
enum ost_found table_cache_lookup(struct cache *, struct arena *, const char *key, struct lookup *);
/* Adds the entry or puts it in the place of the key's present one. False: the cache failed (logged). */
bool table_cache_update(struct cache *, const char *key, const char *value);
/* OST_FOUND: it was there. */
enum ost_found table_cache_remove(struct cache *, const char *key);

/* Looks at all entries and removes those that keep() does not want; entries that come meanwhile may be seen
 * or not. The arena is emptied before each entry. Only one of the processes should do it, from time to time.
 * False: the cache failed (logged). */
struct cache_expired {
	size_t kept, removed;
};
typedef bool cache_keep_fn(void *ctx, const char *key, const char *value);
bool table_cache_expire(struct cache *, struct arena *, cache_keep_fn *keep, void *ctx,
			struct cache_expired *);

#endif
