/* SPDX-License-Identifier: Apache-2.0
 * Running the restriction lists: the points of a session at which they run, and what a list's outcome means. */
#include "smtpd/restrict.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "mail/dsn.h"
#include "net/self.h"
#include "smtpd/check.h"

/* ---- steps ---- */

/* The verdict of a module as ours. */
static enum outcome module_outcome(struct check *c, const struct step *step, const struct ost_session *os, enum ost_verdict got)
{
	struct verdict *v = &c->s->verdict;
	bool later = got == OST_DEFER || got == OST_DEFER_IF_PERMIT || got == OST_DEFER_IF_REJECT;
	int code = os->code ? os->code : later ? c->r->access_defer_code : c->r->access_reject_code;
	const char *text = os->text[0] ? os->text : "Access denied";
	char dsn[DSN_SIZE];
	if (code < 400 || code > 599 || (later && code >= 500))
		code = later ? 450 : 554;
	snprintf(dsn, sizeof dsn, "%s", dsn_valid(os->dsn) ? os->dsn : "5.7.1");
	dsn_set_class(dsn, code < 500 ? '4' : '5');
	switch (got) {
	case OST_DUNNO:
		return OUTCOME_DUNNO;
	case OST_PERMIT:
		return os->permitted ? OUTCOME_PERMIT : check_permit(c, step->name, c->kind, c->name);
	case OST_REJECT:
	case OST_DEFER:
		return os->rejected ? OUTCOME_REJECT : check_reject(c, code, dsn, "<%s>: %s rejected: %s", c->name, c->kind, text);
	case OST_DEFER_IF_PERMIT:
		return check_postpone(c, &v->if_permit, code, dsn, "<%s>: %s rejected: %s", c->name, c->kind, text);
	case OST_DEFER_IF_REJECT:
		return check_postpone(c, &v->if_reject, code, dsn, "<%s>: %s rejected: %s", c->name, c->kind, text);
	case OST_DISCARD:
		if (c->s->tx)
			c->s->tx->actions.discard = true;
		return OUTCOME_PERMIT;
	case OST_CHECK_FAILED:
		break;
	}
	if (!os->text[0])
		log_warning("restriction %s failed", step->name);
	return check_fail(c, 451, "4.3.5", "%s", os->text[0] ? os->text : "Server configuration problem");
}

static const enum ost_stage public_stages[STAGE_COUNT] = {
	[STAGE_CLIENT] = OST_STAGE_CONNECT, [STAGE_HELO] = OST_STAGE_HELO,
	[STAGE_SENDER] = OST_STAGE_MAIL,    [STAGE_RELAY] = OST_STAGE_RCPT,
	[STAGE_RECIPIENT] = OST_STAGE_RCPT, [STAGE_DATA] = OST_STAGE_DATA,
	[STAGE_END_OF_DATA] = OST_STAGE_END_OF_DATA, [STAGE_ETRN] = OST_STAGE_ETRN,
};

/* Calls a module's restriction. */
static enum outcome run_module(struct check *c, const struct step *step)
{
	struct ost_session os = { .magic = MODULE_SESSION_MAGIC, .check = c };
	c->source = step->arg;
	pool_wait_begin();
	void *state = restrict_module_state(c->s, step, &os);
	mod_enter(step->instance, "run", mod_deadline(1));
	enum ost_verdict got =
		step->ops->run(mod_self(step->instance), state, step->prepared, public_stages[c->stage], &os);
	mod_leave(step->instance);
	pool_wait_end();
	return module_outcome(c, step, &os, got);
}

/* One step of a list. */
static enum outcome run_step(struct check *c, const struct step *step)
{
	c->source = NULL;
	if (step->core)
		return step->core->run(c, step);
	return step->class ? check_list(c, step->class) : run_module(c, step);
}

enum outcome check_list(struct check *c, const struct list *list)
{
	struct verdict *v = &c->s->verdict;
	for (size_t i = 0; i < list->count; i++) {
		const struct step *step = &list->steps[i];
		if (c->s->tx && c->s->tx->actions.discard)
			break;
		v->warn_depth += step->warn;
		enum outcome out = run_step(c, step);
		v->warn_depth -= step->warn;
		if (out != OUTCOME_DUNNO)
			return out;
		if (v->if_permit.active && v->if_reject.active)
			break; /* neither a yes nor a no could stand */
	}
	return OUTCOME_DUNNO;
}

/* ---- the points at which lists run ---- */

/* Begins a run. before: what the lists of earlier commands have put off; or NULL. */
static struct check begin(struct session *s, struct arena *a, const char *before)
{
	struct verdict *v = &s->verdict;
	buf_reset(&v->reply);
	v->if_permit.active = v->if_reject.active = v->discard = v->replied = false;
	v->warn_depth = v->depth = 0;
	if (before) {
		v->if_permit.active = true;
		buf_reset(&v->if_permit.text);
		buf_puts(&v->if_permit.text, before);
	}
	return (struct check){ .s = s, .r = s->server->restrictions, .arena = a };
}

/* Runs one list about one object. */
static enum outcome run(struct check *c, enum stage stage, const char *name, const char *kind)
{
	const struct list *list = &c->r->lists[stage];
	c->stage = stage;
	c->name = name;
	c->kind = kind;
	return list->count ? check_list(c, list) : OUTCOME_DUNNO;
}

/* Was there trouble that forbids to say yes? */
static bool postponed(struct check *c)
{
	struct verdict *v = &c->s->verdict;
	if (!v->if_permit.active)
		return false;
	check_say(c, buf_str(&v->if_permit.text));
	return true;
}

static enum outcome run_client(struct check *c)
{
	c->s->verdict.if_reject.active = false;
	return run(c, STAGE_CLIENT, c->s->peer.namaddr, "Client host");
}

static enum outcome run_helo(struct check *c)
{
	c->s->verdict.if_reject.active = false;
	return c->s->helo ? run(c, STAGE_HELO, c->s->helo, "Helo command") : OUTCOME_DUNNO;
}

static enum outcome run_sender(struct check *c)
{
	c->s->verdict.if_reject.active = false;
	enum outcome out = run(c, STAGE_SENDER, c->s->tx->sender, "Sender address");
	if (out != OUTCOME_REJECT && c->r->reject_unlisted_sender && !c->s->tx->actions.discard)
		out = core_restriction_find("reject_unlisted_sender")->run(c, NULL);
	return out;
}

/* Runs a list at its own command (smtpd_delay_reject = no). What it has put off waits, in *put_off, for what is decided at
 * RCPT or ETRN. */
static bool early(struct session *s, struct arena *a, const char *before, enum outcome (*runner)(struct check *),
		  struct arena *keep, const char **put_off)
{
	struct check c = begin(s, a, before);
	bool ok = runner(&c) != OUTCOME_REJECT;
	*put_off = s->verdict.if_permit.active ? arena_strdup(keep, buf_str(&s->verdict.if_permit.text)) : NULL;
	return ok;
}

bool restrict_connect(struct session *s)
{
	struct arena *a = arena_new();
	bool ok = early(s, a, NULL, run_client, s->arena, &s->put_off_client);
	arena_destroy(&a);
	return ok;
}

bool restrict_helo(struct session *s)
{
	struct arena *a = arena_new();
	bool ok = early(s, a, s->put_off_client, run_helo, s->arena, &s->put_off_helo);
	arena_destroy(&a);
	return ok;
}

/* What lists have put off before there was a sender. */
static const char *put_off_by_client(const struct session *s)
{
	return s->put_off_client ? s->put_off_client : s->put_off_helo;
}

bool restrict_mail(struct session *s)
{
	return early(s, s->tx->arena, put_off_by_client(s), run_sender, s->tx->arena, &s->tx->put_off);
}

/* Relay and recipient lists, in the order that smtpd_relay_before_recipient_restrictions wants. */
static enum outcome run_recipient(struct check *c)
{
	enum stage order[2] = { STAGE_RELAY, STAGE_RECIPIENT };
	if (!c->r->relay_first) {
		order[0] = STAGE_RECIPIENT;
		order[1] = STAGE_RELAY;
	}
	c->s->verdict.if_reject.active = false;
	for (int i = 0; i < 2; i++)
		if (run(c, order[i], c->rcpt, "Recipient address") == OUTCOME_REJECT)
			return OUTCOME_REJECT;
	if (postponed(c))
		return OUTCOME_REJECT;
	if (c->r->reject_unlisted_rcpt && !c->s->tx->actions.discard)
		return core_restriction_find("reject_unlisted_recipient")->run(c, NULL);
	return OUTCOME_DUNNO;
}

bool restrict_rcpt(struct session *s, const char *address)
{
	static enum outcome (*const delayed[])(struct check *) = { run_client, run_helo, run_sender };
	struct check c = begin(s, s->tx->arena, s->server->delay_reject ? NULL : s->tx->put_off);
	c.rcpt = address;
	if (strcasecmp(address, "postmaster") == 0)
		return true; /* RFC 5321 4.5.1 */
	for (size_t i = 0; s->server->delay_reject && i < sizeof delayed / sizeof *delayed; i++)
		if (delayed[i](&c) == OUTCOME_REJECT)
			return false;
	return run_recipient(&c) != OUTCOME_REJECT;
}

/* The lists that judge the whole message. */
static bool restrict_message(struct session *s, enum stage stage, const char *name, const char *kind)
{
	struct check c = begin(s, s->tx->arena, NULL);
	c.rcpt = s->tx->rcpts == 1 ? s->tx->first_rcpt : NULL;
	if (c.r->lists[stage].count == 0)
		return true;
	return run(&c, stage, name, kind) != OUTCOME_REJECT && !postponed(&c);
}

bool restrict_data(struct session *s)
{
	return restrict_message(s, STAGE_DATA, "DATA", "Data command");
}

bool restrict_end_of_data(struct session *s)
{
	return restrict_message(s, STAGE_END_OF_DATA, "END-OF-MESSAGE", "End-of-data");
}

/* VRFY and ETRN with smtpd_delay_reject: what was put off is checked now. */
static bool run_delayed(struct check *c)
{
	return !c->s->server->delay_reject || (run_client(c) != OUTCOME_REJECT && run_helo(c) != OUTCOME_REJECT);
}

bool restrict_etrn(struct session *s, const char *domain)
{
	struct arena *a = arena_new();
	struct check c = begin(s, a, s->server->delay_reject ? NULL : put_off_by_client(s));
	c.etrn = domain;
	bool ok = run_delayed(&c);
	s->verdict.if_reject.active = false;
	ok = ok && run(&c, STAGE_ETRN, domain, "Etrn command") != OUTCOME_REJECT && !postponed(&c);
	arena_destroy(&a);
	return ok;
}

bool restrict_vrfy(struct session *s, const char *address)
{
	struct arena *a = arena_new();
	struct check c = begin(s, a, NULL);
	c.rcpt = address;
	bool ok = run_delayed(&c);
	c.name = address;
	c.kind = "Recipient address";
	c.stage = STAGE_RECIPIENT;
	ok = ok && core_restriction_find("reject_unlisted_recipient")->run(&c, NULL) != OUTCOME_REJECT;
	arena_destroy(&a);
	return ok;
}

/* ---- about the client ---- */

bool restrict_client_listed(struct session *s, const struct matchlist *list)
{
	struct lookup got = { 0 };
	if (!list)
		return false;
	struct arena *a = arena_new();
	bool found = matchlist_client(list, a, s->peer.name, s->peer.address, &got) == OST_FOUND;
	arena_destroy(&a);
	return found;
}

bool restrict_local_rewrite(struct session *s)
{
	const struct server *srv = s->server;
	for (const char *const *w = srv->rewrite_clients; w && *w; w++) {
		if (strcasecmp(*w, "permit_mynetworks") == 0 && restrict_client_listed(s, srv->mynetworks))
			return true;
		if (strcasecmp(*w, "permit_inet_interfaces") == 0 && srv->self && self_owns(srv->self, s->peer.address))
			return true;
	}
	return false;
}
