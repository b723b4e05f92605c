/* SPDX-License-Identifier: Apache-2.0
 * Restrictions by the recipient's address: may this client send there, and is anybody there? */
#include "smtpd/check.h"

static enum outcome r_reject_non_fqdn_recipient(struct check *c, const struct step *step)
{
	(void)step;
	return c->rcpt ? check_non_fqdn(c, c->rcpt, "Recipient address") : OUTCOME_DUNNO;
}

static enum outcome r_reject_unknown_recipient_domain(struct check *c, const struct step *step)
{
	(void)step;
	return c->rcpt ? check_unknown_domain(c, c->rcpt, check_resolve_rcpt(c), "Recipient address") : OUTCOME_DUNNO;
}

static enum outcome r_reject_unlisted_recipient(struct check *c, const struct step *step)
{
	(void)step;
	if (!c->rcpt || c->rcpt_listed_checked)
		return OUTCOME_DUNNO;
	c->rcpt_listed_checked = c->s->verdict.warn_depth == 0;
	return check_unlisted(c, c->rcpt, check_resolve_rcpt(c), "Recipient address");
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
	switch (c->rcpt ? authorized(c) : AUTH_NO) {
	case AUTH_YES:
		return check_permit(c, step->name, "Recipient address", c->rcpt);
	case AUTH_UNSURE:
		return check_unsure(c, c->rcpt);
	case AUTH_NO:
		break;
	}
	return OUTCOME_DUNNO;
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
		return check_unsure(c, c->rcpt);
	case AUTH_NO:
		break;
	}
	return check_reject(c, code, "5.7.1", "<%s>: Relay access denied", c->rcpt);
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

/* Of old: what comes from a host in relay_domains may go anywhere. */
static enum outcome r_check_relay_domains(struct check *c, const struct step *step)
{
	struct ost_why why;
	if (!c->rcpt)
		return OUTCOME_DUNNO;
	if (resolver_domain_class(c->s->server->resolver, c->arena, c->s->peer.name, &why) == CLASS_RELAY)
		return check_permit(c, step->name, "Recipient address", c->rcpt);
	enum outcome out = r_permit_auth_destination(c, step);
	if (out != OUTCOME_DUNNO)
		return out;
	return check_reject(c, c->r->relay_code, "5.7.1", "<%s>: Recipient address rejected: Relay access denied", c->rcpt);
}

/* A bounce goes to one sender. Counted are the recipients that were accepted: at RCPT without the one that is asked for. */
static enum outcome r_reject_multi_recipient_bounce(struct check *c, const struct step *step)
{
	(void)step;
	const struct transaction *tx = c->s->tx;
	if (!tx || *tx->sender || tx->rcpts <= (c->stage == STAGE_DATA || c->stage == STAGE_END_OF_DATA))
		return OUTCOME_DUNNO;
	return check_reject(c, c->r->multi_bounce_code, "5.5.3", "<%s>: %s rejected: Multi-recipient bounce", c->name, c->kind);
}

const struct core_restriction restrictions_recipient[] = {
	{ .name = "check_recipient_maps", .run = r_reject_unlisted_recipient, .successor = "reject_unlisted_recipient" },
	{ .name = "check_relay_domains", .run = r_check_relay_domains, .protects_relay = true, .final = true,
	  .successor = "reject_unauth_destination" },
	{ .name = "defer_unauth_destination", .run = r_defer_unauth_destination, .protects_relay = true },
	{ .name = "permit_auth_destination", .run = r_permit_auth_destination },
	{ .name = "permit_mx_backup", .run = check_mx_backup },
	{ .name = "reject_multi_recipient_bounce", .run = r_reject_multi_recipient_bounce },
	{ .name = "reject_non_fqdn_recipient", .run = r_reject_non_fqdn_recipient },
	{ .name = "reject_unauth_destination", .run = r_reject_unauth_destination, .protects_relay = true },
	{ .name = "reject_unknown_recipient_domain", .run = r_reject_unknown_recipient_domain },
	{ .name = "reject_unlisted_recipient", .run = r_reject_unlisted_recipient },
	{ .name = "reject_unverified_recipient", .run = check_verified_recipient },
	{ .name = NULL },
};
