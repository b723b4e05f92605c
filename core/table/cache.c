/* SPDX-License-Identifier: Apache-2.0 */
#include "table/cache.h"

#include "table/cache_steps.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "module/answer.h"
#include "module/enter.h"
#include "module/module.h"

#define CACHE_MAGIC 0x63616368u

struct cache {
	unsigned magic;
	char *text;       /* as it was written */
	const char *name; /* without "proxy:" */
	const struct ost_table_ops *ops;
	struct mod_instance *instance;
};

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* The module and its instance; false with the reason. */
static bool open_instance(struct cache *c, const struct cfg_view *view, struct ost_why *why)
{
	char type[64];
	struct ost_why inner = { "" };
	size_t len = strcspn(c->name, ":");
	if (!c->name[len] || len == 0 || len >= sizeof type)
		return why_set(why, "open dictionary: expecting \"type:name\" form instead of \"%s\"",
			       c->name);
	memcpy(type, c->name, len);
	type[len] = '\0';
	const struct mod_provider *provider = mod_find(OST_KIND_TABLE, type, &inner);
	if (!provider)
		return why_set(why, "unsupported dictionary type: %s (%s)", type, inner.text);
	c->ops = (const struct ost_table_ops *)provider->ops;
	if (!c->ops->update || !c->ops->remove)
		return why_set(why, "%s: tables of the type %s cannot be changed", c->name, type);
	c->instance = mod_open_cache(provider, view, c->name + len + 1, why);
	return c->instance != NULL;
}

struct cache *table_cache_open(const struct cfg_view *view, const char *text, struct ost_why *why)
{
	struct cache *c = MEM_NEW(struct cache);
	c->magic = CACHE_MAGIC;
	c->text = mem_strdup(text);
	c->name = c->text;
	while (strncmp(c->name, "proxy:", 6) == 0)
		c->name += 6;
	if (!open_instance(c, view, why))
		table_cache_close(&c);
	return c;
}

void table_cache_close(struct cache **cp)
{
	struct cache *c = *cp;
	if (!c)
		return;
	CHECK_MAGIC(c, CACHE_MAGIC);
	mod_close(&c->instance);
	c->magic = 0;
	free(c->text);
	free(c);
	*cp = NULL;
}

const char *table_cache_name(const struct cache *c)
{
	return c->name;
}

/* Goes in; false: nested too deep. */
static bool enter(struct cache *c, const char *entry, int64_t deadline, struct ost_why *why)
{
	CHECK_MAGIC(c, CACHE_MAGIC);
	if (mod_depth() >= MOD_DEPTH - 1)
		return why_set(why, "tables that ask tables are nested too deep");
	mod_enter(c->instance, entry, deadline);
	return true;
}

/* ---- entries, for who tells of failures himself ------------------------------------------------------------------- */

enum ost_found cache_ask(struct cache *c, const struct ost_query *query, struct ost_answer *answer)
{
	if (!enter(c, "lookup", query->deadline, answer->why))
		return OST_TEMPFAIL;
	enum ost_found result = c->ops->lookup(mod_self(c->instance), query, answer);
	mod_leave(c->instance);
	return result == OST_FOUND && !answer->value ? OST_BADTABLE : result;
}

enum ost_found cache_put(struct cache *c, const char *key, size_t klen, const char *value, size_t vlen,
			 struct ost_why *why)
{
	if (!enter(c, "update", mod_deadline(1), why))
		return OST_TEMPFAIL;
	enum ost_found result = c->ops->update(mod_self(c->instance), key, klen, value, vlen, why);
	mod_leave(c->instance);
	return result;
}

enum ost_found cache_take_out(struct cache *c, const char *key, size_t klen, struct ost_why *why)
{
	if (!enter(c, "remove", mod_deadline(1), why))
		return OST_TEMPFAIL;
	enum ost_found result = c->ops->remove(mod_self(c->instance), key, klen, why);
	mod_leave(c->instance);
	return result;
}

/* Each step is a call of its own, so that the module is not held up. */
enum ost_found cache_step(struct cache *c, struct ost_cursor **cursor, struct ost_answer *key,
			  struct ost_answer *value)
{
	if (!c->ops->walk) {
		why_set(key->why, "tables of this type cannot be listed");
		return OST_BADTABLE;
	}
	if (!enter(c, "walk", mod_deadline(1), key->why))
		return OST_TEMPFAIL;
	enum ost_found result = c->ops->walk(mod_self(c->instance), cursor, key, value);
	mod_leave(c->instance);
	return result == OST_FOUND && (!key->value || !value->value) ? OST_BADTABLE : result;
}

void cache_step_free(struct cache *c, struct ost_cursor *cursor)
{
	struct ost_why why;
	if (!cursor || !c->ops->cursor_free || !enter(c, "cursor_free", mod_deadline(1), &why))
		return;
	c->ops->cursor_free(mod_self(c->instance), cursor);
	mod_leave(c->instance);
}

/* ---- entries ------------------------------------------------------------------------------------------------------ */

static enum ost_found checked(const struct cache *c, enum ost_found result, const char *what,
			      const struct ost_why *why)
{
	if (result == OST_FOUND || result == OST_NOTFOUND)
		return result;
	log_warning("%s: %s failed: %s", c->name, what, why->text);
	return result == OST_BADTABLE ? OST_BADTABLE : OST_TEMPFAIL;
}

enum ost_found table_cache_lookup(struct cache *c, struct arena *a, const char *key, struct lookup *found)
{
	*found = (struct lookup){ .table = c->name };
	struct ost_answer answer = { .arena = a, .why = &found->why };
	struct ost_query query = {
		.size = sizeof query, .key = key, .klen = strlen(key), .deadline = mod_deadline(1)
	};
	enum ost_found result = cache_ask(c, &query, &answer);
	if (result == OST_FOUND) {
		found->value = answer.value;
		found->len = answer.len;
	}
	return checked(c, result, "lookup", &found->why);
}

bool table_cache_update(struct cache *c, const char *key, const char *value)
{
	struct ost_why why = { "" };
	enum ost_found result = cache_put(c, key, strlen(key), value, strlen(value), &why);
	return checked(c, result, "update", &why) == OST_FOUND;
}

enum ost_found table_cache_remove(struct cache *c, const char *key)
{
	struct ost_why why = { "" };
	return checked(c, cache_take_out(c, key, strlen(key), &why), "remove", &why);
}

/* ---- expiry ------------------------------------------------------------------------------------------------------ */

bool table_cache_expire(struct cache *c, struct arena *a, cache_keep_fn *keep, void *ctx,
			struct cache_expired *counts)
{
	struct ost_cursor *cursor = NULL;
	struct ost_why why = { "" };
	enum ost_found result, removed = OST_FOUND;
	*counts = (struct cache_expired){ 0 };
	for (;;) {
		arena_reset(a);
		struct ost_answer key = { .arena = a, .why = &why }, value = { .arena = a, .why = &why };
		result = cache_step(c, &cursor, &key, &value);
		if (result != OST_FOUND)
			break;
		if (keep(ctx, key.value, value.value)) {
			counts->kept++;
			continue;
		}
		removed = table_cache_remove(c, key.value);
		if (removed < OST_NOTFOUND)
			break;
		counts->removed++;
	}
	cache_step_free(c, cursor);
	return removed >= OST_NOTFOUND && checked(c, result, "walk", &why) == OST_NOTFOUND;
}
