/* SPDX-License-Identifier: Apache-2.0
 * reject_unverified_sender, reject_unverified_recipient: is there somebody at that address, as its own system says? */
#include <strings.h>

#include "base/log.h"
#include "smtpd/check.h"
#include "smtpd/probe.h"

/* What main.cf says about senders, or about recipients. */
struct manner {
	const char *kind, *dsn;
	enum param_id reject_code, defer_code, reason, tempfail_action;
};

static const struct manner senders = {
	"Sender address", "4.1.7", P_unverified_sender_reject_code, P_unverified_sender_defer_code,
	P_unverified_sender_reject_reason, P_unverified_sender_tempfail_action,
};
static const struct manner recipients = {
	"Recipient address", "4.1.1", P_unverified_recipient_reject_code, P_unverified_recipient_defer_code,
	P_unverified_recipient_reject_reason, P_unverified_recipient_tempfail_action,
};

/* "Try again later", now or when nothing else refuses. */
static enum outcome later(struct check *c, const struct manner *m, int code, const char *address, const char *text)
{
	if (strcasecmp(cfg_str(c->r->view, m->tempfail_action), "defer") == 0)
		return check_reject(c, code, m->dsn, "<%s>: %s rejected: %s", address, m->kind, text);
	return check_postpone(c, &c->s->verdict.if_permit, code, m->dsn, "<%s>: %s rejected: %s", address, m->kind, text);
}

static enum outcome verify(struct check *c, const struct manner *m, const char *address)
{
	struct server *srv = c->s->server;
	struct verify_entry e;
	pool_wait_begin();
	bool ok = probe_address(srv, c->arena, cleanup_rewrite_address(srv->cleaner, c->arena, address), &e);
	pool_wait_end();
	if (!ok) {
		log_warning("address verification failure");
		return later(c, m, 450, address, "address verification problem");
	}
	if (e.status == VERIFIED_OK)
		return OUTCOME_DUNNO;
	int code = (int)cfg_int(c->r->view, e.status == VERIFIED_BOUNCED ? m->reject_code : m->defer_code);
	const char *reason = cfg_str(c->r->view, m->reason);
	if (code < 400)
		return OUTCOME_DUNNO;
	if (!*reason)
		reason = e.text;
	if (code < 500)
		return later(c, m, code, address, arena_printf(c->arena, "unverified address: %.250s", reason));
	return check_reject(c, code, m->dsn, "<%s>: %s rejected: undeliverable address: %s", address, m->kind, reason);
}

enum outcome check_verified_sender(struct check *c, const struct step *step)
{
	(void)step;
	return c->s->tx && *c->s->tx->sender ? verify(c, &senders, c->s->tx->sender) : OUTCOME_DUNNO;
}

enum outcome check_verified_recipient(struct check *c, const struct step *step)
{
	(void)step;
	return c->rcpt && *c->rcpt ? verify(c, &recipients, c->rcpt) : OUTCOME_DUNNO;
}
