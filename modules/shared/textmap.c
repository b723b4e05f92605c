/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/textmap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t hash;
	size_t klen, vlen;
	char *key, *value; /* terminated, in a chunk */
};

/* Texts lie one behind the other in chunks; a value that was replaced stays there. */
struct chunk {
	struct chunk *next;
	size_t used, size;
	char bytes[];
};

/* Entries in the order of their coming, and an open hash table of their numbers (from 1; 0 is empty). */
struct textmap {
	struct entry *entries;
	size_t count, room;
	uint32_t *slots;
	size_t mask; /* number of slots - 1 */
	struct chunk *chunks; /* the one that is filled first */
};

/* FNV-1a, 64 bits. The file's author chooses the keys: who asks cannot make collisions. */
static uint64_t hash_key(const char *key, size_t len)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)key[i]) * UINT64_C(1099511628211);
	return h ^ h >> 32;
}

struct textmap *textmap_new(void)
{
	enum { FIRST_SLOTS = 64 };
	struct textmap *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->mask = FIRST_SLOTS - 1;
	m->slots = calloc(FIRST_SLOTS, sizeof *m->slots);
	if (!m->slots) {
		free(m);
		return NULL;
	}
	return m;
}

void textmap_free(struct textmap *m)
{
	if (!m)
		return;
	while (m->chunks) {
		struct chunk *c = m->chunks;
		m->chunks = c->next;
		free(c);
	}
	free(m->entries);
	free(m->slots);
	free(m);
}

/* The slot that holds the key, or the empty one where it belongs. */
static size_t find_slot(const struct textmap *m, uint64_t hash, const char *key, size_t klen)
{
	size_t at = hash & m->mask;
	for (; m->slots[at]; at = (at + 1) & m->mask) {
		const struct entry *e = &m->entries[m->slots[at] - 1];
		if (e->hash == hash && e->klen == klen && memcmp(e->key, key, klen) == 0)
			break;
	}
	return at;
}

/* Makes room for one more entry; at most half of the slots are used. */
static bool grow(struct textmap *m)
{
	if (m->count == m->room) {
		size_t room = m->room ? m->room * 2 : 32;
		struct entry *entries = realloc(m->entries, room * sizeof *entries);
		if (!entries)
			return false;
		m->entries = entries;
		m->room = room;
	}
	if (m->count * 2 < m->mask)
		return true;
	size_t size = (m->mask + 1) * 2;
	uint32_t *slots = size <= UINT32_MAX ? calloc(size, sizeof *slots) : NULL;
	if (!slots)
		return false;
	free(m->slots);
	m->slots = slots;
	m->mask = size - 1;
	for (size_t i = 0; i < m->count; i++) { /* all differ: the first empty slot is the one */
		size_t at = m->entries[i].hash & m->mask;
		while (m->slots[at])
			at = (at + 1) & m->mask;
		m->slots[at] = (uint32_t)i + 1;
	}
	return true;
}

static char *take_bytes(struct textmap *m, size_t len)
{
	enum { FIRST_CHUNK = 1 << 12, LARGE_CHUNK = 1 << 20 };
	struct chunk *c = m->chunks;
	if (!c || c->size - c->used < len) {
		size_t size = c ? LARGE_CHUNK : FIRST_CHUNK;
		if (size < len)
			size = len;
		c = malloc(sizeof *c + size);
		if (!c)
			return NULL;
		*c = (struct chunk){ .next = m->chunks, .size = size };
		m->chunks = c;
	}
	char *p = c->bytes + c->used;
	c->used += len;
	return p;
}

static char *copy(struct textmap *m, const char *text, size_t len)
{
	char *p = take_bytes(m, len + 1);
	if (p) {
		if (len)
			memcpy(p, text, len);
		p[len] = '\0';
	}
	return p;
}

/* The key is there: its value stays or is replaced. */
static enum textmap_put put_again(struct textmap *m, struct entry *e, const char *value, size_t vlen, bool replace)
{
	char *fresh = replace ? copy(m, value, vlen) : NULL;
	if (replace && !fresh)
		return TEXTMAP_NO_MEMORY;
	if (fresh) {
		e->value = fresh;
		e->vlen = vlen;
	}
	return TEXTMAP_DUPLICATE;
}

enum textmap_put textmap_put(struct textmap *m, const char *key, size_t klen, const char *value, size_t vlen, bool replace)
{
	uint64_t hash = hash_key(key, klen);
	if (!grow(m))
		return TEXTMAP_NO_MEMORY;
	size_t slot = find_slot(m, hash, key, klen);
	if (m->slots[slot])
		return put_again(m, &m->entries[m->slots[slot] - 1], value, vlen, replace);
	struct entry e = { .hash = hash, .klen = klen, .vlen = vlen, .key = copy(m, key, klen), .value = copy(m, value, vlen) };
	if (!e.key || !e.value)
		return TEXTMAP_NO_MEMORY;
	m->entries[m->count++] = e;
	m->slots[slot] = (uint32_t)m->count;
	return TEXTMAP_NEW;
}

const char *textmap_get(const struct textmap *m, const char *key, size_t klen, size_t *vlen)
{
	uint32_t n = m->slots[find_slot(m, hash_key(key, klen), key, klen)];
	if (!n)
		return NULL;
	*vlen = m->entries[n - 1].vlen;
	return m->entries[n - 1].value;
}

bool textmap_at(const struct textmap *m, size_t i, const char **key, size_t *klen, const char **value, size_t *vlen)
{
	if (i >= m->count)
		return false;
	const struct entry *e = &m->entries[i];
	*key = e->key;
	*klen = e->klen;
	*value = e->value;
	*vlen = e->vlen;
	return true;
}

enum ost_found textmap_lookup(const struct ost_host *host, const struct textmap *m, const struct ost_query *query,
			      struct ost_answer *answer)
{
	size_t len;
	const char *value = textmap_get(m, query->key, query->klen, &len);
	if (!value)
		return OST_NOTFOUND;
	host->answer(answer, value, len);
	return OST_FOUND;
}

struct ost_cursor {
	size_t at;
};

enum ost_found textmap_walk(const struct ost_host *host, const struct textmap *m, struct ost_cursor **cursor,
			    struct ost_answer *key, struct ost_answer *value)
{
	const char *k, *v;
	size_t klen, vlen;
	if (!*cursor && !(*cursor = calloc(1, sizeof **cursor)))
		return OST_TEMPFAIL;
	if (!textmap_at(m, (*cursor)->at++, &k, &klen, &v, &vlen)) {
		free(*cursor);
		*cursor = NULL;
		return OST_NOTFOUND;
	}
	host->answer(key, k, klen);
	host->answer(value, v, vlen);
	return OST_FOUND;
}
