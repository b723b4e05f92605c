/* SPDX-License-Identifier: Apache-2.0
 * transport_maps, and transport:nexthop wherever it is written. */
#include <string.h>
#include <strings.h>

#include "mail/address.h"
#include "resolve/parts.h"

void lookup_why(const struct lookup *found, struct ost_why *why)
{
	why_set(why, "%s: %s", found->table ? found->table : "table",
		found->why.text[0] ? found->why.text : "lookup failed");
}

/* Splits at the first colon; white space around both halves goes. */
static void split(struct arena *a, const char *value, struct route *r)
{
	static const char space[] = " \t\r\n";
	value += strspn(value, space);
	size_t n = strcspn(value, ":");
	const char *hop = value[n] ? value + n + 1 : "";
	while (n > 0 && strchr(space, value[n - 1]))
		n--;
	hop += strspn(hop, space);
	size_t len = strlen(hop);
	while (len > 0 && strchr(space, hop[len - 1]))
		len--;
	r->transport = arena_strndup(a, value, n);
	r->nexthop = arena_strndup(a, hop, len);
}

void route_override(struct arena *a, const char *value, const char *domain, struct route *route)
{
	struct route new;
	split(a, value, &new);
	if (!*new.transport) { /* ":nexthop", or ":" for no change */
		if (*new.nexthop)
			route->nexthop = new.nexthop;
		return;
	}
	route->transport = new.transport;
	if (*new.nexthop)
		route->nexthop = new.nexthop;
	else if (strcmp(new.transport, "error") == 0 || strcmp(new.transport, "retry") == 0)
		route->nexthop = "Address is undeliverable";
	else
		route->nexthop = domain;
}

void route_default(struct arena *a, const char *value, struct route *route)
{
	struct route new;
	split(a, value, &new);
	route->transport = new.transport;
	if (*new.nexthop)
		route->nexthop = new.nexthop;
}

/* One key; true: *result is the answer (found or failed). */
static bool ask(const struct resolver *r, struct arena *a, const char *key, struct lookup *found,
		enum ost_found *result)
{
	*result = maps_find(r->transport_maps, a, key, found);
	return *result != OST_NOTFOUND;
}

/* The domain, then its parents: ".example.org", or "example.org" where that stands for subdomains. */
static bool ask_domains(const struct resolver *r, struct arena *a, const char *domain, struct lookup *found,
			enum ost_found *result)
{
	if (!*domain)
		return false;
	if (ask(r, a, domain, found, result))
		return true;
	if (*domain == '[')
		return false;
	for (const char *dot = strchr(domain, '.'); dot; dot = strchr(dot + 1, '.'))
		if (dot[1] && ask(r, a, r->transport_parents ? dot + 1 : dot, found, result))
			return true;
	return false;
}

enum ost_found transport_map_find(const struct resolver *r, struct arena *a, const char *address,
				  const char *domain, struct route *route, struct ost_why *why)
{
	struct lookup found = { 0 };
	enum ost_found result;
	if (!r->transport_maps)
		return OST_NOTFOUND;
	result = maps_find_address(r->transport_maps, a, address, r->delimiter, false,
				   ADDR_FULL | ADDR_NO_EXT, &found, NULL);
	if (result == OST_NOTFOUND && !ask_domains(r, a, domain, &found, &result))
		ask(r, a, "*", &found, &result);
	if (result == OST_FOUND)
		route_override(a, found.value, domain, route);
	else if (result != OST_NOTFOUND)
		lookup_why(&found, why);
	return result;
}

enum ost_found sender_find(const struct resolver *r, const struct maps *maps, struct arena *a,
			   const char *sender, const char *null_key, const char **value, struct ost_why *why)
{
	struct lookup found = { 0 };
	if (!maps || !sender)
		return OST_NOTFOUND;
	enum ost_found result =
		*sender ? maps_find_address(maps, a, sender, r->delimiter, false,
					    ADDR_FULL | ADDR_NO_EXT | ADDR_DOMAIN, &found, NULL)
			: maps_find(maps, a, null_key, &found);
	if (result == OST_FOUND && strcasecmp(found.value, "DUNNO") == 0)
		return OST_NOTFOUND;
	if (result == OST_FOUND)
		*value = found.value;
	else if (result != OST_NOTFOUND)
		lookup_why(&found, why);
	return result;
}
