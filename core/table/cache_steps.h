/* SPDX-License-Identifier: Apache-2.0
 * Caches, from the inside: one call of the module each, with keys of any bytes, and nothing in the log. For
 * host_caches.c. */
#ifndef TABLE_CACHE_STEPS_H
#define TABLE_CACHE_STEPS_H

#include "table/cache.h"

enum ost_found cache_ask(struct cache *, const struct ost_query *, struct ost_answer *);
enum ost_found cache_put(struct cache *, const char *key, size_t klen, const char *value, size_t vlen,
			 struct ost_why *);
enum ost_found cache_take_out(struct cache *, const char *key, size_t klen, struct ost_why *);
/* *cursor is NULL at first, and after the last entry. */
enum ost_found cache_step(struct cache *, struct ost_cursor **cursor, struct ost_answer *key,
			  struct ost_answer *value);
void cache_step_free(struct cache *, struct ost_cursor *); /* accepts NULL */

#endif
