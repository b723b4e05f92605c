/* SPDX-License-Identifier: Apache-2.0
 * Host services: caches behind caches, for modules. A struct cache is a struct ost_cache to them. */
#include "module/hosts.h"
#include "table/cache_steps.h"
#include "table/host_caches.h"

static struct cache *to_cache(struct ost_cache *cache)
{
	return (struct cache *)(void *)cache;
}

static struct ost_cache *open_cache(const struct cfg_view *view, const char *type_name, struct ost_why *why)
{
	return (struct ost_cache *)(void *)table_cache_open(view, type_name, why);
}

static void close_cache(struct ost_cache *cache)
{
	struct cache *c = to_cache(cache);
	table_cache_close(&c);
}

static enum ost_found ask(struct ost_cache *cache, const struct ost_query *query, struct ost_answer *answer)
{
	return cache_ask(to_cache(cache), query, answer);
}

static enum ost_found update(struct ost_cache *cache, const char *key, size_t klen, const char *value,
			     size_t vlen, struct ost_why *why)
{
	return cache_put(to_cache(cache), key, klen, value, vlen, why);
}

static enum ost_found take_out(struct ost_cache *cache, const char *key, size_t klen, struct ost_why *why)
{
	return cache_take_out(to_cache(cache), key, klen, why);
}

static enum ost_found walk(struct ost_cache *cache, struct ost_cursor **cursor, struct ost_answer *key,
			   struct ost_answer *value)
{
	return cache_step(to_cache(cache), cursor, key, value);
}

static void free_cursor(struct ost_cache *cache, struct ost_cursor *cursor)
{
	cache_step_free(to_cache(cache), cursor);
}

const struct mod_caches_ops table_caches = {
	open_cache, close_cache, ask, update, take_out, walk, free_cursor
};
