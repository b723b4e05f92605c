/* SPDX-License-Identifier: Apache-2.0 */
#include "process/counters.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "process/rates.h"

enum { BUCKETS = 2048, BUCKET_SLOTS = 8, CHOICES = 2, COUNT_BITS = 24 };
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

/* A slot: 40 bits of the key's hash above 24 bits of count; free when the count is 0. */
struct column {
	_Alignas(64) atomic_int active;
	atomic_int parked;
	_Alignas(64) _Atomic uint64_t slots[BUCKETS][BUCKET_SLOTS];
};

struct counters {
	uint64_t seed;    /* constant after counters_init() */
	atomic_uint used; /* columns below this one have been used */
	struct column columns[COUNTER_COLUMNS];
	struct rate_table rates;
};

/* The process's mapping: set once at its start, before its threads. */
static struct counters *mine;
static struct column *own;

size_t counters_bytes(void)
{
	return sizeof(struct counters);
}

void counters_init(void *page)
{
	struct counters *c = page;
	if (getrandom(&c->seed, sizeof c->seed, 0) != sizeof c->seed)
		c->seed = (uintptr_t)page;
}

void counters_attach(void *page, unsigned column)
{
	assert(column < COUNTER_COLUMNS);
	mine = page;
	own = &mine->columns[column];
	rates_attach(&mine->rates, mine->seed);
	unsigned used = atomic_load(&mine->used);
	while (used <= column && !atomic_compare_exchange_weak(&mine->used, &used, column + 1))
		;
}

static uint64_t key_hash(enum counter_kind kind, const char *key)
{
	return XXH3_64bits_withSeed(key, strlen(key),
				    mine->seed + (uint64_t)kind * UINT64_C(0x9e3779b97f4a7c15));
}

/* The places of a key in a column: bucket `choice` of two. */
static _Atomic uint64_t *bucket_of(struct column *c, uint64_t hash, int choice)
{
	return c->slots[(choice == 0 ? hash : hash >> 11) % BUCKETS];
}

/* Finds a slot of the key (count above 0), or, when vacant is set, a free one. NULL: none. */
static _Atomic uint64_t *find_slot(struct column *c, uint64_t hash, bool vacant, uint64_t *word)
{
	for (int choice = 0; choice < CHOICES; choice++) {
		_Atomic uint64_t *slots = bucket_of(c, hash, choice);
		for (int i = 0; i < BUCKET_SLOTS; i++) {
			*word = atomic_load_explicit(&slots[i], memory_order_relaxed);
			bool is_free = (*word & COUNT_MASK) == 0;
			if (vacant ? is_free : !is_free && *word >> COUNT_BITS == hash >> COUNT_BITS)
				return &slots[i];
		}
	}
	return NULL;
}

/* One up. */
static bool count_up(uint64_t hash)
{
	for (;;) {
		uint64_t word;
		_Atomic uint64_t *slot = find_slot(own, hash, false, &word);
		uint64_t next = word + 1;
		if (!slot) {
			slot = find_slot(own, hash, true, &word);
			next = (hash & ~COUNT_MASK) | 1;
		}
		if (!slot || (word & COUNT_MASK) == COUNT_MASK)
			return false;
		if (atomic_compare_exchange_weak(slot, &word, next))
			return true;
	}
}

/* One down. */
static bool count_down(uint64_t hash)
{
	for (;;) {
		uint64_t word;
		_Atomic uint64_t *slot = find_slot(own, hash, false, &word);
		if (!slot)
			return false;
		if (atomic_compare_exchange_weak(slot, &word, word - 1))
			return true;
	}
}

bool counters_add(enum counter_kind kind, const char *key, int delta)
{
	if (!mine)
		return false;
	uint64_t hash = key_hash(kind, key);
	bool ok = true;
	for (; delta > 0 && ok; delta--)
		ok = count_up(hash);
	for (; delta < 0 && ok; delta++)
		ok = count_down(hash);
	return ok;
}

/* The count in one column: a race of two threads may have made two slots of one key. */
static unsigned count_in(struct column *c, uint64_t hash)
{
	unsigned sum = 0;
	bool one_bucket = bucket_of(c, hash, 0) == bucket_of(c, hash, 1);
	for (int choice = 0; choice < (one_bucket ? 1 : CHOICES); choice++) {
		_Atomic uint64_t *slots = bucket_of(c, hash, choice);
		for (int i = 0; i < BUCKET_SLOTS; i++) {
			uint64_t word = atomic_load_explicit(&slots[i], memory_order_relaxed);
			if (word >> COUNT_BITS == hash >> COUNT_BITS)
				sum += (unsigned)(word & COUNT_MASK);
		}
	}
	return sum;
}

unsigned counters_sum(enum counter_kind kind, const char *key)
{
	if (!mine)
		return 0;
	uint64_t hash = key_hash(kind, key);
	unsigned used = atomic_load(&mine->used), sum = 0;
	for (unsigned i = 0; i < used && i < COUNTER_COLUMNS; i++)
		sum += count_in(&mine->columns[i], hash);
	return sum;
}

void counters_busy(int active, int parked)
{
	if (!own)
		return;
	atomic_store_explicit(&own->active, active, memory_order_relaxed);
	atomic_store_explicit(&own->parked, parked, memory_order_relaxed);
}

void counters_clear(void *page, unsigned column)
{
	struct counters *c = page;
	assert(column < COUNTER_COLUMNS);
	struct column *col = &c->columns[column];
	atomic_store(&col->active, 0);
	atomic_store(&col->parked, 0);
	for (size_t b = 0; b < BUCKETS; b++) {
		for (size_t i = 0; i < BUCKET_SLOTS; i++) {
			if (atomic_load_explicit(&col->slots[b][i], memory_order_relaxed))
				atomic_store_explicit(&col->slots[b][i], 0, memory_order_relaxed);
		}
	}
}

void counters_busy_of(const void *page, unsigned column, int *active, int *parked)
{
	const struct counters *c = page;
	assert(column < COUNTER_COLUMNS);
	*active = atomic_load_explicit(&c->columns[column].active, memory_order_relaxed);
	*parked = atomic_load_explicit(&c->columns[column].parked, memory_order_relaxed);
}
