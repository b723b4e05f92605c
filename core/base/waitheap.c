/* SPDX-License-Identifier: Apache-2.0 */
#include "base/waitheap.h"

#include <stdlib.h>

#include "base/mem.h"

/* Puts an item at a place. */
static void put(struct heap *h, size_t at, struct heap_item *item)
{
	h->items[at] = item;
	item->place = at;
}

/* Moves the item at a place towards the root while it is earlier than what is above it. */
static void sift_up(struct heap *h, size_t at)
{
	struct heap_item *item = h->items[at];
	for (; at > 1 && h->items[at / 2]->key > item->key; at /= 2)
		put(h, at, h->items[at / 2]);
	put(h, at, item);
}

/* Moves the item at a place away from the root while something below it is earlier. */
static void sift_down(struct heap *h, size_t at)
{
	struct heap_item *item = h->items[at];
	for (;;) {
		size_t child = at * 2;
		if (child > h->count)
			break;
		if (child < h->count && h->items[child + 1]->key < h->items[child]->key)
			child++;
		if (h->items[child]->key >= item->key)
			break;
		put(h, at, h->items[child]);
		at = child;
	}
	put(h, at, item);
}

void heap_set(struct heap *h, struct heap_item *item, int64_t key)
{
	item->key = key;
	if (!item->place) {
		if (h->count + 1 >= h->cap) {
			h->cap = h->cap ? h->cap * 2 : 64;
			h->items = mem_realloc_array(h->items, h->cap, sizeof *h->items);
		}
		put(h, ++h->count, item);
	}
	sift_up(h, item->place);
	sift_down(h, item->place);
}

void heap_remove(struct heap *h, struct heap_item *item)
{
	size_t at = item->place;
	if (!at)
		return;
	item->place = 0;
	struct heap_item *last = h->items[h->count--];
	if (last == item)
		return;
	put(h, at, last);
	sift_up(h, last->place);
	sift_down(h, last->place);
}

void heap_free(struct heap *h)
{
	free(h->items);
	*h = (struct heap){ 0 };
}
