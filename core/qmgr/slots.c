/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/slots.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

struct slot {
	void *p;
	uint32_t round; /* how often this slot has been used: the upper half of its number */
	uint32_t next;
};

uint64_t slots_add(struct slots *s, void *p)
{
	assert(p);
	if (!s->free) {
		uint32_t size = s->size ? s->size * 2 : 64;
		s->list = mem_realloc_array(s->list, size, sizeof *s->list);
		for (uint32_t i = s->size; i < size; i++)
			s->list[i] = (struct slot){ .round = 1, .next = i + 1 < size ? i + 2 : 0 };
		s->free = s->size + 1;
		s->size = size;
	}
	uint32_t at = s->free - 1;
	s->free = s->list[at].next;
	s->list[at].p = p;
	s->used++;
	return (uint64_t)s->list[at].round << 32 | at;
}

void *slots_find(const struct slots *s, uint64_t number)
{
	uint32_t at = (uint32_t)number;
	if (at >= s->size || s->list[at].round != number >> 32)
		return NULL;
	return s->list[at].p;
}

void *slots_take(struct slots *s, uint64_t number)
{
	void *p = slots_find(s, number);
	if (p) {
		struct slot *slot = &s->list[(uint32_t)number];
		slot->p = NULL;
		slot->next = s->free;
		if (++slot->round == 0)
			slot->round = 1;
		s->free = (uint32_t)number + 1;
		s->used--;
	}
	return p;
}

void *slots_next(const struct slots *s, uint64_t *number)
{
	for (uint32_t at = *number ? (uint32_t)*number + 1 : 0; at < s->size; at++) {
		if (s->list[at].p) {
			*number = (uint64_t)s->list[at].round << 32 | at;
			return s->list[at].p;
		}
	}
	return NULL;
}

void slots_free(struct slots *s)
{
	free(s->list);
	*s = (struct slots)SLOTS_INIT;
}
