/* SPDX-License-Identifier: Apache-2.0
 * The search order for addresses (virtual(5), canonical(5), transport(5)). */
#include <string.h>

#include "base/magic.h"
#include "mail/address.h"
#include "mail/ascii.h"
#include "table/maps.h"

/* An address taken apart, once per search. */
struct parts {
	const char *local;     /* user+ext */
	const char *base;      /* user */
	const char *extension; /* "+ext", NULL: none */
	const char *domain;    /* NULL: none */
	bool own;
};

/* Does the local part have to be quoted? It hardly ever does. */
static bool needs_quotes(const char *address)
{
	size_t len = address_local_len(address);
	bool needs = len > 0 && (address[0] == '.' || address[len - 1] == '.');
	for (size_t i = 0; i < len && !needs; i++)
		needs = !(ascii_atext((unsigned char)address[i]) || (unsigned char)address[i] >= 0x80 ||
			  (address[i] == '.' && address[i + 1] != '.'));
	return needs;
}

/* One key in all tables: as it is written there, with its quotes, then as it is meant. */
static enum ost_found ask(const struct maps *m, struct arena *a, const char *key, bool whole, struct lookup *found)
{
	enum ost_found result = OST_NOTFOUND;
	if (needs_quotes(key)) {
		struct buf written = BUF_INIT;
		address_quote(&written, key);
		result = maps_ask(m, a, buf_str(&written), whole, found);
		buf_free(&written);
	}
	return result != OST_NOTFOUND ? result : maps_ask(m, a, key, whole, found);
}

static enum ost_found find_without_extension(const struct maps *m, struct arena *a, const struct parts *p,
					     struct lookup *found)
{
	if (!p->extension)
		return OST_NOTFOUND;
	return ask(m, a, p->domain ? arena_printf(a, "%s@%s", p->base, p->domain) : p->base, false, found);
}

static enum ost_found find_local(const struct maps *m, struct arena *a, const struct parts *p, struct lookup *found)
{
	return p->domain && p->own ? ask(m, a, p->local, false, found) : OST_NOTFOUND;
}

static enum ost_found find_local_base(const struct maps *m, struct arena *a, const struct parts *p, struct lookup *found)
{
	return p->domain && p->own && p->extension ? ask(m, a, p->base, false, found) : OST_NOTFOUND;
}

static enum ost_found find_domain(const struct maps *m, struct arena *a, const struct parts *p, struct lookup *found)
{
	return p->domain ? ask(m, a, arena_printf(a, "@%s", p->domain), false, found) : OST_NOTFOUND;
}

/* The steps after the whole address, in order. */
static const struct step {
	unsigned forms; /* all of these must be wanted */
	bool stripped;  /* a match leaves the extension over */
	enum ost_found (*find)(const struct maps *, struct arena *, const struct parts *, struct lookup *);
} steps[] = {
	{ ADDR_NO_EXT, true, find_without_extension },
	{ ADDR_LOCALPART, false, find_local },
	{ ADDR_LOCALPART | ADDR_NO_EXT, true, find_local_base },
	{ ADDR_DOMAIN, false, find_domain },
};

enum ost_found maps_find_address(const struct maps *m, struct arena *a, const char *address, const char *delimiters,
				 bool own_domain, unsigned forms, struct lookup *found, const char **ext)
{
	if (ext)
		*ext = NULL;
	if (!m)
		return OST_NOTFOUND;
	CHECK_MAGIC(m, MAPS_MAGIC);
	enum ost_found result = forms & ADDR_FULL ? ask(m, a, address, true, found) : OST_NOTFOUND;
	if (result != OST_NOTFOUND)
		return result;
	struct parts p = { .domain = address_domain(address), .own = own_domain };
	p.local = p.domain ? arena_strndup(a, address, address_local_len(address)) : address;
	address_split(a, p.local, delimiters, &p.base, &p.extension);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if ((forms & steps[i].forms) != steps[i].forms)
			continue;
		result = steps[i].find(m, a, &p, found);
		if (result == OST_NOTFOUND)
			continue;
		if (result == OST_FOUND && steps[i].stripped && ext)
			*ext = p.extension;
		return result;
	}
	return OST_NOTFOUND;
}
