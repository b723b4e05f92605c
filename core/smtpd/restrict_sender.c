/* SPDX-License-Identifier: Apache-2.0
 * Restrictions by the sender's address. */
#include "smtpd/check.h"

/* The sender's address; NULL: none yet, or the null sender. */
static const char *sender_of(const struct check *c)
{
	return c->s->tx && *c->s->tx->sender ? c->s->tx->sender : NULL;
}

static enum outcome r_reject_non_fqdn_sender(struct check *c, const struct step *step)
{
	(void)step;
	return sender_of(c) ? check_non_fqdn(c, sender_of(c), "Sender address") : OUTCOME_DUNNO;
}

static enum outcome r_reject_unknown_sender_domain(struct check *c, const struct step *step)
{
	(void)step;
	const char *sender = sender_of(c);
	return sender ? check_unknown_domain(c, sender, check_resolve_sender(c), "Sender address") : OUTCOME_DUNNO;
}

static enum outcome r_reject_unlisted_sender(struct check *c, const struct step *step)
{
	(void)step;
	const char *sender = sender_of(c);
	if (!sender || c->sender_listed_checked)
		return OUTCOME_DUNNO;
	c->sender_listed_checked = c->s->verdict.warn_depth == 0;
	return check_unlisted(c, sender, check_resolve_sender(c), "Sender address");
}

const struct core_restriction restrictions_sender[] = {
	{ .name = "reject_non_fqdn_sender", .run = r_reject_non_fqdn_sender },
	{ .name = "reject_unknown_address", .run = r_reject_unknown_sender_domain, .successor = "reject_unknown_sender_domain" },
	{ .name = "reject_unknown_sender_domain", .run = r_reject_unknown_sender_domain },
	{ .name = "reject_unlisted_sender", .run = r_reject_unlisted_sender },
	{ .name = "reject_unverified_sender", .run = check_verified_sender },
	{ .name = NULL },
};
