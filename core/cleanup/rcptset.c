/* SPDX-License-Identifier: Apache-2.0
 * The recipients of one message: expansion, and one entry for each that is asked for twice. */
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/magic.h"
#include "cleanup/cleaner.h"
#include "mail/ascii.h"

#define RCPT_SET_MAGIC 0x4c975e70u

struct rcpt_set {
	unsigned magic;
	const struct cleaner *cleaner;
	struct arena *arena;
	struct spool_rcpt *list;
	size_t count, cap;
	uint32_t *index; /* open addressing: number of the entry + 1, 0: free; made when the list grows beyond a few */
	size_t index_size;
	bool failed;
	struct ost_why why; /* when failed */
};

struct rcpt_set *rcpt_set_new(const struct cleaner *c, struct arena *a)
{
	CHECK_MAGIC(c, CLEANER_MAGIC);
	struct rcpt_set *s = ARENA_NEW(a, struct rcpt_set);
	s->magic = RCPT_SET_MAGIC;
	s->cleaner = c;
	s->arena = a;
	return s;
}

/* FNV-1a over a string, letters folded. NULL counts as empty. */
static uint32_t mix(uint32_t h, const char *s)
{
	for (; s && *s; s++)
		h = (h ^ (unsigned char)ascii_lower(*s)) * 16777619u;
	return (h ^ 0xffu) * 16777619u;
}

static uint32_t hash_of(const struct spool_rcpt *r)
{
	return mix(mix(mix(2166136261u ^ r->notify, r->address), r->original), r->orcpt);
}

static bool same_text(const char *a, const char *b)
{
	return strcasecmp(a ? a : "", b ? b : "") == 0;
}

static bool same(const struct spool_rcpt *a, const struct spool_rcpt *b)
{
	return a->notify == b->notify && same_text(a->address, b->address) && same_text(a->original, b->original) &&
	       same_text(a->orcpt, b->orcpt);
}

/* Puts entry `number` into the index, which has room. */
static void index_put(struct rcpt_set *s, uint32_t number)
{
	size_t at = hash_of(&s->list[number]) & (s->index_size - 1);
	while (s->index[at])
		at = (at + 1) & (s->index_size - 1);
	s->index[at] = number + 1;
}

/* Makes room for one more entry, in list and index. */
static void grow(struct rcpt_set *s)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 4;
		struct spool_rcpt *list = arena_alloc(s->arena, cap * sizeof *list);
		if (s->count)
			memcpy(list, s->list, s->count * sizeof *list);
		s->list = list;
		s->cap = cap;
	}
	if (s->count * 2 < s->index_size)
		return;
	s->index_size = s->index_size ? s->index_size * 4 : 16;
	s->index = arena_alloc(s->arena, s->index_size * sizeof *s->index);
	for (uint32_t i = 0; i < s->count; i++)
		index_put(s, i);
}

/* Adds an entry unless it is there. */
static void add_once(struct rcpt_set *s, const struct spool_rcpt *r)
{
	grow(s);
	for (size_t at = hash_of(r) & (s->index_size - 1); s->index[at]; at = (at + 1) & (s->index_size - 1))
		if (same(&s->list[s->index[at] - 1], r))
			return;
	s->list[s->count] = *r;
	index_put(s, (uint32_t)s->count++);
}

void rcpt_set_add(struct rcpt_set *s, const char *address, const char *orcpt, unsigned notify)
{
	CHECK_MAGIC(s, RCPT_SET_MAGIC);
	struct expansion to;
	if (s->failed)
		return;
	const char *full = cleanup_rewrite_address(s->cleaner, s->arena, address);
	if (!virtual_alias_expand(s->cleaner, s->arena, full, &to, &s->why)) {
		s->failed = true;
		return;
	}
	bool changed = to.count != 1 || strcmp(to.list[0], full) != 0;
	/* Expansion ends the wish to hear of success here: RFC 3461 5.2.7.3. */
	if (changed && notify & NOTIFY_SUCCESS)
		notify = notify == NOTIFY_SUCCESS ? NOTIFY_NEVER : notify & ~(unsigned)NOTIFY_SUCCESS;
	for (size_t i = 0; i < to.count; i++) {
		struct spool_rcpt r = { .address = to.list[i], .orcpt = orcpt, .notify = notify };
		if (s->cleaner->enable_original_recipient && strcmp(address, to.list[i]) != 0)
			r.original = address;
		add_once(s, &r);
	}
}

enum cleanup_status rcpt_set_finish(struct rcpt_set *s, struct spool_envelope *env, const char *queue_id)
{
	CHECK_MAGIC(s, RCPT_SET_MAGIC);
	if (s->failed) {
		log_warning("%s: %s -- message not accepted, try again later", queue_id, s->why.text);
		return CLEANUP_ALIASES;
	}
	env->rcpts = s->list;
	env->nrcpts = s->count;
	return s->count ? CLEANUP_OK : CLEANUP_NO_RCPTS;
}
