/* SPDX-License-Identifier: Apache-2.0 */
#include "process/rates.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <xxhash.h>

/* A slot: 24 bits of the key's hash, 20 bits of the second its window began, 20 bits of count; free when the count is 0. */
enum { COUNT_BITS = 20, TIME_BITS = 20, TAG_SHIFT = COUNT_BITS + TIME_BITS };
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define TIME_MASK  ((UINT64_C(1) << TIME_BITS) - 1)

/* The process's mapping: set once at its start, before its threads. */
static struct rate_table *table;
static uint64_t table_seed;

void rates_attach(struct rate_table *t, uint64_t seed)
{
	table = t;
	table_seed = seed;
}

static uint64_t slot_word(uint64_t hash, int64_t begin, uint64_t count)
{
	return hash >> TAG_SHIFT << TAG_SHIFT | ((uint64_t)begin & TIME_MASK) << COUNT_BITS | count;
}

/* Is there no count, or is its window over? */
static bool over(uint64_t word, int64_t now, int64_t unit)
{
	uint64_t age = ((uint64_t)now - (word >> COUNT_BITS)) & TIME_MASK;
	return (word & COUNT_MASK) == 0 || age >= (uint64_t)unit;
}

/* The key's slot; else the one a new key takes: one that is over, or that with the lowest count. */
static _Atomic uint64_t *choose(uint64_t hash, int64_t now, int64_t unit, uint64_t *word, bool *found)
{
	_Atomic uint64_t *slots = table->slots[hash % RATE_BUCKETS], *best = NULL;
	uint64_t best_count = UINT64_MAX;
	for (int i = 0; i < RATE_SLOTS; i++) {
		uint64_t here = atomic_load_explicit(&slots[i], memory_order_relaxed);
		bool gone = over(here, now, unit);
		uint64_t count = gone ? 0 : here & COUNT_MASK;
		*found = !gone && here >> TAG_SHIFT == hash >> TAG_SHIFT;
		if (*found || count < best_count) {
			best = &slots[i];
			best_count = count;
			*word = here;
		}
		if (*found)
			break;
	}
	return best;
}

unsigned rates_count(enum rate_kind kind, const char *key, int64_t now, int64_t unit)
{
	assert(unit > 0 && unit <= RATE_UNIT_MOST);
	if (!table)
		return 0;
	uint64_t hash = XXH3_64bits_withSeed(key, strlen(key), table_seed + (uint64_t)kind * UINT64_C(0x9e3779b97f4a7c15));
	for (;;) {
		bool found;
		uint64_t word = 0, next;
		_Atomic uint64_t *slot = choose(hash, now, unit, &word, &found);
		if (found && (word & COUNT_MASK) == COUNT_MASK)
			return (unsigned)COUNT_MASK;
		next = found ? word + 1 : slot_word(hash, now, 1);
		if (atomic_compare_exchange_weak(slot, &word, next))
			return (unsigned)(next & COUNT_MASK);
	}
}
