/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/magic.h"
#include "base/mem.h"

#define ARENA_MAGIC 0xa2e4a001u
enum { FIRST_BLOCK = 2048, MAX_BLOCK = 65536 };

struct block {
	struct block *next;
	size_t used, size;
	alignas(16) char data[];
};

struct arena {
	unsigned magic;
	struct block *blocks; /* the newest first; the last is the first one made */
	size_t total;
};

/* Puts a block of at least size bytes in front. */
static void add_block(struct arena *a, size_t size)
{
	size_t want = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;
	if (want > MAX_BLOCK)
		want = MAX_BLOCK;
	if (want < size)
		want = size;
	struct block *b = mem_alloc(sizeof *b + want);
	b->next = a->blocks;
	b->used = 0;
	b->size = want;
	a->blocks = b;
	a->total += want;
}

struct arena *arena_new(void)
{
	struct arena *a = MEM_NEW(struct arena);
	a->magic = ARENA_MAGIC;
	return a;
}

/* Frees all blocks in front of keep. */
static void drop_blocks(struct arena *a, bool keep_first)
{
	while (a->blocks && !(keep_first && !a->blocks->next)) {
		struct block *b = a->blocks;
		a->blocks = b->next;
		a->total -= b->size;
		free(b);
	}
}

void arena_destroy(struct arena **ap)
{
	struct arena *a = *ap;
	if (!a)
		return;
	CHECK_MAGIC(a, ARENA_MAGIC);
	drop_blocks(a, false);
	a->magic = 0;
	free(a);
	*ap = NULL;
}

void arena_reset(struct arena *a)
{
	CHECK_MAGIC(a, ARENA_MAGIC);
	drop_blocks(a, true);
	if (a->blocks)
		a->blocks->used = 0;
}

size_t arena_size(const struct arena *a)
{
	return a->total;
}

/* Room that is not zeroed. */
static void *take(struct arena *a, size_t size)
{
	CHECK_MAGIC(a, ARENA_MAGIC);
	size_t need = (size + 15) & ~(size_t)15;
	assert(need >= size);
	if (!a->blocks || a->blocks->size - a->blocks->used < need)
		add_block(a, need);
	void *p = a->blocks->data + a->blocks->used;
	a->blocks->used += need;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	return memset(take(a, size), 0, size);
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
	void *copy = take(a, n);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_dup(a, s, strlen(s) + 1);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *copy = take(a, n + 1);
	if (n)
		memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	assert(n >= 0);
	char *s = take(a, (size_t)n + 1);
	vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return s;
}
