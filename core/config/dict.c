/* SPDX-License-Identifier: Apache-2.0 */
#include "config/dict.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	struct dict_entry entry;
	struct slot *next;
};
struct dict {
	struct arena *arena;
	struct slot **slots; /* a power of two of chains */
	size_t size, count, sets;
};

/* FNV-1a: the keys are an administrator's, not a stranger's. */
static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

struct dict *dict_new(struct arena *arena)
{
	struct dict *d = ARENA_NEW(arena, struct dict);
	d->arena = arena;
	d->size = 32;
	d->slots = arena_alloc(arena, d->size * sizeof *d->slots);
	return d;
}

/* Doubles the number of chains. */
static void grow(struct dict *d)
{
	size_t size = d->size * 2;
	struct slot **slots = arena_alloc(d->arena, size * sizeof *slots);
	for (size_t i = 0; i < d->size; i++) {
		for (struct slot *s = d->slots[i], *next; s; s = next) {
			next = s->next;
			struct slot **chain = &slots[hash_name(s->entry.name) & (size - 1)];
			s->next = *chain;
			*chain = s;
		}
	}
	d->slots = slots;
	d->size = size;
}

static struct slot *find(const struct dict *d, const char *name)
{
	struct slot *s = d->slots[hash_name(name) & (d->size - 1)];
	while (s && strcmp(s->entry.name, name) != 0)
		s = s->next;
	return s;
}

const char *dict_set(struct dict *d, const char *name, const char *value, const char *where)
{
	struct slot *s = find(d, name);
	const char *before = s ? s->entry.value : NULL;
	if (!s) {
		if (d->count >= d->size)
			grow(d);
		s = ARENA_NEW(d->arena, struct slot);
		s->entry.name = arena_strdup(d->arena, name);
		struct slot **chain = &d->slots[hash_name(name) & (d->size - 1)];
		s->next = *chain;
		*chain = s;
		d->count++;
	}
	s->entry.value = arena_strdup(d->arena, value);
	s->entry.where = arena_strdup(d->arena, where);
	s->entry.number = d->sets++;
	return before;
}

const struct dict_entry *dict_get(const struct dict *d, const char *name)
{
	const struct slot *s = d ? find(d, name) : NULL;
	return s ? &s->entry : NULL;
}

static int compare_names(const void *a, const void *b)
{
	const struct dict_entry *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

static int compare_numbers(const void *a, const void *b)
{
	const struct dict_entry *const *x = a, *const *y = b;
	return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

size_t dict_list(const struct dict *d, enum dict_order order, const struct dict_entry *const **list,
		 struct arena *arena)
{
	const struct dict_entry **all = arena_alloc(arena, (d->count + 1) * sizeof *all);
	size_t n = 0;
	for (size_t i = 0; i < d->size; i++)
		for (const struct slot *s = d->slots[i]; s; s = s->next)
			all[n++] = &s->entry;
	qsort(all, n, sizeof *all, order == DICT_BY_NAME ? compare_names : compare_numbers);
	*list = all;
	return n;
}
