/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BLOCK = 4096, FIRST_TABLE = 1024 };

void index_init(struct entry_index *x)
{
	*x = (struct entry_index){ .slots = 1, .mask = FIRST_TABLE - 1 };
	x->table = mem_zalloc(FIRST_TABLE * sizeof *x->table);
}

static struct entry *at_slot(const struct entry_index *x, uint32_t slot)
{
	return &x->blocks[slot / BLOCK][slot % BLOCK];
}

void index_free(struct entry_index *x)
{
	for (uint32_t i = 1; i < x->slots; i++)
		pending_free(at_slot(x, i)->pending);
	for (uint32_t i = 0; i < x->slots; i += BLOCK)
		if (x->blocks)
			free(x->blocks[i / BLOCK]);
	for (uint32_t i = 0; i < x->nsegments; i++)
		free(x->segments[i].logs);
	free(x->blocks);
	free(x->table);
	free(x->segments);
	free(x->logs);
	*x = (struct entry_index){ 0 };
}

/* Where the search for a serial starts. Serials follow each other: spread them. */
static size_t bucket(const struct entry_index *x, uint64_t serial)
{
	return (size_t)(serial * UINT64_C(0x9e3779b97f4a7c15) >> 20) & x->mask;
}

/* The place in the table where the serial is, or would go. */
static size_t probe(const struct entry_index *x, uint64_t serial)
{
	size_t i = bucket(x, serial);
	while (x->table[i] != NO_ENTRY && at_slot(x, x->table[i])->serial != serial)
		i = (i + 1) & x->mask;
	return i;
}

struct entry *index_find(struct entry_index *x, uint64_t serial)
{
	uint32_t slot = x->table[probe(x, serial)];
	return slot == NO_ENTRY ? NULL : at_slot(x, slot);
}

/* Doubles the table. */
static void grow_table(struct entry_index *x)
{
	uint32_t *old = x->table;
	size_t size = x->mask + 1;
	x->mask = size * 2 - 1;
	x->table = mem_zalloc(size * 2 * sizeof *x->table);
	for (size_t i = 0; i < size; i++)
		if (old[i] != NO_ENTRY)
			x->table[probe(x, at_slot(x, old[i])->serial)] = old[i];
	free(old);
}

/* An unused slot. */
static uint32_t new_slot(struct entry_index *x)
{
	if (x->free != NO_ENTRY) {
		uint32_t slot = x->free;
		x->free = at_slot(x, slot)->next;
		return slot;
	}
	uint32_t slot = x->slots++;
	if (slot % BLOCK == 0 || !x->blocks) {
		x->blocks = mem_realloc_array(x->blocks, slot / BLOCK + 1, sizeof *x->blocks);
		x->blocks[slot / BLOCK] = mem_zalloc(BLOCK * sizeof **x->blocks);
	}
	return slot;
}

struct entry *index_add(struct entry_index *x, uint64_t serial)
{
	if ((x->count + 1) * 4 > (x->mask + 1) * 3)
		grow_table(x);
	size_t i = probe(x, serial);
	assert(x->table[i] == NO_ENTRY);
	uint32_t slot = new_slot(x);
	struct entry *e = at_slot(x, slot);
	*e = (struct entry){ .serial = serial };
	x->table[i] = slot;
	x->count++;
	x->live++;
	return e;
}

void index_drop(struct entry_index *x, struct entry *e)
{
	assert(!e->pending && e->segment == 0);
	size_t hole = probe(x, e->serial);
	uint32_t slot = x->table[hole];
	assert(slot != NO_ENTRY);
	x->count--;
	x->live -= !(e->flags & ENTRY_GONE);
	*e = (struct entry){ .next = x->free };
	x->free = slot;
	x->table[hole] = NO_ENTRY;
	/* Close the hole: what was pushed past it moves back. */
	for (size_t i = (hole + 1) & x->mask; x->table[i] != NO_ENTRY; i = (i + 1) & x->mask) {
		size_t home = bucket(x, at_slot(x, x->table[i])->serial);
		if (((i - home) & x->mask) >= ((i - hole) & x->mask)) {
			x->table[hole] = x->table[i];
			x->table[i] = NO_ENTRY;
			hole = i;
		}
	}
}

/* ---- segments and logs ----------------------------------------------------------------------- */

/* A longer array, its new members zero. */
static void *longer(void *p, uint32_t *n, uint32_t want, size_t size)
{
	if (want < *n)
		return p;
	uint32_t more = want + want / 2 + 8;
	p = mem_realloc_array(p, more, size);
	memset((char *)p + *n * size, 0, (more - *n) * size);
	*n = more;
	return p;
}

struct journal_segment *index_segment(struct entry_index *x, uint32_t number)
{
	x->segments = longer(x->segments, &x->nsegments, number, sizeof *x->segments);
	return &x->segments[number];
}

struct result_log *index_log(struct entry_index *x, uint32_t number)
{
	x->logs = longer(x->logs, &x->nlogs, number, sizeof *x->logs);
	return &x->logs[number];
}

/* The slot of an entry. */
static uint32_t slot_of(const struct entry_index *x, const struct entry *e)
{
	return x->table[probe(x, e->serial)];
}

void segment_link(struct entry_index *x, struct entry *e, uint32_t number)
{
	assert(e->segment == 0 && number > 0 && number <= UINT16_MAX && !(e->flags & ENTRY_GONE));
	struct journal_segment *s = index_segment(x, number);
	uint32_t slot = slot_of(x, e);
	e->segment = (uint16_t)number;
	e->prev = s->last;
	e->next = NO_ENTRY;
	if (s->last != NO_ENTRY)
		at_slot(x, s->last)->next = slot;
	else
		s->first = slot;
	s->last = slot;
	s->live++;
}

void segment_unlink(struct entry_index *x, struct entry *e)
{
	if (e->segment == 0)
		return;
	assert(!(e->flags & ENTRY_GONE));
	struct journal_segment *s = index_segment(x, e->segment);
	if (e->prev != NO_ENTRY)
		at_slot(x, e->prev)->next = e->next;
	else
		s->first = e->next;
	if (e->next != NO_ENTRY)
		at_slot(x, e->next)->prev = e->prev;
	else
		s->last = e->prev;
	s->live--;
	e->segment = 0;
	e->next = e->prev = NO_ENTRY;
}

struct entry *segment_first(struct entry_index *x, const struct journal_segment *s)
{
	return s->first == NO_ENTRY ? NULL : at_slot(x, s->first);
}

struct entry *segment_next(struct entry_index *x, const struct entry *e)
{
	return e->next == NO_ENTRY ? NULL : at_slot(x, e->next);
}

void segment_needs_log(struct entry_index *x, uint32_t number, uint32_t log)
{
	struct journal_segment *s = index_segment(x, number);
	size_t word = log / 64;
	if (word >= s->words) {
		s->logs = mem_realloc_array(s->logs, word + 1, sizeof *s->logs);
		memset(s->logs + s->words, 0, (word + 1 - s->words) * sizeof *s->logs);
		s->words = word + 1;
	}
	uint64_t bit = UINT64_C(1) << log % 64;
	if (s->logs[word] & bit)
		return;
	s->logs[word] |= bit;
	index_log(x, log)->refs++;
}

void segment_forget_logs(struct entry_index *x, uint32_t number)
{
	struct journal_segment *s = index_segment(x, number);
	for (size_t i = 0; i < s->words * 64; i++)
		if (s->logs[i / 64] & UINT64_C(1) << i % 64)
			index_log(x, (uint32_t)i)->refs--;
	free(s->logs);
	s->logs = NULL;
	s->words = 0;
}

void entry_add_pending(struct entry_index *x, struct entry *e, struct pending *p)
{
	while (p) {
		struct pending *next = p->next;
		index_log(x, p->log)->refs++;
		p->next = e->pending;
		e->pending = p;
		p = next;
	}
}

void entry_drop_pending(struct entry_index *x, struct entry *e, struct pending *from)
{
	struct pending **at = &e->pending;
	while (*at && *at != from)
		at = &(*at)->next;
	for (const struct pending *p = *at; p; p = p->next)
		index_log(x, p->log)->refs--;
	pending_free(*at);
	*at = NULL;
}

void entry_bury(struct entry_index *x, struct entry *e)
{
	assert(e->segment != 0);
	for (const struct pending *p = e->pending; p; p = p->next)
		segment_needs_log(x, e->segment, p->log);
	entry_drop_pending(x, e, e->pending);
	uint32_t number = e->segment;
	segment_unlink(x, e);
	struct journal_segment *s = index_segment(x, number);
	e->segment = (uint16_t)number;
	e->next = s->gone;
	s->gone = slot_of(x, e);
	e->flags |= ENTRY_GONE;
	x->live--;
}

void segment_forget_gone(struct entry_index *x, uint32_t number)
{
	struct journal_segment *s = index_segment(x, number);
	for (uint32_t slot = s->gone, next; slot != NO_ENTRY; slot = next) {
		struct entry *e = at_slot(x, slot);
		next = e->next;
		e->segment = 0;
		index_drop(x, e);
	}
	s->gone = NO_ENTRY;
}
