/* SPDX-License-Identifier: Apache-2.0
 * The search orders of access(5): by name, by network address, by mail address. */
#include <arpa/inet.h>
#include <string.h>

#include "base/magic.h"
#include "mail/address.h"
#include "table/maps.h"
#include "table/match.h"

/* An address in place of a name has no parent domains. */
static bool is_address(const char *name)
{
	struct in6_addr any;
	return name[0] == '[' || inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

/* domain.tld, then its parents: with a dot in front unless parent_domain_matches_subdomains names smtpd_access_maps. */
static enum ost_found find_host(const struct maps *m, const struct cfg_view *view, struct arena *a, const char *name,
				bool whole, struct lookup *found)
{
	bool parents = match_parents(view, a, "smtpd_access_maps"), numeric = is_address(name);
	const char *at = name;
	while (*at) {
		enum ost_found result = maps_ask(m, a, at, whole && at == name, found);
		const char *dot = strchr(at + 1, '.');
		if (result != OST_NOTFOUND || !dot || numeric)
			return result;
		at = dot + parents;
	}
	return OST_NOTFOUND;
}

/* net.work.addr.ess, net.work.addr, net.work, net; IPv6 likewise, at colons. */
static enum ost_found find_network(const struct maps *m, struct arena *a, const char *address, struct lookup *found)
{
	char *prefix = arena_strdup(a, address);
	char separator = strchr(address, ':') ? ':' : '.';
	for (;;) {
		enum ost_found result = maps_ask(m, a, prefix, strlen(prefix) == strlen(address), found);
		char *end = strrchr(prefix, separator);
		if (result != OST_NOTFOUND || !end)
			return result;
		*end = '\0';
	}
}

/* The address as it is delivered to: without a domain it is one of $myorigin's, and a dot at the end has no meaning. */
static const char *completed(const struct cfg_view *view, struct arena *a, const char *address)
{
	const char *domain = address_domain(address);
	size_t len = strlen(address);
	if (!domain && !cfg_bool(view, P_append_at_myorigin))
		return address;
	if (!domain)
		return arena_printf(a, "%s@%s", address, cfg_str(view, P_myorigin));
	return len > 1 && address[len - 1] == '.' && address[len - 2] != '@' ? arena_strndup(a, address, len - 1) : address;
}

/* user+ext@domain, user@domain; domain and parents; user+ext@, user@. */
static enum ost_found find_mail(const struct maps *m, const struct cfg_view *view, struct arena *a, const char *address,
				struct lookup *found)
{
	const char *base, *extension;
	if (!*address)
		return maps_ask(m, a, cfg_str(view, P_smtpd_null_access_lookup_key), true, found);
	address = completed(view, a, address);
	const char *domain = address_domain(address);
	enum ost_found result = maps_ask(m, a, address, true, found);
	if (result != OST_NOTFOUND || !domain)
		return result;
	const char *local = arena_strndup(a, address, address_local_len(address));
	address_split(a, local, cfg_str(view, P_recipient_delimiter), &base, &extension);
	if (extension)
		result = maps_ask(m, a, arena_printf(a, "%s@%s", base, domain), false, found);
	if (result == OST_NOTFOUND)
		result = find_host(m, view, a, domain, false, found);
	if (result == OST_NOTFOUND)
		result = maps_ask(m, a, arena_printf(a, "%s@", local), false, found);
	if (result == OST_NOTFOUND && extension)
		result = maps_ask(m, a, arena_printf(a, "%s@", base), false, found);
	return result;
}

enum ost_found access_find(const struct maps *m, const struct cfg_view *view, struct arena *a, enum ost_access_order order,
			   const char *object, struct lookup *found)
{
	if (!m)
		return OST_NOTFOUND;
	CHECK_MAGIC(m, MAPS_MAGIC);
	switch (order) {
	case OST_ACCESS_HOST:
		return find_host(m, view, a, object, true, found);
	case OST_ACCESS_ADDRESS:
		return find_network(m, a, object, found);
	case OST_ACCESS_MAIL:
		return find_mail(m, view, a, object, found);
	}
	why_set(&found->why, "there is no search order %d", (int)order);
	return OST_BADTABLE;
}
