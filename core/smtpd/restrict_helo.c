/* SPDX-License-Identifier: Apache-2.0
 * Restrictions by the name after HELO or EHLO. */
#include <arpa/inet.h>
#include <string.h>

#include "mail/address.h"
#include "smtpd/check.h"

/* The length of a name without the dot at its end. */
static size_t undotted(const char *name)
{
	size_t len = strlen(name);
	return len > 1 && name[len - 1] == '.' && name[len - 2] != '.' ? len - 1 : len;
}

/* An address without brackets: RFC 5321 does not know it, clients do. */
static bool bare_address(const char *helo)
{
	unsigned char address[16];
	return inet_pton(AF_INET, helo, address) == 1 || inet_pton(AF_INET6, helo, address) == 1;
}

/* A name in brackets that is no address. */
static enum outcome invalid_literal(struct check *c, const char *helo)
{
	if (domain_literal_valid(helo, strlen(helo)))
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->invalid_hostname_code, "5.5.2", "<%s>: Helo command rejected: invalid ip address", helo);
}

static enum outcome r_reject_invalid_helo(struct check *c, const struct step *step)
{
	(void)step;
	const char *helo = c->s->helo;
	if (!helo || (*helo != '[' && (bare_address(helo) || domain_valid(helo, undotted(helo)))))
		return OUTCOME_DUNNO;
	if (*helo == '[')
		return invalid_literal(c, helo);
	return check_reject(c, c->r->invalid_hostname_code, "5.5.2", "<%s>: Helo command rejected: Invalid name", helo);
}

static enum outcome r_reject_non_fqdn_helo(struct check *c, const struct step *step)
{
	(void)step;
	const char *helo = c->s->helo;
	if (!helo || *helo == '[')
		return helo ? invalid_literal(c, helo) : OUTCOME_DUNNO;
	if (domain_valid(helo, undotted(helo)) && memchr(helo, '.', undotted(helo)))
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->non_fqdn_code, "5.5.2", "<%s>: Helo command rejected: need fully-qualified hostname", helo);
}

static enum outcome r_reject_unknown_helo(struct check *c, const struct step *step)
{
	(void)step;
	const char *helo = c->s->helo;
	if (!helo || *helo == '[')
		return helo ? invalid_literal(c, helo) : OUTCOME_DUNNO;
	enum name_known known = check_host_name(c, helo);
	if (known == NAME_KNOWN || known == NAME_NULL_MX)
		return OUTCOME_DUNNO;
	if (known == NAME_UNSURE && !c->r->defer_unknown_helo)
		return check_postpone(c, &c->s->verdict.if_permit, 450, "4.7.1",
				      "<%s>: Helo command rejected: Host not found", helo);
	return check_reject(c, known == NAME_UNSURE ? 450 : c->r->unknown_hostname_code, "4.7.1",
			    "<%s>: Helo command rejected: %s", helo,
			    known == NAME_GARBLED ? "Malformed DNS server reply" : "Host not found");
}

/* A HELO "name" of digits, dots and colons that is an address. */
static enum outcome r_permit_naked_ip(struct check *c, const struct step *step)
{
	const char *helo = c->s->helo;
	if (!helo || helo[strspn(helo, "0123456789.:")])
		return OUTCOME_DUNNO;
	if (!bare_address(helo))
		return check_reject(c, c->r->invalid_hostname_code, "5.5.2", "<%s>: Helo command rejected: invalid ip address",
				    helo);
	return check_permit(c, step->name, "Helo command", helo);
}

const struct core_restriction restrictions_helo[] = {
	{ .name = "permit_naked_ip_address", .run = r_permit_naked_ip,
	  .successor = "permit_mynetworks or permit_sasl_authenticated" },
	{ .name = "reject_invalid_helo_hostname", .run = r_reject_invalid_helo },
	{ .name = "reject_invalid_hostname", .run = r_reject_invalid_helo, .successor = "reject_invalid_helo_hostname" },
	{ .name = "reject_non_fqdn_helo_hostname", .run = r_reject_non_fqdn_helo },
	{ .name = "reject_non_fqdn_hostname", .run = r_reject_non_fqdn_helo, .successor = "reject_non_fqdn_helo_hostname" },
	{ .name = "reject_unknown_helo_hostname", .run = r_reject_unknown_helo },
	{ .name = "reject_unknown_hostname", .run = r_reject_unknown_helo, .successor = "reject_unknown_helo_hostname" },
	{ .name = NULL },
};
