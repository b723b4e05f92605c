/* SPDX-License-Identifier: Apache-2.0
 * virtual_alias_maps: one recipient becomes many. */
#include <string.h>
#include <strings.h>

#include "cleanup/cleaner.h"
#include "mail/address.h"
#include "mail/addrlist.h"

struct target { /* an address, final or still to be looked up */
	const char *address;
	unsigned depth; /* how many lookups led to it */
	bool fixed;     /* it stood among its own targets: not looked up again */
};

struct work { /* a growing list */
	struct target *list;
	size_t count, cap;
};

/* Adds an address; the caller has checked the limit. */
static void work_add(struct arena *a, struct work *w, const char *address, unsigned depth)
{
	if (w->count == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 8;
		struct target *list = arena_alloc(a, w->cap * sizeof *list);
		if (w->count)
			memcpy(list, w->list, w->count * sizeof *list);
		w->list = list;
	}
	w->list[w->count++] = (struct target){ .address = address, .depth = depth };
}

/* Has this address expanded into itself before? Then it is final wherever it appears. */
static bool is_fixed(const struct work *w, const char *address)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->list[i].fixed && strcasecmp(w->list[i].address, address) == 0)
			return true;
	return false;
}

/* A target as the table gave it, in full: "@other.example" keeps the key's user, a stripped extension comes back. */
static const char *complete(const struct cleaner *c, struct arena *a, const char *target, const char *key, const char *ext)
{
	if (target[0] == '@' && target[1])
		target = arena_printf(a, "%.*s%s", (int)address_local_len(key), key, target);
	if (ext && c->propagate_virtual) {
		size_t local = address_local_len(target);
		target = arena_printf(a, "%.*s%s%s", (int)local, target, ext, target + local);
	}
	return cleanup_rewrite_address(c, a, target);
}

/* Puts the targets of the address at a position in its place and at the list's end. */
static bool replace(const struct cleaner *c, struct arena *a, struct work *w, size_t at, const struct addrlist *targets,
		    const char *ext, struct ost_why *why)
{
	const char *key = w->list[at].address;
	unsigned depth = w->list[at].depth + 1;
	const char **full = arena_alloc(a, (targets->count + 1) * sizeof *full);
	for (size_t i = 0; i < targets->count; i++) {
		full[i] = complete(c, a, targets->list[i], key, ext);
		if (strlen(full[i]) > c->address_length_limit)
			return why_set(why, "unreasonable virtual_alias_maps result %.80s... for %.80s", full[i], key);
		if (strcasecmp(full[i], key) == 0)
			w->list[at].fixed = true;
	}
	bool placed = w->list[at].fixed; /* it stays; the others go to the end */
	for (size_t i = 0; i < targets->count; i++) {
		if (strcasecmp(full[i], key) == 0)
			continue;
		if (placed)
			work_add(a, w, full[i], depth);
		else
			w->list[at] = (struct target){ .address = full[i], .depth = depth };
		placed = true;
	}
	return true;
}

/* Looks the address at a position up; *again: something else stands there now. False: *why. */
static bool expand_at(const struct cleaner *c, struct arena *a, struct work *w, size_t at, bool *again, struct ost_why *why)
{
	const char *key = w->list[at].address, *ext = NULL;
	struct lookup got = { 0 };
	const char *domain = address_domain(key);
	bool own = domain && strcasecmp(domain, c->myorigin) == 0;
	*again = false;
	if (is_fixed(w, key))
		return true;
	enum ost_found found = maps_find_address(c->virtual_alias_maps, a, key, c->recipient_delimiter, own, ADDR_ALL, &got,
						 &ext);
	if (found == OST_NOTFOUND)
		return true;
	if (found != OST_FOUND)
		return why_set(why, "%.80s lookup error for \"%.80s\": %.60s", got.table ? got.table : "virtual_alias_maps",
			       key, got.why.text);
	if (w->list[at].depth >= c->recursion_limit)
		return why_set(why, "unreasonable virtual_alias_maps map nesting for %.100s", key);
	struct addrlist targets = addrlist_parse(a, got.value, got.len, c->expansion_limit);
	if (targets.truncated || w->count + targets.count > c->expansion_limit + 1)
		return why_set(why, "unreasonable virtual_alias_maps map expansion size for %.100s", key);
	if (targets.count == 0)
		return true;
	if (!replace(c, a, w, at, &targets, ext, why))
		return false;
	*again = !w->list[at].fixed;
	return true;
}

bool virtual_alias_expand(const struct cleaner *c, struct arena *a, const char *address, struct expansion *out, struct ost_why *why)
{
	struct work w = { 0 };
	work_add(a, &w, address, 0);
	for (size_t at = 0; at < w.count; at++)
		for (bool again = c->virtual_alias_maps != NULL; again;)
			if (!expand_at(c, a, &w, at, &again, why))
				return false;
	out->list = arena_alloc(a, w.count * sizeof *out->list);
	out->count = w.count;
	for (size_t i = 0; i < w.count; i++)
		out->list[i] = w.list[i].address;
	return true;
}
