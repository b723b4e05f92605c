/* SPDX-License-Identifier: Apache-2.0
 * What restrictions ask name servers. */
#include <string.h>

#include "base/clock.h"
#include "mail/address.h"
#include "smtpd/check.h"

enum { DNS_SECONDS = 30 };

enum dns_outcome check_dns(struct check *c, const char *name, enum dns_type type, struct dns_answer *answer, struct ost_why *why)
{
	pool_wait_begin();
	enum dns_outcome got =
		dns_lookup(c->r->dns, c->arena, name, type, clock_mono() + DNS_SECONDS * CLOCK_SECOND, answer, why);
	pool_wait_end();
	return got;
}

/* RFC 7505: the only mail exchanger is the root. */
static bool null_mx(enum dns_type type, const struct dns_answer *answer)
{
	return type == DNS_MX && answer->count == 1 && !*answer->list[0].text;
}

/* Has the name a record of one of these types? They are asked for in this order; the first that is there is enough. */
static enum name_known known(struct check *c, const char *name, const enum dns_type types[3])
{
	enum name_known worst = NAME_UNKNOWN;
	size_t len = strlen(name);
	if (!domain_valid(name, len - (len > 1 && name[len - 1] == '.')))
		return NAME_UNKNOWN;
	for (int i = 0; i < 3; i++) {
		struct dns_answer answer = { 0 };
		struct ost_why why = { "" };
		switch (check_dns(c, name, types[i], &answer, &why)) {
		case DNS_FOUND:
			return null_mx(types[i], &answer) ? NAME_NULL_MX : NAME_KNOWN;
		case DNS_TRY_LATER:
			worst = NAME_UNSURE;
			break;
		case DNS_BAD:
			return NAME_GARBLED;
		case DNS_NO_NAME:
		case DNS_NO_DATA:
			break;
		}
	}
	return worst;
}

enum name_known check_mail_domain(struct check *c, const char *domain)
{
	return known(c, domain, (const enum dns_type[]){ DNS_MX, DNS_A, DNS_AAAA });
}

enum name_known check_host_name(struct check *c, const char *host)
{
	return known(c, host, (const enum dns_type[]){ DNS_A, DNS_AAAA, DNS_MX });
}

static const char *const *one_name(struct check *c, const char *name)
{
	const char **list = arena_alloc(c->arena, 2 * sizeof *list);
	list[0] = name;
	list[1] = NULL;
	return list;
}

enum ost_dns check_servers(struct check *c, const char *domain, enum dns_type type, const char *const **names, struct ost_why *why)
{
	struct dns_answer answer = { 0 };
	enum dns_outcome got = domain_valid(domain, strlen(domain)) ? check_dns(c, domain, type, &answer, why) : DNS_NO_NAME;
	*names = NULL;
	if (!why->text[0])
		why_set(why, "Host not found");
	for (const char *dot = strchr(domain, '.'); type == DNS_NS && (got == DNS_NO_NAME || got == DNS_NO_DATA) && dot && dot[1];
	     dot = strchr(dot + 1, '.'))
		got = check_dns(c, dot + 1, type, &answer, why);
	if (got == DNS_FOUND && null_mx(type, &answer))
		return OST_DNS_NULLMX;
	if (got == DNS_FOUND) {
		const char **list = arena_alloc(c->arena, (answer.count + 1) * sizeof *list);
		for (size_t i = 0; i < answer.count; i++)
			list[i] = answer.list[i].text;
		list[answer.count] = NULL;
		*names = list;
	} else if (type == DNS_MX && (got == DNS_NO_NAME || got == DNS_NO_DATA)) {
		*names = one_name(c, domain);
	}
	if (*names)
		return OST_DNS_OK;
	return got == DNS_TRY_LATER ? OST_DNS_TEMPFAIL : OST_DNS_NOTFOUND;
}
