/* SPDX-License-Identifier: Apache-2.0
 * permit_mx_backup: mail to domains that name this machine as a secondary mail exchanger. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "net/lookup.h"
#include "net/self.h"
#include "smtpd/check.h"

enum { ADDRESSES_MAX = 50, HOST_SECONDS = 30 };

/* What cannot be looked up speaks for neither: a refusal that comes of it is a temporary one. */
#define UNSURE(c, fmt, ...)                                                                                     \
	((void)check_postpone((c), &(c)->s->verdict.if_reject, 450, "4.4.4", "<%s>: Recipient address rejected: " fmt, \
			      (c)->rcpt, __VA_ARGS__))

/* Is one of the host's addresses this machine's? */
static bool has_own_address(struct check *c, const char *host)
{
	const struct server *srv = c->s->server;
	struct ost_address list[ADDRESSES_MAX];
	struct ost_why why = { "" };
	size_t count = 0;
	pool_wait_begin();
	bool ok = net_addresses(srv->view, host, list, ADDRESSES_MAX, &count, clock_mono() + HOST_SECONDS * CLOCK_SECOND, &why);
	pool_wait_end();
	const char *reason = strrchr(why.text, ':');
	if (!ok)
		UNSURE(c, "Unable to look up mail exchanger host %s:%s%s", host, reason ? "" : " ", reason ? reason + 1 : why.text);
	for (size_t i = 0; ok && i < count; i++)
		if (srv->self && self_owns(srv->self, list[i].text))
			return true;
	return false;
}

/* Is this machine among the servers? By name first, since that asks nobody. */
static bool among(struct check *c, const struct dns_record *list, size_t count)
{
	struct ost_why why;
	for (size_t i = 0; i < count; i++)
		if (resolver_domain_class(c->s->server->resolver, c->arena, list[i].text, &why) == CLASS_LOCAL)
			return true;
	for (size_t i = 0; i < count; i++)
		if (has_own_address(c, list[i].text))
			return true;
	return false;
}

/* Are all of the host's addresses of one kind in permit_mx_backup_networks? *any: it has some. */
static bool all_in_networks(struct check *c, const char *host, enum dns_type type, bool *any, struct ost_why *why)
{
	struct dns_answer answer = { 0 };
	if (check_dns(c, host, type, &answer, why) != DNS_FOUND)
		return true;
	*any = true;
	for (size_t i = 0; i < answer.count; i++) {
		struct lookup got = { 0 };
		enum ost_found found = matchlist_client(c->r->mx_backup_networks, c->arena, host, answer.list[i].text, &got);
		if (found == OST_FOUND)
			continue;
		if (found != OST_NOTFOUND)
			UNSURE(c, "Unable to verify host %s as mail exchanger", host);
		return false;
	}
	return true;
}

static bool trusted_primary(struct check *c, const char *host)
{
	struct ost_why why = { "" };
	bool any = false;
	if (!all_in_networks(c, host, DNS_A, &any, &why) || !all_in_networks(c, host, DNS_AAAA, &any, &why))
		return false;
	if (!any)
		UNSURE(c, "Unable to look up host %s as mail exchanger: %s", host, why.text);
	return any;
}

/* Brings the servers of the best preference to the front; answers how many there are. */
static size_t best_first(struct dns_answer *mx)
{
	size_t n = 0;
	unsigned best = 65536;
	for (size_t i = 0; i < mx->count; i++)
		if (mx->list[i].preference < best)
			best = mx->list[i].preference;
	for (size_t i = 0; i < mx->count; i++) {
		if (mx->list[i].preference != best)
			continue;
		struct dns_record other = mx->list[n];
		mx->list[n++] = mx->list[i];
		mx->list[i] = other;
	}
	return n;
}

/* Is this machine a secondary server of the domain, behind primary ones that may be trusted? */
static bool backup_of(struct check *c, const char *domain)
{
	struct dns_answer mx = { 0 };
	struct ost_why why = { "" };
	enum dns_outcome got = check_dns(c, domain, DNS_MX, &mx, &why);
	if (got == DNS_TRY_LATER)
		UNSURE(c, "Unable to look up mail exchanger information: %s", why.text);
	size_t primaries = got == DNS_FOUND ? best_first(&mx) : 0;
	if (primaries == 0 || among(c, mx.list, primaries) || !among(c, mx.list + primaries, mx.count - primaries))
		return false;
	for (size_t i = 0; c->r->mx_backup_networks && i < primaries; i++)
		if (!trusted_primary(c, mx.list[i].text))
			return false;
	return true;
}

enum outcome check_mx_backup(struct check *c, const struct step *step)
{
	if (!c->rcpt)
		return OUTCOME_DUNNO;
	const struct resolved *to = check_resolve_rcpt(c);
	if (to->verdict == RESOLVE_DEFER)
		return check_unsure(c, c->rcpt);
	if (to->verdict != RESOLVE_OK || (to->routed && !c->r->untrusted_routing))
		return OUTCOME_DUNNO;
	const char *domain = address_domain(to->recipient);
	bool ours = to->address_class != CLASS_DEFAULT && to->address_class != CLASS_NONE;
	if (!ours && (!domain || *domain == '[' || !backup_of(c, domain)))
		return OUTCOME_DUNNO;
	return check_permit(c, step->name, "Recipient address", c->rcpt);
}
