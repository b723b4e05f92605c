/* SPDX-License-Identifier: Apache-2.0
 * Lists of tables. */
#include "table/maps.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "mail/ascii.h"
#include "table/handle.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list of all */
static struct maps *all;

struct maps *maps_open(const struct cfg_view *view, const char *spec, struct ost_why *why)
{
	struct arena *a = arena_new();
	const char **names = cfg_split(a, spec);
	size_t n = 0;
	while (names[n])
		n++;
	if (why)
		why->text[0] = '\0';
	struct maps *m = NULL;
	if (n > 0) {
		m = ARENA_NEW(a, struct maps);
		*m = (struct maps){ .magic = MAPS_MAGIC, .arena = a, .view = view, .count = n };
		m->tables = arena_alloc(a, n * sizeof(struct table *));
	}
	for (size_t i = 0; i < n; i++) {
		struct ost_why one = { "" };
		m->tables[i] = table_open(view, names[i], why ? &one : NULL);
		if (one.text[0] && why && !why->text[0])
			why_set(why, "%s: %s", names[i], one.text);
	}
	if (!m) {
		arena_destroy(&a);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	m->next = all;
	all = m;
	pthread_mutex_unlock(&lock);
	return m;
}

void maps_close_all(void)
{
	pthread_mutex_lock(&lock);
	while (all) {
		struct maps *m = all;
		struct arena *a = m->arena;
		all = m->next;
		m->magic = 0;
		arena_destroy(&a);
	}
	pthread_mutex_unlock(&lock);
}

bool maps_immediate(const struct maps *m)
{
	for (size_t i = 0; m && i < m->count; i++)
		if (!(table_flags(m->tables[i]) & OST_TABLE_IMMEDIATE))
			return false;
	return true;
}

const char *table_fold(struct arena *a, const char *key)
{
	size_t i = 0;
	while (key[i] && !(key[i] >= 'A' && key[i] <= 'Z'))
		i++;
	if (!key[i])
		return key;
	char *copy = arena_strdup(a, key);
	for (; copy[i]; i++)
		copy[i] = ascii_lower(copy[i]);
	return copy;
}

/* Logs a failed lookup in Postfix's words. */
static void log_failure(const char *key, const struct lookup *found)
{
	log_warning("%s lookup error for \"%.100s\"%s%s", found->table, key, found->why.text[0] ? ": " : "", found->why.text);
}

/* An empty value means a table whose author meant "not found": Postfix defers the mail, and so do we. */
static enum ost_found check_empty(const char *key, struct lookup *found)
{
	if (found->len > 0)
		return OST_FOUND;
	log_warning("%s lookup of %.100s returns an empty string result", found->table, key);
	log_warning("%s should return NO RESULT in case of NOT FOUND", found->table);
	why_set(&found->why, "%s: empty result", found->table);
	found->value = NULL;
	return OST_BADTABLE;
}

enum ost_found maps_ask(const struct maps *m, struct arena *a, const char *key, bool whole, struct lookup *found)
{
	size_t len = strlen(key);
	const char *lower = NULL;
	if (len == 0) /* as in Postfix: what is left of a partial address may be nothing */
		m = NULL;
	for (size_t i = 0; m && i < m->count; i++) {
		struct table *t = m->tables[i];
		bool pattern = table_flags(t) & OST_TABLE_WHOLE_KEYS;
		if (pattern && !whole)
			continue;
		if (!pattern && !lower)
			lower = table_fold(a, key);
		enum ost_found result = table_lookup(t, a, pattern ? key : lower, len, found);
		if (result == OST_FOUND)
			return check_empty(key, found);
		if (result != OST_NOTFOUND) {
			log_failure(key, found);
			return result;
		}
	}
	found->value = NULL;
	found->len = 0;
	return OST_NOTFOUND;
}

enum ost_found maps_find(const struct maps *m, struct arena *a, const char *key, struct lookup *found)
{
	if (m)
		CHECK_MAGIC(m, MAPS_MAGIC);
	return maps_ask(m, a, key, true, found);
}
