/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SHARDS_MAX = 64, SHARD_MIN = 64 }; /* shards; entries in the smallest one */

/* ---- shards ------------------------------------------------------------------------------------------------------ */

static bool shard_open(struct shard *s, size_t max)
{
	size_t buckets = 1;
	pthread_condattr_t attr;
	while (buckets < max)
		buckets *= 2;
	*s = (struct shard){ .mask = buckets - 1,
			     .max = max,
			     .buckets = calloc(buckets, sizeof *s->buckets) };
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->landed, &attr);
	pthread_condattr_destroy(&attr);
	return s->buckets != NULL;
}

static void shard_close(struct shard *s)
{
	while (s->newest) {
		struct entry *e = s->newest;
		s->newest = e->older;
		free(e);
	}
	free(s->buckets);
	pthread_cond_destroy(&s->landed);
	pthread_mutex_destroy(&s->lock);
}

bool store_open(struct store *store, size_t entries, uint64_t seed)
{
	size_t shards = 1;
	while (shards < SHARDS_MAX && shards * 2 * SHARD_MIN <= entries)
		shards *= 2;
	*store = (struct store){ .seed = seed, .shards = shards };
	store->shard = aligned_alloc(_Alignof(struct shard), shards * sizeof *store->shard);
	if (!store->shard)
		return false;
	bool ok = true;
	for (size_t i = 0; i < shards; i++)
		ok = shard_open(&store->shard[i], entries / shards) && ok;
	if (!ok)
		store_close(store);
	return ok;
}

void store_close(struct store *store)
{
	for (size_t i = 0; i < store->shards; i++)
		shard_close(&store->shard[i]);
	free(store->shard);
	*store = (struct store){ 0 };
}

/* With a seed that nobody outside knows, so that nobody can send keys that all fall together. */
uint64_t store_hash(const struct store *store, const char *key, size_t klen)
{
	return XXH3_64bits_withSeed(key, klen, store->seed);
}

/* The high bits choose the shard, the low ones the bucket. */
struct shard *store_shard(const struct store *store, uint64_t hash)
{
	return &store->shard[(hash >> 48) & (store->shards - 1)];
}

/* ---- the order of use -------------------------------------------------------------------------------------------- */

static void order_leave(struct shard *s, struct entry *e)
{
	*(e->newer ? &e->newer->older : &s->newest) = e->older;
	*(e->older ? &e->older->newer : &s->oldest) = e->newer;
}

static void order_enter(struct shard *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = e;
	s->newest = e;
}

void shard_used(struct shard *s, struct entry *e)
{
	if (s->newest == e)
		return;
	order_leave(s, e);
	order_enter(s, e);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

struct entry *shard_find(const struct shard *s, uint64_t hash, const char *key, size_t klen)
{
	struct entry *e = s->buckets[hash & s->mask];
	while (e && (e->hash != hash || e->klen != klen || memcmp(e->bytes, key, klen) != 0))
		e = e->next;
	return e;
}

static void shard_remove(struct shard *s, struct entry *e)
{
	struct entry **at = &s->buckets[e->hash & s->mask];
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	order_leave(s, e);
	s->count--;
	free(e);
}

struct entry *shard_put(struct shard *s, const struct entry *from, const char *key, const char *value)
{
	struct entry *old = shard_find(s, from->hash, key, from->klen);
	size_t len = (size_t)from->klen + from->vlen;
	struct entry *e = len <= STORE_ENTRY_MAX ? malloc(sizeof *e + len + 2) : NULL;
	if (old)
		shard_remove(s, old);
	if (!e)
		return NULL;
	*e = *from;
	memcpy(e->bytes, key, e->klen);
	e->bytes[e->klen] = '\0';
	memcpy(e->bytes + e->klen + 1, value, e->vlen);
	e->bytes[len + 1] = '\0';
	if (s->count == s->max)
		shard_remove(s, s->oldest);
	e->next = s->buckets[e->hash & s->mask];
	s->buckets[e->hash & s->mask] = e;
	order_enter(s, e);
	s->count++;
	return e;
}
