/* SPDX-License-Identifier: Apache-2.0
 * What is wrong with an address, be it the sender's or a recipient's. */
#include <string.h>

#include "mail/address.h"
#include "smtpd/check.h"

/* Where mail to the address goes. sender: for the tables that depend on it; or NULL. */
static struct resolved *resolve(struct check *c, const char *sender, const char *address)
{
	struct resolved *to = ARENA_NEW(c->arena, struct resolved);
	const struct resolver *resolver = c->s->server->resolver;
	bool waits = !resolver_immediate(resolver);
	if (waits)
		pool_wait_begin();
	resolver_resolve(resolver, c->arena, sender, address, to);
	if (waits)
		pool_wait_end();
	return to;
}

const struct resolved *check_resolve_rcpt(struct check *c)
{
	if (!c->resolved)
		c->resolved = resolve(c, c->s->tx ? c->s->tx->sender : NULL, c->rcpt);
	return c->resolved;
}

const struct resolved *check_resolve_sender(struct check *c)
{
	if (!c->resolved_sender)
		c->resolved_sender = resolve(c, NULL, c->s->tx->sender);
	return c->resolved_sender;
}

enum outcome check_non_fqdn(struct check *c, const char *address, const char *kind)
{
	const char *domain = address_domain(address);
	size_t len = domain ? strlen(domain) : 0;
	if (len && domain[0] == '[' && domain[len - 1] == ']')
		return OUTCOME_DUNNO;
	if (len > 1 && domain[len - 1] == '.' && domain[len - 2] != '.')
		len--;
	if (len && domain_valid(domain, len) && memchr(domain, '.', len))
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->non_fqdn_code, "4.5.2", "<%s>: %s rejected: need fully-qualified address", address, kind);
}

enum outcome check_unknown_domain(struct check *c, const char *address, const struct resolved *to, const char *kind)
{
	bool sender = strcmp(kind, "Sender address") == 0;
	if (to->verdict == RESOLVE_DEFER)
		return check_unsure(c, address);
	const char *domain = address_domain(to->verdict == RESOLVE_OK ? to->recipient : address);
	if (!domain || *domain == '[' || to->address_class == CLASS_LOCAL || to->address_class == CLASS_VIRTUAL_ALIAS ||
	    to->address_class == CLASS_VIRTUAL_MAILBOX)
		return OUTCOME_DUNNO;
	const char *text = "Domain not found", *dsn = sender ? "4.1.8" : "4.1.2";
	switch (check_mail_domain(c, domain)) {
	case NAME_KNOWN:
		return OUTCOME_DUNNO;
	case NAME_NULL_MX: /* RFC 7504, RFC 7505 */
		return check_reject(c, sender ? 550 : 556, sender ? "4.7.27" : "4.1.10",
				    "<%s>: %s rejected: Domain %s does not accept mail (nullMX)", address, kind, domain);
	case NAME_UNSURE:
		if (c->r->defer_unknown_address)
			return check_reject(c, 450, dsn, "<%s>: %s rejected: %s", address, kind, text);
		return check_postpone(c, &c->s->verdict.if_permit, 450, dsn, "<%s>: %s rejected: %s", address, kind, text);
	case NAME_GARBLED:
		text = "Malformed DNS server reply";
		break;
	case NAME_UNKNOWN:
		break;
	}
	return check_reject(c, c->r->unknown_address_code, dsn, "<%s>: %s rejected: %s", address, kind, text);
}

enum outcome check_unlisted(struct check *c, const char *address, const struct resolved *to, const char *kind)
{
	struct rcpt_answer answer = { 0 };
	const struct resolver *resolver = c->s->server->resolver;
	bool waits = !resolver_immediate(resolver);
	if (to->verdict == RESOLVE_DEFER)
		return check_unsure(c, address);
	if (waits)
		pool_wait_begin();
	enum rcpt_exists exists = resolver_exists(resolver, c->arena, address, to, &answer);
	if (waits)
		pool_wait_end();
	switch (exists) {
	case RCPT_EXISTS:
		return OUTCOME_DUNNO;
	case RCPT_UNSURE:
		return check_unsure(c, address);
	case RCPT_UNKNOWN:
		break;
	}
	return check_reject(c, answer.code, check_dsn_for(c, answer.dsn, kind), "<%s>: %s rejected: %s", address, kind,
			    answer.text);
}
