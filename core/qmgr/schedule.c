/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/schedule.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "qmgr/entry.h"

static void put(struct schedule *s, size_t at, struct entry *e)
{
	s->heap[at] = e;
	e->heap_at = (uint32_t)at + 1;
}

/* Moves e from the hole at `at` towards the top. */
static void sift_up(struct schedule *s, size_t at, struct entry *e)
{
	while (at > 0 && s->heap[(at - 1) / 2]->due > e->due) {
		put(s, at, s->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(s, at, e);
}

/* Moves e from the hole at `at` towards the bottom. */
static void sift_down(struct schedule *s, size_t at, struct entry *e)
{
	for (size_t child; (child = at * 2 + 1) < s->count; at = child) {
		if (child + 1 < s->count && s->heap[child + 1]->due < s->heap[child]->due)
			child++;
		if (s->heap[child]->due >= e->due)
			break;
		put(s, at, s->heap[child]);
	}
	put(s, at, e);
}

void schedule_add(struct schedule *s, struct entry *e, int64_t due)
{
	assert(e->heap_at == 0 && s->count < UINT32_MAX - 1);
	if (s->count == s->size) {
		s->size = s->size ? s->size * 2 : 256;
		s->heap = mem_realloc_array(s->heap, s->size, sizeof *s->heap);
	}
	e->due = due;
	s->count++;
	sift_up(s, s->count - 1, e);
}

void schedule_remove(struct schedule *s, struct entry *e)
{
	if (e->heap_at == 0)
		return;
	size_t at = e->heap_at - 1;
	assert(at < s->count && s->heap[at] == e);
	struct entry *last = s->heap[--s->count];
	e->heap_at = 0;
	if (last == e)
		return;
	if (at > 0 && s->heap[(at - 1) / 2]->due > last->due)
		sift_up(s, at, last);
	else
		sift_down(s, at, last);
}

struct entry *schedule_first(const struct schedule *s)
{
	return s->count ? s->heap[0] : NULL;
}

struct entry *schedule_any(const struct schedule *s)
{
	return s->count ? s->heap[s->count - 1] : NULL;
}

bool schedule_has(const struct schedule *s, const struct entry *e)
{
	return e->heap_at > 0 && e->heap_at <= s->count && s->heap[e->heap_at - 1] == e;
}

void schedule_free(struct schedule *s)
{
	free(s->heap);
	*s = (struct schedule){ 0 };
}
