/* SPDX-License-Identifier: Apache-2.0
 * Answers in memory: a bounded number, least recently used out, spread over shards that have a lock each. */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_ENTRY_MAX = 16384 }; /* bytes of key and value: what is longer is not kept */

struct entry {
	struct entry *next;          /* in its bucket */
	struct entry *newer, *older; /* in the order of use */
	uint64_t hash;
	uint64_t version; /* of the table behind, when it was asked: with another one the entry is as good as
			     gone */
	int64_t fresh_until; /* host->now() */
	int64_t stale_until;
	uint32_t klen, vlen;
	bool found;   /* false: the table has no such key */
	char bytes[]; /* key, NUL, value, NUL */
};

struct flight; /* a question that is under way: cache.c */

/* What is in a shard is touched with its lock alone. */
struct shard {
	pthread_mutex_t lock;
	pthread_cond_t landed; /* a flight of this shard has */
	struct flight *flights;
	struct entry **buckets;
	struct entry *newest, *oldest;
	size_t mask, count, max;
} __attribute__((aligned(128))); /* threads on different shards do not share cache lines */

struct store {
	uint64_t seed;
	size_t shards; /* a power of two */
	struct shard *shard;
};

bool store_open(struct store *, size_t entries, uint64_t seed); /* false: no memory, nothing is left */
void store_close(struct store *);

uint64_t store_hash(const struct store *, const char *key, size_t klen);
struct shard *store_shard(const struct store *, uint64_t hash);

/* ---- with the shard's lock ----------------------------------------------------------------------------------------- */
/* NULL: not there. */
struct entry *shard_find(const struct shard *, uint64_t hash, const char *key, size_t klen);
/* It has been used: others leave before it. */
void shard_used(struct shard *, struct entry *);
/* Takes a copy over in place of the present entry of that key, if there is one; e tells all but the links.
 * NULL: no memory, or too long; then there is none. */
struct entry *shard_put(struct shard *, const struct entry *e, const char *key, const char *value);
static inline const char *entry_value(const struct entry *e)
{
	return e->bytes + e->klen + 1;
}

#endif
