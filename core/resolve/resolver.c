/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/resolver.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/magic.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "resolve/parts.h"

/* ---- opening ------------------------------------------------------------------------------------------------- */

/* A parameter's text, also of those that only other parts of the table know; never NULL. */
static const char *text_of(const struct cfg_view *view, const char *name)
{
	const char *value = cfg_lookup(view, name);
	return value ? value : "";
}

static bool yes(const struct cfg_view *view, const char *name, bool defval)
{
	const char *value = text_of(view, name);
	return *value ? strcmp(value, "yes") == 0 : defval;
}

/* Keeps the first complaint. */
static void keep_why(struct ost_why *why, const struct ost_why *one)
{
	if (why && !why->text[0])
		*why = *one;
}

static struct maps *open_maps(const struct cfg_view *view, const char *name, struct ost_why *why)
{
	struct ost_why one = { .text = "" };
	struct maps *m = maps_open(view, text_of(view, name), &one);
	keep_why(why, &one);
	return m;
}

static struct matchlist *open_list(const struct cfg_view *view, const char *name, struct ost_why *why)
{
	struct ost_why one = { .text = "" };
	struct matchlist *l = matchlist_names(view, name, text_of(view, name), &one);
	keep_why(why, &one);
	return l;
}

/* Do the tables of a list of names all answer at once? */
static bool list_immediate(const struct cfg_view *view, const char *name)
{
	struct arena *a = arena_new();
	bool answer = true;
	for (const char **word = cfg_split(a, text_of(view, name)); *word; word++)
		if (**word != '[' && strchr(*word, ':') && !strstr(*word, "::"))
			answer = answer && table_flags(table_open(view, *word + (**word == '!'), NULL)) &
						   OST_TABLE_IMMEDIATE;
	arena_destroy(&a);
	return answer;
}

static bool is_immediate(const struct resolver *r)
{
	static const char *const lists[] = { "mydestination", "virtual_alias_domains",
					     "virtual_mailbox_domains", "relay_domains" };
	const struct maps *maps[] = { r->transport_maps, r->sender_relayhost, r->sender_transport,
				      r->relocated, r->virtual_alias };
	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
		if (maps[i] && !maps_immediate(maps[i]))
			return false;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (!list_immediate(r->view, lists[i]))
			return false;
	return true;
}

static bool list_names(const struct cfg_view *view, const char *list, const char *name)
{
	struct arena *a = arena_new();
	bool answer = false;
	for (const char **word = cfg_split(a, text_of(view, list)); *word; word++)
		answer = answer || strcasecmp(*word, name) == 0;
	arena_destroy(&a);
	return answer;
}

static void read_texts(struct resolver *r, const struct cfg_view *view)
{
	r->local_transport = cfg_str(view, P_local_transport);
	r->virtual_transport = cfg_str(view, P_virtual_transport);
	r->relay_transport = cfg_str(view, P_relay_transport);
	r->default_transport = cfg_str(view, P_default_transport);
	r->relayhost = cfg_str(view, P_relayhost);
	r->myorigin = cfg_str(view, P_myorigin);
	r->mydomain = cfg_str(view, P_mydomain);
	r->delimiter = cfg_str(view, P_recipient_delimiter);
	r->empty_recipient = cfg_str(view, P_empty_address_recipient);
	r->double_bounce = cfg_str(view, P_double_bounce_sender);
	r->null_sender_relayhost = cfg_str(view, P_empty_address_relayhost_maps_lookup_key);
	r->null_sender_transport = cfg_str(view, P_empty_address_default_transport_maps_lookup_key);
	r->append_origin = cfg_bool(view, P_append_at_myorigin);
	r->append_domain = cfg_bool(view, P_append_dot_mydomain);
	r->utf8 = cfg_bool(view, P_smtputf8_enable);
	r->percent_hack = cfg_bool(view, P_allow_percent_hack);
	r->bangpath = yes(view, "swap_bangpath", true);
	r->null_domain = cfg_bool(view, P_resolve_null_domain);
	r->numeric_domain = cfg_bool(view, P_resolve_numeric_domain);
	r->min_user = cfg_bool(view, P_allow_min_user);
	r->propagate = list_names(view, "propagate_unmatched_extensions", "virtual");
	r->show_table = cfg_bool(view, P_show_user_unknown_table_name);
}

struct resolver *resolver_open(const struct cfg_view *view, struct ost_why *why)
{
	struct resolver *r = MEM_NEW(struct resolver);
	if (why)
		why->text[0] = '\0';
	r->magic = RESOLVER_MAGIC;
	r->view = view;
	r->self = self_new(view);
	read_texts(r, view);
	r->mydestination = open_list(view, "mydestination", why);
	r->virtual_alias_domains = open_list(view, "virtual_alias_domains", why);
	r->virtual_mailbox_domains = open_list(view, "virtual_mailbox_domains", why);
	r->relay_domains = open_list(view, "relay_domains", why);
	r->transport_maps = open_maps(view, "transport_maps", why);
	r->sender_relayhost = open_maps(view, "sender_dependent_relayhost_maps", why);
	r->sender_transport = open_maps(view, "sender_dependent_default_transport_maps", why);
	r->relocated = open_maps(view, "relocated_maps", why);
	r->canonical = open_maps(view, "canonical_maps", why);
	r->recipient_canonical = open_maps(view, "recipient_canonical_maps", why);
	r->virtual_alias = open_maps(view, "virtual_alias_maps", why);
	r->virtual_mailbox = open_maps(view, "virtual_mailbox_maps", why);
	r->local_recipients = open_maps(view, "local_recipient_maps", why);
	r->relay_recipients = open_maps(view, "relay_recipient_maps", why);
	r->transport_parents = list_names(view, "parent_domain_matches_subdomains", "transport_maps");
	r->immediate = is_immediate(r);
	return r;
}

void resolver_close(struct resolver **rp)
{
	struct resolver *r = *rp;
	if (!r)
		return;
	CHECK_MAGIC(r, RESOLVER_MAGIC);
	self_destroy(&r->self);
	r->magic = 0;
	free(r);
	*rp = NULL;
}

bool resolver_immediate(const struct resolver *r)
{
	CHECK_MAGIC(r, RESOLVER_MAGIC);
	return r->immediate;
}

/* ---- the class of a domain ----------------------------------------------------------------------------------- */

enum address_class resolver_domain_class(const struct resolver *r, struct arena *a, const char *domain,
					 struct ost_why *why)
{
	CHECK_MAGIC(r, RESOLVER_MAGIC);
	const struct {
		const struct matchlist *list;
		enum address_class class;
	} lists[] = {
		{ r->virtual_alias_domains, CLASS_VIRTUAL_ALIAS },
		{ r->virtual_mailbox_domains, CLASS_VIRTUAL_MAILBOX },
		{ r->relay_domains, CLASS_RELAY },
	};
	enum ost_found found = domain_is_local(r, a, domain, why);
	if (found == OST_FOUND)
		return CLASS_LOCAL;
	for (size_t i = 0; found == OST_NOTFOUND && i < sizeof lists / sizeof lists[0]; i++) {
		struct lookup answer = { 0 };
		found = matchlist_name(lists[i].list, a, domain, &answer);
		if (found == OST_FOUND)
			return lists[i].class;
		if (found != OST_NOTFOUND)
			lookup_why(&answer, why);
	}
	return found == OST_NOTFOUND ? CLASS_DEFAULT : CLASS_NONE;
}

/* ---- resolving ----------------------------------------------------------------------------------------------- */

static void defer(struct resolved *out)
{
	*out = (struct resolved){ .verdict = RESOLVE_DEFER,
				  .dsn = "4.3.0",
				  .reason = "address resolver failure" };
}

static void bounce(struct resolved *out, const char *dsn, const char *reason)
{
	*out = (struct resolved){ .verdict = RESOLVE_BOUNCE, .dsn = dsn, .reason = reason };
}

/* Can there be such an address at all? */
static bool sane(const struct resolver *r, const struct form *f)
{
	size_t n = strlen(f->domain);
	if (!r->min_user && f->address[0] == '-')
		return false;
	if (f->local)
		return true;
	return n > 0 && ((r->utf8 ? domain_valid_utf8 : domain_valid)(f->domain, n) || domain_literal_valid(f->domain, n));
}

/* Mail to elsewhere goes through a relayhost: the sender's own, or everybody's. */
static enum ost_found apply_relayhost(const struct resolver *r, struct arena *a, const char *sender,
				      struct route *route, struct ost_why *why)
{
	const char *hop = r->relayhost;
	enum ost_found found =
		sender_find(r, r->sender_relayhost, a, sender, r->null_sender_relayhost, &hop, why);
	if (found != OST_TEMPFAIL && found != OST_BADTABLE && *hop)
		route->nexthop = hop;
	return found;
}

/* The transport of the address's class. False: a table failed. */
static bool class_route(const struct resolver *r, struct arena *a, const char *sender,
			enum address_class class, struct route *route, struct ost_why *why)
{
	const char *transport = r->default_transport;
	enum ost_found found = OST_NOTFOUND;
	switch (class) {
	case CLASS_LOCAL:
		route_default(a, r->local_transport, route);
		return true;
	case CLASS_VIRTUAL_ALIAS: /* what has not been expanded does not exist */
		*route = (struct route){ "error", r->show_table ? "5.1.1 User unknown in virtual alias table"
								: "5.1.1 User unknown" };
		return true;
	case CLASS_VIRTUAL_MAILBOX:
		route_default(a, r->virtual_transport, route);
		return true;
	case CLASS_RELAY:
		transport = r->relay_transport;
		break;
	default:
		found = sender_find(r, r->sender_transport, a, sender, r->null_sender_transport, &transport,
				    why);
	}
	if (found < OST_NOTFOUND || apply_relayhost(r, a, sender, route, why) < OST_NOTFOUND)
		return false;
	route_default(a, transport, route);
	return true;
}

/* Recipients that have moved are told so, whatever their transport. */
static enum ost_found relocated(const struct resolver *r, struct arena *a, const struct form *f,
				struct route *route, struct ost_why *why)
{
	struct lookup found = { 0 };
	if (!r->relocated)
		return OST_NOTFOUND;
	enum ost_found result = maps_find_address(r->relocated, a, f->address, r->delimiter, f->local,
						  ADDR_ALL, &found, NULL);
	if (result == OST_FOUND)
		*route =
			(struct route){ "error", arena_printf(a, "5.1.6 User has moved to %s", found.value) };
	else if (result != OST_NOTFOUND)
		lookup_why(&found, why);
	return result;
}

void resolver_resolve(const struct resolver *r, struct arena *a, const char *sender, const char *address,
		      struct resolved *out)
{
	struct ost_why why = { .text = "" };
	struct form f;
	CHECK_MAGIC(r, RESOLVER_MAGIC);
	switch (rewrite_form(r, a, *address ? address : r->empty_recipient, &f, &why)) {
	case REWRITTEN_LATER:
		defer(out);
		return;
	case REWRITTEN_BAD:
		bounce(out, "5.1.3", "bad address syntax");
		return;
	case REWRITTEN_OK:
		break;
	}
	if (!sane(r, &f)) {
		bounce(out, "5.1.3", "bad address syntax");
		return;
	}
	enum address_class class = f.local ? CLASS_LOCAL : resolver_domain_class(r, a, f.domain, &why);
	struct route route = { .nexthop = *f.domain ? f.domain : r->myorigin };
	bool ok = class != CLASS_NONE && class_route(r, a, sender, class, &route, &why);
	if (ok && class != CLASS_VIRTUAL_ALIAS)
		ok = transport_map_find(r, a, f.address, f.domain, &route, &why) >= OST_NOTFOUND;
	ok = ok && relocated(r, a, &f, &route, &why) >= OST_NOTFOUND;
	if (!ok || !*route.transport || !*route.nexthop) {
		defer(out);
		return;
	}
	*out = (struct resolved){
		.verdict = RESOLVE_OK,
		.address_class = class,
		.transport = route.transport,
		.nexthop = route.nexthop,
		.recipient = f.address,
		.routed = f.routed,
	};
}
