/* SPDX-License-Identifier: Apache-2.0
 * Restrictions that depend on who has logged in: permit_sasl_authenticated, and whose a sender address is
 * (smtpd_sender_login_maps). */
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "mail/addrlist.h"
#include "smtpd/auth.h"
#include "smtpd/restrict_login.h"

enum outcome r_permit_sasl_authenticated(struct check *c, const struct step *step)
{
	(void)step;
	return auth_known(c->s) ? OUTCOME_PERMIT : OUTCOME_DUNNO;
}

enum owner { OWNER_SELF, OWNER_OTHER, OWNER_NOBODY, OWNER_UNSURE };

/* Is the login one of the words? Case does not count, as in Postfix. */
static bool named(struct arena *a, const char *words, const char *login)
{
	for (const char **word = cfg_split(a, words); *word; word++)
		if (strcasecmp(*word, login) == 0)
			return true;
	return false;
}

/* Whose address is it? login may be NULL. */
static enum owner owner_of(struct check *c, const char *address, const char *login)
{
	const struct server *srv = c->s->server;
	struct resolved to = { 0 };
	struct lookup found = { 0 };
	const char *ext = NULL;
	struct ost_why why;
	if (!srv->sender_logins)
		return OWNER_NOBODY;
	pool_wait_begin();
	resolver_resolve(srv->resolver, c->arena, NULL, address, &to);
	const char *key = to.verdict == RESOLVE_OK ? to.recipient : address;
	const char *at = strrchr(key, '@');
	enum address_class class = at ? resolver_domain_class(srv->resolver, c->arena, at + 1, &why) : CLASS_LOCAL;
	enum ost_found got = to.verdict == RESOLVE_DEFER ? OST_TEMPFAIL
							 : maps_find_address(srv->sender_logins, c->arena, key,
									     cfg_str(srv->view, P_recipient_delimiter),
									     class == CLASS_LOCAL, ADDR_ALL, &found, &ext);
	pool_wait_end();
	switch (got) {
	case OST_FOUND:
		return login && named(c->arena, found.value, login) ? OWNER_SELF : OWNER_OTHER;
	case OST_NOTFOUND:
		return OWNER_NOBODY;
	case OST_TEMPFAIL:
	case OST_BADTABLE:
		break;
	}
	if (found.why.text[0])
		log_warning("smtpd_sender_login_maps: %s", found.why.text);
	return OWNER_UNSURE;
}

static enum outcome unsure(struct check *c, const char *address)
{
	return check_reject(c, 451, "4.3.0", "<%s>: Temporary lookup failure", address);
}

/* Can clients log in at all? Otherwise there is nothing to check, which Postfix says in the same words. */
static bool logins_exist(const struct check *c, const struct step *step)
{
	if (auth_enabled(c->s))
		return true;
	log_warning("restriction `%s' ignored: no SASL support", step->name);
	return false;
}

/* The sender, or NULL when there is nothing to check. */
static const char *sender(const struct check *c, const struct step *step)
{
	if (!logins_exist(c, step))
		return NULL;
	return c->s->tx && *c->s->tx->sender ? c->s->tx->sender : NULL;
}

/* A client that has logged in uses an address of another, or, when unknown addresses are nobody's, of nobody. */
static enum outcome logged_in(struct check *c, const char *address, bool unknown_ok)
{
	const char *login = auth_user(c->s);
	switch (login ? owner_of(c, address, login) : OWNER_SELF) {
	case OWNER_SELF:
		return OUTCOME_DUNNO;
	case OWNER_UNSURE:
		return unsure(c, address);
	case OWNER_NOBODY:
		if (unknown_ok)
			return OUTCOME_DUNNO;
		break;
	case OWNER_OTHER:
		break;
	}
	return check_reject(c, 553, "5.7.1", "<%s>: Sender address rejected: not owned by user %s", address, login);
}

/* A client that has not logged in uses an address that belongs to a login. */
static enum outcome not_logged_in(struct check *c, const char *address)
{
	switch (auth_user(c->s) ? OWNER_NOBODY : owner_of(c, address, NULL)) {
	case OWNER_NOBODY:
		return OUTCOME_DUNNO;
	case OWNER_UNSURE:
		return unsure(c, address);
	case OWNER_SELF:
	case OWNER_OTHER:
		break;
	}
	return check_reject(c, 553, "5.7.1", "<%s>: Sender address rejected: not logged in", address);
}

enum outcome r_reject_sender_login_mismatch(struct check *c, const struct step *step)
{
	const char *address = sender(c, step);
	if (!address)
		return OUTCOME_DUNNO;
	return auth_user(c->s) ? logged_in(c, address, false) : not_logged_in(c, address);
}

enum outcome r_reject_authenticated_sender_login_mismatch(struct check *c, const struct step *step)
{
	const char *address = sender(c, step);
	return address ? logged_in(c, address, false) : OUTCOME_DUNNO;
}

enum outcome r_reject_known_sender_login_mismatch(struct check *c, const struct step *step)
{
	const char *address = sender(c, step);
	return address ? logged_in(c, address, true) : OUTCOME_DUNNO;
}

enum outcome r_reject_unauthenticated_sender_login_mismatch(struct check *c, const struct step *step)
{
	const char *address = sender(c, step);
	return address ? not_logged_in(c, address) : OUTCOME_DUNNO;
}

/* ---- the From header ---- */

enum { FROM_MAX = 20 };

void login_note_from(void *ctx, const char *body, size_t len)
{
	struct transaction *tx = ctx;
	struct addrlist got = addrlist_parse(tx->arena, body, len, FROM_MAX);
	tx->from.odd = tx->from.odd || tx->from.count > 0 || got.count == 0 || got.truncated;
	tx->from.list = got.list;
	tx->from.count = got.count;
}

/* A client that has logged in sends a message in the name of others. */
enum outcome r_reject_header_from_mismatch(struct check *c, const struct step *step)
{
	const char *login = auth_user(c->s);
	if (c->stage != STAGE_END_OF_DATA)
		log_warning("restriction `%s' ignored: it belongs into smtpd_end_of_data_restrictions", step->name);
	if (c->stage != STAGE_END_OF_DATA || !logins_exist(c, step) || !login || !c->s->tx)
		return OUTCOME_DUNNO;
	const struct header_from *from = &c->s->tx->from;
	if (from->odd)
		return check_reject(c, 550, "5.7.1", "From header rejected: one From header with an address is wanted");
	for (size_t i = 0; i < from->count; i++) {
		switch (owner_of(c, from->list[i], login)) {
		case OWNER_SELF:
			continue;
		case OWNER_UNSURE:
			return unsure(c, from->list[i]);
		case OWNER_NOBODY:
		case OWNER_OTHER:
			break;
		}
		return check_reject(c, 550, "5.7.1", "<%s>: From header rejected: not owned by user %s", from->list[i], login);
	}
	return OUTCOME_DUNNO;
}
