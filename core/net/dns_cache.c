/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns_cache.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"

#define CACHE_MAGIC 0x446e7343u
enum { ENTRIES_MAX = 2048, TTL_MAX = 3600, TTL_NEGATIVE = 60, KEY_SIZE = 272 };

struct entry {
	char key[KEY_SIZE]; /* "15 example.com" */
	struct arena *arena;
	struct dns_answer answer;
	enum dns_outcome outcome;
	struct ost_why why;
	int64_t expires;
	UT_hash_handle hh; /* in the order of insertion */
};

struct dns_cache {
	unsigned magic;
	pthread_mutex_t lock; /* guards entries */
	struct entry *entries;
};

struct dns_cache *dns_cache_new(void)
{
	struct dns_cache *c = MEM_NEW(struct dns_cache);
	c->magic = CACHE_MAGIC;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

/* The lock is held. */
static void drop(struct dns_cache *c, struct entry *e)
{
	HASH_DEL(c->entries, e);
	arena_destroy(&e->arena);
	free(e);
}

void dns_cache_destroy(struct dns_cache **cp)
{
	struct dns_cache *c = *cp;
	if (!c)
		return;
	CHECK_MAGIC(c, CACHE_MAGIC);
	while (c->entries)
		drop(c, c->entries);
	pthread_mutex_destroy(&c->lock);
	c->magic = 0;
	free(c);
	*cp = NULL;
}

static void make_key(char key[KEY_SIZE], const char *name, enum dns_type type)
{
	int n = snprintf(key, KEY_SIZE, "%d %s", (int)type, name);
	for (int i = 0; i < n && i < KEY_SIZE - 1; i++)
		key[i] = (char)tolower((unsigned char)key[i]);
}

static void copy_answer(struct arena *a, const struct dns_answer *from, struct dns_answer *to)
{
	*to = (struct dns_answer){ .count = from->count };
	to->canonical = from->canonical ? arena_strdup(a, from->canonical) : NULL;
	to->list = arena_alloc(a, (from->count + 1) * sizeof(struct dns_record));
	for (size_t i = 0; i < from->count; i++) {
		to->list[i] = from->list[i];
		to->list[i].text = arena_strdup(a, from->list[i].text);
	}
}

bool dns_cache_find(struct dns_cache *c, struct arena *a, const char *name, enum dns_type type, struct dns_answer *answer,
		    enum dns_outcome *outcome, struct ost_why *why)
{
	char key[KEY_SIZE];
	struct entry *e;
	CHECK_MAGIC(c, CACHE_MAGIC);
	make_key(key, name, type);
	pthread_mutex_lock(&c->lock);
	HASH_FIND_STR(c->entries, key, e);
	if (e && e->expires <= clock_mono()) {
		drop(c, e);
		e = NULL;
	}
	if (e) {
		copy_answer(a, &e->answer, answer);
		*outcome = e->outcome;
		if (why)
			*why = e->why;
	}
	pthread_mutex_unlock(&c->lock);
	return e != NULL;
}

void dns_cache_add(struct dns_cache *c, const char *name, enum dns_type type, const struct dns_answer *answer,
		   enum dns_outcome outcome, const struct ost_why *why, int ttl)
{
	int most = outcome == DNS_FOUND ? TTL_MAX : TTL_NEGATIVE;
	if (ttl <= 0)
		return;
	CHECK_MAGIC(c, CACHE_MAGIC);
	struct entry *e = MEM_NEW(struct entry), *old;
	make_key(e->key, name, type);
	e->arena = arena_new();
	copy_answer(e->arena, answer, &e->answer);
	e->outcome = outcome;
	if (why)
		e->why = *why;
	e->expires = clock_mono() + (ttl < most ? ttl : most) * CLOCK_SECOND;
	pthread_mutex_lock(&c->lock);
	HASH_FIND_STR(c->entries, e->key, old);
	if (old)
		drop(c, old);
	else if (HASH_COUNT(c->entries) >= ENTRIES_MAX)
		drop(c, c->entries);
	HASH_ADD_STR(c->entries, key, e);
	pthread_mutex_unlock(&c->lock);
}
