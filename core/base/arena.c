/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/magic.h"
#include "base/mem.h"

#define ARENA_MAGIC 0xa2e4a001u
/* An arena and its first block are one piece, of a size that malloc() keeps ready for each thread. */
enum { WHOLE = 1024, SECOND_BLOCK = 2048, MAX_BLOCK = 65536 };

struct block {
	struct block *next;
	size_t used, size;
	alignas(16) char data[];
};

struct arena {
	unsigned magic;
	struct block *blocks; /* the newest first; the last is the one behind this struct */
	size_t total;
};
enum { ARENA_HEAD = (sizeof(struct arena) + 15) / 16 * 16, FIRST_BLOCK = WHOLE - ARENA_HEAD - sizeof(struct block) };

/* Puts a block of at least size bytes in front. */
static void add_block(struct arena *a, size_t size)
{
	size_t want = a->blocks->next ? a->blocks->size * 2 : SECOND_BLOCK;
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
	char *whole = mem_alloc(WHOLE);
	struct arena *a = (void *)whole;
	struct block *first = (void *)(whole + ARENA_HEAD);
	*first = (struct block){ .size = FIRST_BLOCK };
	*a = (struct arena){ .magic = ARENA_MAGIC, .blocks = first, .total = FIRST_BLOCK };
	return a;
}

/* Frees all blocks but the first. */
static void drop_blocks(struct arena *a)
{
	for (struct block *b; (b = a->blocks)->next; free(b)) {
		a->blocks = b->next;
		a->total -= b->size;
	}
}

void arena_destroy(struct arena **ap)
{
	struct arena *a = *ap;
	if (!a)
		return;
	CHECK_MAGIC(a, ARENA_MAGIC);
	drop_blocks(a);
	a->magic = 0;
	free(a);
	*ap = NULL;
}

void arena_reset(struct arena *a)
{
	CHECK_MAGIC(a, ARENA_MAGIC);
	drop_blocks(a);
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
	if (a->blocks->size - a->blocks->used < need)
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
	char text[256]; /* long enough nearly always: formatted once */
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	assert(n >= 0);
	char *s = take(a, (size_t)n + 1);
	if ((size_t)n < sizeof text)
		memcpy(s, text, (size_t)n + 1);
	else
		vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return s;
}
