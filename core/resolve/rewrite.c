/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "mail/address.h"
#include "mail/ascii.h"
#include "resolve/parts.h"

enum { ROUTES_MAX = 50 }; /* a%b%c%d…: more is no address */

static const char *lower(struct arena *a, const char *s)
{
	char *copy = arena_strdup(a, s);
	for (char *p = copy; *p; p++)
		*p = ascii_lower(*p);
	return copy;
}

const char *rewrite_complete(const struct resolver *r, struct arena *a, const char *address)
{
	const char *domain = address_domain(address);
	if (!domain && r->append_origin && *r->myorigin)
		return arena_printf(a, "%s@%s", address, r->myorigin);
	if (domain && *domain && *domain != '[' && !strchr(domain, '.') && r->append_domain && *r->mydomain &&
	    strcasecmp(domain, "localhost") != 0)
		return arena_printf(a, "%s.%s", address, r->mydomain);
	return address;
}

enum ost_found domain_is_local(const struct resolver *r, struct arena *a, const char *domain,
			       struct ost_why *why)
{
	struct lookup found;
	enum ost_found result = matchlist_name(r->mydestination, a, domain, &found);
	if (result != OST_NOTFOUND) {
		lookup_why(&found, why);
		return result;
	}
	size_t len = strlen(domain);
	if (!domain_literal_valid(domain, len))
		return OST_NOTFOUND;
	const char *inner = strncasecmp(domain, "[ipv6:", 6) == 0 ? domain + 6 : domain + 1;
	return self_owns(r->self, arena_strndup(a, inner, (size_t)(domain + len - 1 - inner))) ? OST_FOUND
											       : OST_NOTFOUND;
}

/* "@a,@b:user@c" -> "user@c" */
static const char *drop_source_route(const char *address)
{
	const char *colon;
	if (*address != '@' || !(colon = strchr(address, ':')) || !colon[1])
		return address;
	return colon + 1;
}

/* The domain without a final dot; "1.2.3.4" as "[1.2.3.4]" where that is wanted. */
static const char *clean_domain(const struct resolver *r, struct arena *a, const char *domain)
{
	size_t n = strlen(domain);
	if (n > 1 && domain[n - 1] == '.' && domain[n - 2] != '.')
		n--;
	domain = arena_strndup(a, domain, n);
	if (r->numeric_domain) {
		const char *literal = arena_printf(a, "[%s]", domain);
		if (domain_literal_valid(literal, strlen(literal)))
			return literal;
	}
	return domain;
}

/* The place that the local part of an address of ours names: user%place, place!user. NULL: none. */
static const char *inner_address(const struct resolver *r, struct arena *a, const char *local)
{
	const char *at = strrchr(local, '@');
	const char *bang = r->bangpath ? strchr(local, '!') : NULL;
	const char *percent = r->percent_hack ? strrchr(local, '%') : NULL;
	if (at && at > local && at[1])
		return arena_strdup(a, local);
	if (bang && bang > local && bang[1])
		return arena_printf(a, "%s@%.*s", bang + 1, (int)(bang - local), local);
	if (percent && percent > local && percent[1])
		return arena_printf(a, "%.*s@%s", (int)(percent - local), local, percent + 1);
	return NULL;
}

/* One step: takes the address apart into f and says whether its domain is ours. */
static enum ost_found take_apart(const struct resolver *r, struct arena *a, const char *address,
				 struct form *f, const char **local, struct ost_why *why)
{
	address = rewrite_complete(r, a, drop_source_route(address));
	const char *domain = address_domain(address);
	*local = arena_strndup(a, address, address_local_len(address));
	if (domain && !*domain && r->null_domain)
		domain = r->myorigin;
	if (!domain) {
		f->domain = "";
		f->address = address;
		return OST_FOUND; /* append_at_myorigin = no: a bare name is a local user */
	}
	domain = clean_domain(r, a, domain);
	f->domain = lower(a, domain);
	f->address = arena_printf(a, "%s@%s", *local, domain);
	return *domain ? domain_is_local(r, a, f->domain, why) : OST_NOTFOUND;
}

enum rewritten rewrite_form(const struct resolver *r, struct arena *a, const char *address, struct form *f,
			    struct ost_why *why)
{
	*f = (struct form){ .domain = "", .address = address };
	for (int i = 0; i < ROUTES_MAX; i++) {
		const char *local;
		enum ost_found found = take_apart(r, a, address, f, &local, why);
		if (found == OST_TEMPFAIL || found == OST_BADTABLE)
			return REWRITTEN_LATER;
		f->local = found == OST_FOUND;
		const char *inner = f->local ? inner_address(r, a, local) : NULL;
		if (!inner) {
			f->routed = !f->local && strpbrk(local, "@%!") != NULL;
			return REWRITTEN_OK;
		}
		address = inner;
	}
	return REWRITTEN_BAD;
}
