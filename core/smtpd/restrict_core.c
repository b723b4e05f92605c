/* SPDX-License-Identifier: Apache-2.0
 * The core's own restrictions, by name. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "mail/address.h"
#include "mail/ascii.h"
#include "net/self.h"
#include "smtpd/check.h"

enum { DNS_SECONDS = 30 };

/* ---- without a condition ---- */

static enum outcome r_permit(struct check *c, const struct step *step)
{
	(void)c;
	(void)step;
	return OUTCOME_PERMIT;
}

static enum outcome r_reject(struct check *c, const struct step *step)
{
	(void)step;
	return check_reject(c, c->r->reject_code, "5.7.1", "<%s>: %s rejected: Access denied", c->name, c->kind);
}

static enum outcome r_defer(struct check *c, const struct step *step)
{
	(void)step;
	return check_reject(c, c->r->defer_code, "4.3.2", "<%s>: %s rejected: Try again later", c->name, c->kind);
}

static enum outcome r_defer_if_permit(struct check *c, const struct step *step)
{
	(void)step;
	return check_postpone(c, &c->s->verdict.if_permit, 450, "4.7.0", "<%s>: %s rejected: defer_if_permit requested", c->name,
			      c->kind);
}

static enum outcome r_defer_if_reject(struct check *c, const struct step *step)
{
	(void)step;
	return check_postpone(c, &c->s->verdict.if_reject, 450, "4.7.0", "<%s>: %s rejected: defer_if_reject requested", c->name,
			      c->kind);
}

/* The pause comes in front of the reply: the session is parked, no thread sleeps. */
static enum outcome r_sleep(struct check *c, const struct step *step)
{
	int64_t seconds = 0;
	for (const char *p = step->arg; ascii_digit((unsigned char)*p) && seconds < 1000; p++)
		seconds = seconds * 10 + (*p - '0');
	c->s->sleep_until = clock_mono() + seconds * CLOCK_SECOND;
	return OUTCOME_DUNNO;
}

/* ---- by client ---- */

static enum outcome r_permit_mynetworks(struct check *c, const struct step *step)
{
	(void)step;
	struct lookup got = { 0 };
	switch (matchlist_client(c->s->server->mynetworks, c->arena, NULL, c->s->peer.address, &got)) {
	case OST_FOUND:
		return OUTCOME_PERMIT;
	case OST_NOTFOUND:
		return OUTCOME_DUNNO;
	case OST_TEMPFAIL:
	case OST_BADTABLE:
		break;
	}
	return check_reject(c, 451, "4.3.0", "<%s>: %s rejected: Temporary lookup failure", c->name, c->kind);
}

static enum outcome r_permit_inet_interfaces(struct check *c, const struct step *step)
{
	(void)step;
	const struct self *self = c->s->server->self;
	return self && self_owns(self, c->s->peer.address) ? OUTCOME_PERMIT : OUTCOME_DUNNO;
}

static enum outcome r_permit_sasl_authenticated(struct check *c, const struct step *step)
{
	(void)c;
	(void)step;
	return OUTCOME_DUNNO; /* this server offers no AUTH: nobody is authenticated */
}

static enum outcome r_reject_unknown_client(struct check *c, const struct step *step)
{
	(void)step;
	const struct peer *p = &c->s->peer;
	if (p->name_status == 2)
		return OUTCOME_DUNNO;
	int code = p->name_status == 5 ? c->r->unknown_client_code : 450;
	return check_reject(c, code, code < 500 ? "4.7.25" : "5.7.25",
			    "Client host rejected: cannot find your hostname, [%s]", p->address);
}

static enum outcome r_reject_unknown_reverse_client(struct check *c, const struct step *step)
{
	(void)step;
	const struct peer *p = &c->s->peer;
	if (p->reverse_status == 2)
		return OUTCOME_DUNNO;
	int code = p->reverse_status == 5 ? c->r->unknown_client_code : 450;
	return check_reject(c, code, code < 500 ? "4.7.25" : "5.7.25",
			    "Client host rejected: cannot find your reverse hostname, [%s]", p->address);
}

static enum outcome r_reject_unauth_pipelining(struct check *c, const struct step *step)
{
	(void)step;
	if (!c->s->ill_pipelining)
		return OUTCOME_DUNNO;
	return check_reject(c, 503, "5.5.0", "<%s>: %s rejected: Improper use of SMTP command pipelining", c->name, c->kind);
}

/* ---- by HELO name ---- */

/* The HELO name, without the brackets' fuss: is it an address literal? */
static bool helo_literal(const char *helo)
{
	return *helo == '[' && domain_literal_valid(helo, strlen(helo));
}

/* An address without brackets: RFC 5321 does not know it, clients do. */
static bool bare_address(const char *helo)
{
	unsigned char address[16];
	return inet_pton(AF_INET, helo, address) == 1 || inet_pton(AF_INET6, helo, address) == 1;
}

/* A domain name by its form; one of other letters is one where SMTPUTF8 is. */
static bool name_valid(const struct check *c, const char *name, size_t len)
{
	return (c->s->server->smtputf8 ? domain_valid_utf8 : domain_valid)(name, len);
}

static enum outcome r_reject_invalid_helo(struct check *c, const struct step *step)
{
	(void)step;
	const char *helo = c->s->helo;
	size_t len = helo ? strlen(helo) : 0;
	if (!helo || helo_literal(helo) || bare_address(helo) || name_valid(c, helo, len - (len > 1 && helo[len - 1] == '.')))
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->invalid_hostname_code, c->r->invalid_hostname_code < 500 ? "4.5.2" : "5.5.2",
			    "<%s>: Helo command rejected: %s", helo, *helo == '[' ? "invalid ip address" : "Invalid name");
}

static enum outcome r_reject_non_fqdn_helo(struct check *c, const struct step *step)
{
	(void)step;
	const char *helo = c->s->helo;
	if (!helo || helo_literal(helo) || (name_valid(c, helo, strlen(helo)) && strchr(helo, '.')))
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->non_fqdn_code, c->r->non_fqdn_code < 500 ? "4.5.2" : "5.5.2",
			    "<%s>: Helo command rejected: need fully-qualified hostname", helo);
}

/* ---- in the DNS ---- */

/* Has the name a record of one of these types? DNS_FOUND, DNS_NO_NAME (no), DNS_TRY_LATER. */
static enum dns_outcome dns_exists(struct check *c, const char *name, const enum dns_type *types, size_t n)
{
	enum dns_outcome worst = DNS_NO_NAME;
	int64_t deadline = clock_mono() + DNS_SECONDS * CLOCK_SECOND;
	pool_wait_begin();
	for (size_t i = 0; i < n && worst != DNS_FOUND; i++) {
		struct dns_answer answer = { 0 };
		struct ost_why why = { "" };
		enum dns_outcome got = dns_lookup(c->r->dns, c->arena, name, types[i], deadline, &answer, &why);
		bool null_mx = got == DNS_FOUND && types[i] == DNS_MX && answer.count == 1 && !*answer.list[0].text;
		if (null_mx)
			break; /* RFC 7505: it takes and sends no mail */
		if (got == DNS_FOUND || got == DNS_TRY_LATER)
			worst = got;
	}
	pool_wait_end();
	return worst;
}

static enum outcome r_reject_unknown_helo(struct check *c, const struct step *step)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX };
	(void)step;
	const char *helo = c->s->helo;
	if (!helo || *helo == '[')
		return helo ? r_reject_invalid_helo(c, NULL) : OUTCOME_DUNNO;
	switch (dns_exists(c, helo, types, 3)) {
	case DNS_FOUND:
		return OUTCOME_DUNNO;
	case DNS_TRY_LATER:
		if (c->r->defer_unknown_helo)
			return check_reject(c, 450, "4.7.1", "<%s>: Helo command rejected: Host not found", helo);
		return check_postpone(c, &c->s->verdict.if_permit, 450, "4.7.1",
				      "<%s>: Helo command rejected: Host not found", helo);
	default:
		return check_reject(c, c->r->unknown_hostname_code, c->r->unknown_hostname_code < 500 ? "4.7.1" : "5.7.1",
				    "<%s>: Helo command rejected: Host not found", helo);
	}
}

/* A mail domain without MX and address records. kind: "Sender address"; detail: of the status code. */
static enum outcome unknown_domain(struct check *c, const char *address, const char *kind, const char *detail)
{
	static const enum dns_type types[] = { DNS_MX, DNS_A, DNS_AAAA };
	const char *domain = address_domain(address);
	struct ost_why why;
	if (!domain || *domain == '[')
		return OUTCOME_DUNNO;
	enum address_class class = resolver_domain_class(c->s->server->resolver, c->arena, domain, &why);
	if (class == CLASS_LOCAL || class == CLASS_VIRTUAL_ALIAS || class == CLASS_VIRTUAL_MAILBOX)
		return OUTCOME_DUNNO;
	enum dns_outcome got = dns_exists(c, domain, types, 3);
	if (got == DNS_FOUND)
		return OUTCOME_DUNNO;
	int code = got == DNS_TRY_LATER ? 450 : c->r->unknown_address_code;
	const char *dsn = arena_printf(c->arena, "%c.%s", code < 500 ? '4' : '5', detail);
	if (got == DNS_TRY_LATER && !c->r->defer_unknown_address)
		return check_postpone(c, &c->s->verdict.if_permit, code, dsn, "<%s>: %s rejected: Domain not found", address, kind);
	return check_reject(c, code, dsn, "<%s>: %s rejected: Domain not found", address, kind);
}

/* ---- by sender ---- */

static const char *sender_of(const struct check *c)
{
	return c->s->tx && *c->s->tx->sender ? c->s->tx->sender : NULL;
}

static enum outcome non_fqdn(struct check *c, const char *address, const char *kind)
{
	const char *domain = address_domain(address);
	size_t len = domain ? strlen(domain) : 0;
	if (domain && (domain_literal_valid(domain, len) || (name_valid(c, domain, len) && memchr(domain, '.', len))))
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->non_fqdn_code, c->r->non_fqdn_code < 500 ? "4.5.2" : "5.5.2",
			    "<%s>: %s rejected: need fully-qualified address", address, kind);
}

static enum outcome r_reject_non_fqdn_sender(struct check *c, const struct step *step)
{
	(void)step;
	return sender_of(c) ? non_fqdn(c, sender_of(c), "Sender address") : OUTCOME_DUNNO;
}

static enum outcome r_reject_unknown_sender_domain(struct check *c, const struct step *step)
{
	(void)step;
	return sender_of(c) ? unknown_domain(c, sender_of(c), "Sender address", "1.8") : OUTCOME_DUNNO;
}

/* What the tables say about an address that is not there, as a refusal. */
static enum outcome unlisted(struct check *c, const char *address, const struct resolved *to, const char *kind)
{
	struct rcpt_answer answer = { 0 };
	const struct resolver *resolver = c->s->server->resolver;
	bool waits = !resolver_immediate(resolver);
	if (to->verdict == RESOLVE_DEFER)
		return check_reject(c, 451, "4.3.0", "<%s>: Temporary lookup failure", address);
	if (waits)
		pool_wait_begin();
	enum rcpt_exists exists = resolver_exists(resolver, c->arena, address, to, &answer);
	if (waits)
		pool_wait_end();
	switch (exists) {
	case RCPT_EXISTS:
		return OUTCOME_DUNNO;
	case RCPT_UNSURE:
		return check_reject(c, 451, "4.3.0", "<%s>: Temporary lookup failure", address);
	case RCPT_UNKNOWN:
		break;
	}
	return check_reject(c, answer.code, answer.dsn, "<%s>: %s rejected: %s", address, kind, answer.text);
}

static enum outcome r_reject_unlisted_sender(struct check *c, const struct step *step)
{
	(void)step;
	const char *sender = sender_of(c);
	struct resolved to = { 0 };
	c->sender_listed_checked = true;
	if (!sender)
		return OUTCOME_DUNNO;
	resolver_resolve(c->s->server->resolver, c->arena, NULL, sender, &to);
	return unlisted(c, sender, &to, "Sender address");
}

/* ---- by recipient ---- */

static enum outcome r_reject_non_fqdn_recipient(struct check *c, const struct step *step)
{
	(void)step;
	if (!c->rcpt || strcasecmp(c->rcpt, "postmaster") == 0)
		return OUTCOME_DUNNO;
	return non_fqdn(c, c->rcpt, "Recipient address");
}

static enum outcome r_reject_unknown_recipient_domain(struct check *c, const struct step *step)
{
	(void)step;
	return c->rcpt ? unknown_domain(c, c->rcpt, "Recipient address", "1.2") : OUTCOME_DUNNO;
}

static enum outcome r_reject_unlisted_recipient(struct check *c, const struct step *step)
{
	(void)step;
	c->rcpt_listed_checked = true;
	return c->rcpt ? unlisted(c, c->rcpt, check_resolve_rcpt(c), "Recipient address") : OUTCOME_DUNNO;
}

enum authorized { AUTH_YES, AUTH_NO, AUTH_UNSURE };

/* Is the recipient in a place that this system takes mail for? */
static enum authorized authorized(struct check *c)
{
	const struct resolved *to = check_resolve_rcpt(c);
	if (to->verdict == RESOLVE_DEFER)
		return AUTH_UNSURE;
	if (to->routed && !c->r->untrusted_routing)
		return AUTH_NO;
	return to->address_class == CLASS_DEFAULT || to->address_class == CLASS_NONE ? AUTH_NO : AUTH_YES;
}

static enum outcome r_permit_auth_destination(struct check *c, const struct step *step)
{
	(void)step;
	return c->rcpt && authorized(c) == AUTH_YES ? OUTCOME_PERMIT : OUTCOME_DUNNO;
}

/* Relaying by strangers ends here; a failed lookup is never a yes. */
static enum outcome refuse_relay(struct check *c, int code)
{
	if (!c->rcpt)
		return OUTCOME_DUNNO;
	switch (authorized(c)) {
	case AUTH_YES:
		return OUTCOME_DUNNO;
	case AUTH_UNSURE:
		return check_reject(c, 451, "4.3.0", "<%s>: Temporary lookup failure", c->rcpt);
	case AUTH_NO:
		break;
	}
	return check_reject(c, code, code < 500 ? "4.7.1" : "5.7.1", "<%s>: Relay access denied", c->rcpt);
}

static enum outcome r_reject_unauth_destination(struct check *c, const struct step *step)
{
	(void)step;
	return refuse_relay(c, c->r->relay_code);
}

static enum outcome r_defer_unauth_destination(struct check *c, const struct step *step)
{
	(void)step;
	return refuse_relay(c, c->r->relay_code - (c->r->relay_code < 500 ? 0 : 100));
}

static enum outcome r_reject_multi_recipient_bounce(struct check *c, const struct step *step)
{
	(void)step;
	const struct transaction *tx = c->s->tx;
	size_t rcpts = tx ? tx->rcpts + (c->stage == STAGE_RECIPIENT || c->stage == STAGE_RELAY) : 0;
	if (!tx || *tx->sender || rcpts < 2)
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->multi_bounce_code, c->r->multi_bounce_code < 500 ? "4.5.3" : "5.5.3",
			    "<%s>: %s rejected: Multi-recipient bounce", c->name, c->kind);
}

/* Old names stand beside the new ones. */
static const struct core_restriction restrictions[] = {
	{ "defer", r_defer, 0, true },
	{ "defer_if_permit", r_defer_if_permit, 0, true },
	{ "defer_if_reject", r_defer_if_reject, 0, false },
	{ "defer_unauth_destination", r_defer_unauth_destination, 0, true },
	{ "permit", r_permit, 0, false },
	{ "permit_auth_destination", r_permit_auth_destination, 0, false },
	{ "permit_inet_interfaces", r_permit_inet_interfaces, 0, false },
	{ "permit_mynetworks", r_permit_mynetworks, 0, false },
	{ "permit_sasl_authenticated", r_permit_sasl_authenticated, 0, false },
	{ "reject", r_reject, 0, true },
	{ "reject_invalid_helo_hostname", r_reject_invalid_helo, 0, false },
	{ "reject_invalid_hostname", r_reject_invalid_helo, 0, false },
	{ "reject_multi_recipient_bounce", r_reject_multi_recipient_bounce, 0, false },
	{ "reject_non_fqdn_helo_hostname", r_reject_non_fqdn_helo, 0, false },
	{ "reject_non_fqdn_hostname", r_reject_non_fqdn_helo, 0, false },
	{ "reject_non_fqdn_recipient", r_reject_non_fqdn_recipient, 0, false },
	{ "reject_non_fqdn_sender", r_reject_non_fqdn_sender, 0, false },
	{ "reject_unauth_destination", r_reject_unauth_destination, 0, true },
	{ "reject_unauth_pipelining", r_reject_unauth_pipelining, 0, false },
	{ "reject_unknown_client", r_reject_unknown_client, 0, false },
	{ "reject_unknown_client_hostname", r_reject_unknown_client, 0, false },
	{ "reject_unknown_helo_hostname", r_reject_unknown_helo, 0, false },
	{ "reject_unknown_hostname", r_reject_unknown_helo, 0, false },
	{ "reject_unknown_recipient_domain", r_reject_unknown_recipient_domain, 0, false },
	{ "reject_unknown_reverse_client_hostname", r_reject_unknown_reverse_client, 0, false },
	{ "reject_unknown_sender_domain", r_reject_unknown_sender_domain, 0, false },
	{ "reject_unlisted_recipient", r_reject_unlisted_recipient, 0, false },
	{ "reject_unlisted_sender", r_reject_unlisted_sender, 0, false },
	{ "sleep", r_sleep, 1, false },
};

const struct core_restriction *core_restriction_find(const char *name)
{
	for (size_t i = 0; i < sizeof restrictions / sizeof *restrictions; i++)
		if (strcasecmp(restrictions[i].name, name) == 0)
			return &restrictions[i];
	return NULL;
}

size_t core_restriction_names(const char **names, size_t max)
{
	size_t n = sizeof restrictions / sizeof *restrictions;
	for (size_t i = 0; i < n && i < max; i++)
		names[i] = restrictions[i].name;
	return n;
}
