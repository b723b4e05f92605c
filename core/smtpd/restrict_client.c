/* SPDX-License-Identifier: Apache-2.0
 * Restrictions by who the client is. */
#include "net/self.h"
#include "smtpd/check.h"

static enum outcome r_permit_mynetworks(struct check *c, const struct step *step)
{
	struct lookup got = { 0 };
	switch (matchlist_client(c->s->server->mynetworks, c->arena, NULL, c->s->peer.address, &got)) {
	case OST_FOUND:
		return check_permit(c, step->name, "Client host", c->s->peer.namaddr);
	case OST_NOTFOUND:
		return OUTCOME_DUNNO;
	case OST_TEMPFAIL:
	case OST_BADTABLE:
		break;
	}
	return check_unsure(c, c->name);
}

static enum outcome r_permit_inet_interfaces(struct check *c, const struct step *step)
{
	const struct self *self = c->s->server->self;
	if (!self || !self_owns(self, c->s->peer.address))
		return OUTCOME_DUNNO;
	return check_permit(c, step->name, "Client host", c->s->peer.namaddr);
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
	return check_reject(c, p->name_status == 5 ? c->r->unknown_client_code : 450, "4.7.25",
			    "Client host rejected: cannot find your hostname, [%s]", p->address);
}

static enum outcome r_reject_unknown_reverse_client(struct check *c, const struct step *step)
{
	(void)step;
	const struct peer *p = &c->s->peer;
	if (p->reverse_status == 2)
		return OUTCOME_DUNNO;
	return check_reject(c, p->reverse_status == 5 ? c->r->unknown_client_code : 450, "4.7.25",
			    "Client host rejected: cannot find your reverse hostname, [%s]", p->address);
}

const struct core_restriction restrictions_client[] = {
	{ .name = "permit_inet_interfaces", .run = r_permit_inet_interfaces },
	{ .name = "permit_mynetworks", .run = r_permit_mynetworks },
	{ .name = "permit_sasl_authenticated", .run = r_permit_sasl_authenticated },
	{ .name = "reject_unknown_client", .run = r_reject_unknown_client, .successor = "reject_unknown_client_hostname" },
	{ .name = "reject_unknown_client_hostname", .run = r_reject_unknown_client },
	{ .name = "reject_unknown_reverse_client_hostname", .run = r_reject_unknown_reverse_client },
	{ .name = NULL },
};
