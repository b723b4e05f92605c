/* SPDX-License-Identifier: Apache-2.0
 * virtual_alias_maps for mail that no process with tables has cleaned up: notices. */
#include <string.h>
#include <strings.h>

#include "base/magic.h"
#include "mail/address.h"
#include "mail/addrlist.h"
#include "resolve/parts.h"

enum { TARGETS_MAX = 100, LOOKUPS_MAX = 1000 };

/* Addresses, final or still to be looked up. */
struct targets {
	const char *list[TARGETS_MAX];
	bool final[TARGETS_MAX];
	size_t count;
};

static bool known(const struct targets *t, const char *address)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcasecmp(t->list[i], address) == 0)
			return true;
	return false;
}

/* A target in full: "@other.example" keeps the user, an extension that was stripped comes back. */
static const char *complete(const struct resolver *r, struct arena *a, const char *target, const char *key,
			    const char *ext)
{
	if (target[0] == '@' && target[1])
		target = arena_printf(a, "%.*s%s", (int)address_local_len(key), key, target);
	if (ext && r->propagate) {
		size_t local = address_local_len(target);
		target = arena_printf(a, "%.*s%s%s", (int)local, target, ext, target + local);
	}
	return rewrite_complete(r, a, target);
}

/* Looks one address up and puts what it stands for in its place and at the end. */
static enum ost_found expand_one(const struct resolver *r, struct arena *a, struct targets *t, size_t at)
{
	const char *key = t->list[at], *ext = NULL, *domain = address_domain(key);
	struct lookup found = { 0 };
	bool own = domain && strcasecmp(domain, r->myorigin) == 0;
	enum ost_found result =
		maps_find_address(r->virtual_alias, a, key, r->delimiter, own, ADDR_ALL, &found, &ext);
	if (result != OST_FOUND) {
		t->final[at] = true;
		return result;
	}
	struct addrlist list = addrlist_parse(a, found.value, found.len, TARGETS_MAX);
	bool placed = false;
	t->final[at] = list.count == 0;
	for (size_t i = 0; i < list.count; i++) {
		const char *address = complete(r, a, list.list[i], key, ext);
		if (strcasecmp(address, key) == 0) { /* it stands for itself, too */
			t->final[at] = placed = true;
			t->list[at] = address;
		} else if (!known(t, address) && !placed) {
			t->list[at] = address;
			placed = true;
		} else if (!known(t, address) && t->count < TARGETS_MAX) {
			t->final[t->count] = false;
			t->list[t->count++] = address;
		}
	}
	if (!placed && list.count > 0)
		t->final[at] = true; /* all of it is in the list already: a circle ends here */
	return OST_FOUND;
}

enum resolve_verdict resolver_expand(const struct resolver *r, struct arena *a, const char *address,
				     const char ***list, size_t *count)
{
	CHECK_MAGIC(r, RESOLVER_MAGIC);
	struct targets *t = ARENA_NEW(a, struct targets);
	t->list[t->count++] = rewrite_complete(r, a, *address ? address : r->empty_recipient);
	size_t lookups = 0;
	for (size_t at = 0; at < t->count; at++) {
		while (r->virtual_alias && !t->final[at]) {
			if (++lookups > LOOKUPS_MAX || expand_one(r, a, t, at) < OST_NOTFOUND)
				return RESOLVE_DEFER;
		}
	}
	*list = t->list;
	*count = t->count;
	return RESOLVE_OK;
}
