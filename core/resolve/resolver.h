/* SPDX-License-Identifier: Apache-2.0
 * From an address to (transport, nexthop, recipient), and whether a recipient exists: what trivial-rewrite
 * decides in Postfix. A library: smtpd calls it for RCPT TO, the resolve workers for qmgr.
 *
 * All functions may be called from any thread at once. Answers live in the caller's arena. Tables may wait: a
 * resolver whose tables all answer from memory or a local file says so with resolver_immediate(). */
#ifndef RESOLVE_RESOLVER_H
#define RESOLVE_RESOLVER_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/why.h"
#include "config/view.h"
#include "ipc/protocol.h"

struct resolver;

/* Postfix's five address classes: by the domain, in this order. */
enum address_class {
	CLASS_NONE = 0,        /* could not be told (RESOLVE_DEFER) or makes no sense (RESOLVE_BOUNCE) */
	CLASS_LOCAL,           /* mydestination, inet_interfaces, proxy_interfaces and their [literals] */
	CLASS_VIRTUAL_ALIAS,   /* virtual_alias_domains */
	CLASS_VIRTUAL_MAILBOX, /* virtual_mailbox_domains */
	CLASS_RELAY,           /* relay_domains */
	CLASS_DEFAULT,         /* everything else: relaying needs a permission */
};

struct resolved {
	enum resolve_verdict verdict; /* RESOLVE_OK: the next four are set; else dsn and reason */
	enum address_class address_class;
	const char *transport; /* the service in master.cf: "smtp", "virtual", "error" */
	const char *nexthop;   /* "[host]:port", "example.org", the text of error: … */
	const char *
		recipient; /* the address in its final form: source route and %-hack gone, domain completed */
	bool routed; /* sender-specified routing (@a,@b:u@c, u%d@c, d!u@c) to a place that is not ours */
	const char *dsn, *reason;
};

/* Opens the tables that the view's parameters name (before the seal). Never NULL: a table that cannot be
 * opened answers "try again later"; *why (may be NULL) tells what is wrong, "" when all is well. */
struct resolver *resolver_open(const struct cfg_view *, struct ost_why *why);
/* The same for address probes: with the parameters address_verify_transport_maps and its kin in the place of transport_maps … */
void resolver_add_probes(struct resolver *, struct ost_why *why);
void resolver_close(struct resolver **);
bool resolver_immediate(const struct resolver *); /* no lookup waits for another host or process */

/* address: internal form; "" is <> as a recipient (empty_address_recipient). sender: internal form, for the
 * sender-dependent tables; NULL: none of them is asked (smtpd's checks of a sender address). */
void resolver_resolve(const struct resolver *, struct arena *, const char *sender, const char *address,
		      struct resolved *);
/* The same for an address probe. Without resolver_add_probes() it goes where mail goes. */
void resolver_resolve_probe(const struct resolver *, struct arena *, const char *sender, const char *address,
			    struct resolved *);

/* Does the resolved address name somebody, as far as the tables of its class say (local_recipient_maps,
 * virtual_mailbox_maps, relay_recipient_maps, canonical and virtual alias maps)? Classes without tables
 * exist. With RCPT_UNKNOWN: the reply's code, DSN and text ("User unknown in local recipient table"); with
 * RCPT_UNSURE: 451 4.3.0. An address that resolves to the error transport is unknown with that transport's
 * text. */
enum rcpt_exists { RCPT_EXISTS = 1, RCPT_UNKNOWN = 0, RCPT_UNSURE = -1 };
struct rcpt_answer {
	int code;
	const char *dsn, *text;
};
enum rcpt_exists resolver_exists(const struct resolver *, struct arena *, const char *address,
				 const struct resolved *, struct rcpt_answer *);

/* Whom an address stands for by virtual_alias_maps: itself when it is no alias. For mail that is stored
 * without cleanup (notices). RESOLVE_OK, or RESOLVE_DEFER: a table failed, or the expansion has no end. */
enum resolve_verdict resolver_expand(const struct resolver *, struct arena *, const char *address,
				     const char ***list, size_t *count);

/* The class of a bare domain ("example.org", "[192.0.2.1]"), as for reject_unauth_destination and the like.
 * CLASS_NONE: a table failed, *why says which. */
enum address_class resolver_domain_class(const struct resolver *, struct arena *, const char *domain,
					 struct ost_why *why);

#endif
