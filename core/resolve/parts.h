/* SPDX-License-Identifier: Apache-2.0
 * The resolver from the inside. */
#ifndef RESOLVE_PARTS_H
#define RESOLVE_PARTS_H

#include "net/self.h"
#include "resolve/resolver.h"
#include "table/table.h"

#define RESOLVER_MAGIC 0x7e501001u

struct resolver { /* constant after resolver_open() */
	unsigned magic;
	const struct cfg_view *view;
	struct self *self;
	struct matchlist *mydestination, *virtual_alias_domains, *virtual_mailbox_domains, *relay_domains;
	struct maps *transport_maps, *sender_relayhost, *sender_transport, *relocated;
	struct maps *canonical, *recipient_canonical, *virtual_alias, *virtual_mailbox, *local_recipients,
		*relay_recipients;
	const char *local_transport, *virtual_transport, *relay_transport, *default_transport, *relayhost;
	const char *myorigin, *mydomain, *delimiter, *empty_recipient, *double_bounce;
	const char *null_sender_relayhost, *null_sender_transport; /* what stands for <> as a key */
	bool append_origin, append_domain, percent_hack, bangpath, null_domain, numeric_domain, min_user, utf8,
		show_table, propagate;
	bool transport_parents; /* example.com in transport_maps stands for its subdomains too */
	bool immediate;
};

/* ---- rewrite.c: the form of an address ----------------------------------------------------------------------- */

enum rewritten { REWRITTEN_OK, REWRITTEN_BAD, REWRITTEN_LATER };
struct form {
	const char *address; /* local@domain; domain in lower case for lookups is in `domain` */
	const char *domain;
	bool local;  /* the domain is ours */
	bool routed; /* the local part names another place, and the domain is not ours */
};
/* Drops source routes, completes the domain, and while the domain is ours takes user%place and place!user for
 * user@place. */
enum rewritten rewrite_form(const struct resolver *, struct arena *, const char *address, struct form *,
			    struct ost_why *);
/* user -> user@myorigin, user@host -> user@host.mydomain, as configured. */
const char *rewrite_complete(const struct resolver *, struct arena *, const char *address);
/* mydestination, own addresses in brackets. */
enum ost_found domain_is_local(const struct resolver *, struct arena *, const char *domain, struct ost_why *);

/* ---- transport_map.c ----------------------------------------------------------------------------------------- */

struct route {
	const char *transport, *nexthop;
};
/* "transport:nexthop", where either may be missing: what is missing stays as it is in *route, but a transport
 * alone takes `domain` as its nexthop. As on the right-hand side of transport_maps. */
void route_override(struct arena *, const char *value, const char *domain, struct route *);
/* "transport:nexthop" of main.cf: nexthop stays when there is none. */
void route_default(struct arena *, const char *value, struct route *);
enum ost_found transport_map_find(const struct resolver *, struct arena *, const char *address,
				  const char *domain, struct route *, struct ost_why *);

/* A lookup by sender: full address, without extension, @domain. */
enum ost_found sender_find(const struct resolver *, const struct maps *, struct arena *, const char *sender,
			   const char *null_key, const char **value, struct ost_why *);
/* A failed lookup in words. */
void lookup_why(const struct lookup *, struct ost_why *);

#endif
