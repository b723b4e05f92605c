/* SPDX-License-Identifier: Apache-2.0
 * A binary heap of deadlines whose items know their places, so that any one can be removed. Not locked. */
#ifndef BASE_WAITHEAP_H
#define BASE_WAITHEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_item {
	int64_t key;
	size_t place; /* 1 and up; 0: not in a heap */
};

struct heap {
	struct heap_item **items; /* items[1..count] */
	size_t count, cap;
};

void heap_set(struct heap *, struct heap_item *, int64_t key); /* inserts or moves */
void heap_remove(struct heap *, struct heap_item *);           /* one that is not there is fine */
void heap_free(struct heap *);

static inline struct heap_item *heap_first(const struct heap *h)
{
	return h->count ? h->items[1] : NULL;
}
/* Does the heap already speak up for this item at `key` or earlier? */
static inline bool heap_within(const struct heap_item *item, int64_t key)
{
	return item->place && item->key <= key;
}

#endif
