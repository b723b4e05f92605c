/* SPDX-License-Identifier: Apache-2.0
 * Running the restriction lists: the points of a session at which they run, and what a list's outcome means. */
#include "smtpd/restrict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/sanitize.h"
#include "mail/dsn.h"
#include "net/self.h"
#include "smtpd/check.h"

enum { REPLY_MAX = 500 };

void verdict_free(struct verdict *v)
{
	buf_free(&v->reply);
	buf_free(&v->if_permit.text);
	buf_free(&v->if_reject.text);
	v->if_permit.active = v->if_reject.active = false;
}

/* ---- outcomes ---- */

/* "CODE DSN text", clean and of one line; soft_bounce makes 5xx 4xx. */
__attribute__((format(printf, 5, 0)))
static void compose(struct buf *out, const struct session *s, int code, const char *dsn, const char *fmt, va_list ap)
{
	char text[1000], fixed[DSN_SIZE];
	vsnprintf(text, sizeof text, fmt, ap);
	snprintf(fixed, sizeof fixed, "%s", dsn);
	if (s->server->soft_bounce && code >= 500 && code != 521) {
		code -= 100;
		dsn_set_class(fixed, '4');
	}
	buf_reset(out);
	buf_printf(out, "%d %s ", code, fixed);
	sanitize(out, text, strlen(text), REPLY_MAX, SANITIZE_REPLY);
}

enum outcome check_reject(struct check *c, int code, const char *dsn, const char *fmt, ...)
{
	struct verdict *v = &c->s->verdict;
	va_list ap;
	va_start(ap, fmt);
	compose(&v->reply, c->s, code, dsn, fmt, ap);
	va_end(ap);
	if (v->warn_depth) {
		log_whatsup(c->s, "reject_warning", buf_str(&v->reply));
		return OUTCOME_DUNNO;
	}
	if (v->if_reject.active && v->reply.data[0] == '5') {
		buf_reset(&v->reply);
		buf_puts(&v->reply, buf_str(&v->if_reject.text));
	}
	if (code == 421 || code == 521)
		c->s->disconnect = true;
	log_whatsup(c->s, "reject", buf_str(&v->reply));
	return OUTCOME_REJECT;
}

enum outcome check_postpone(struct check *c, struct postponed *p, int code, const char *dsn, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	compose(&text, c->s, code, dsn, fmt, ap);
	va_end(ap);
	if (c->s->verdict.warn_depth) {
		log_whatsup(c->s, "reject_warning", buf_str(&text));
	} else if (!p->active) {
		p->active = true;
		buf_reset(&p->text);
		buf_puts(&p->text, buf_str(&text));
	}
	buf_free(&text);
	return OUTCOME_DUNNO;
}

const struct resolved *check_resolve_rcpt(struct check *c)
{
	if (!c->resolved) {
		c->resolved = ARENA_NEW(c->arena, struct resolved);
		const char *sender = c->s->tx ? c->s->tx->sender : NULL;
		bool waits = !resolver_immediate(c->s->server->resolver);
		if (waits)
			pool_wait_begin();
		resolver_resolve(c->s->server->resolver, c->arena, sender, c->rcpt, c->resolved);
		if (waits)
			pool_wait_end();
	}
	return c->resolved;
}

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
		return OUTCOME_PERMIT;
	case OST_REJECT:
	case OST_DEFER:
		if (os->whole)
			return check_reject(c, code, dsn, "%s", text);
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
	log_warning("restriction %s of module %s failed", step->name, "check");
	return check_reject(c, 451, "4.3.5", "Server configuration problem");
}

static const enum ost_stage public_stages[STAGE_COUNT] = {
	[STAGE_CLIENT] = OST_STAGE_CONNECT, [STAGE_HELO] = OST_STAGE_HELO,
	[STAGE_SENDER] = OST_STAGE_MAIL,    [STAGE_RELAY] = OST_STAGE_RCPT,
	[STAGE_RECIPIENT] = OST_STAGE_RCPT, [STAGE_DATA] = OST_STAGE_DATA,
	[STAGE_END_OF_DATA] = OST_STAGE_END_OF_DATA,
};

/* Until when a module's restriction has to have decided. */
static int64_t run_deadline(const struct step *step)
{
	int64_t usual = mod_deadline(1);
	if (!step->ops->longest)
		return usual;
	mod_enter(step->instance, "longest", usual);
	int64_t own = clock_mono() + step->ops->longest(mod_self(step->instance), step->prepared);
	mod_leave(step->instance);
	return own > usual ? own : usual;
}

/* Calls a module's restriction. */
static enum outcome run_module(struct check *c, const struct step *step)
{
	struct ost_session os = { .magic = MODULE_SESSION_MAGIC, .check = c };
	pool_wait_begin();
	void *state = restrict_module_state(c->s, step, &os);
	mod_enter(step->instance, "run", run_deadline(step));
	enum ost_verdict got =
		step->ops->run(mod_self(step->instance), state, step->prepared, public_stages[c->stage], &os);
	mod_leave(step->instance);
	pool_wait_end();
	return module_outcome(c, step, &os, got);
}

/* Before the first restriction of a module in the list: tells the module of all that it has there. */
static void foresee(struct check *c, const struct list *list, size_t first)
{
	const struct step *step = &list->steps[first];
	for (size_t i = 0; i < first; i++)
		if (list->steps[i].instance == step->instance)
			return;
	struct ost_session os = { .magic = MODULE_SESSION_MAGIC, .check = c };
	void **prepared = arena_alloc(c->arena, list->count * sizeof *prepared);
	size_t n = 0;
	for (size_t i = first; i < list->count; i++)
		if (list->steps[i].instance == step->instance)
			prepared[n++] = list->steps[i].prepared;
	pool_wait_begin();
	void *state = restrict_module_state(c->s, step, &os);
	mod_enter(step->instance, "foresee", mod_deadline(1));
	step->ops->foresee(mod_self(step->instance), state, prepared, n, &os);
	mod_leave(step->instance);
	pool_wait_end();
}

enum outcome check_list(struct check *c, const struct list *list)
{
	struct verdict *v = &c->s->verdict;
	for (size_t i = 0; i < list->count; i++) {
		const struct step *step = &list->steps[i];
		enum outcome out;
		if (step->instance && step->ops->foresee)
			foresee(c, list, i);
		v->warn_depth += step->warn;
		if (step->core)
			out = step->core->run(c, step);
		else if (step->class)
			out = check_list(c, step->class);
		else
			out = run_module(c, step);
		v->warn_depth -= step->warn;
		if (out != OUTCOME_DUNNO)
			return out;
	}
	return OUTCOME_DUNNO;
}

/* ---- the points at which lists run ---- */

/* Begins a run. */
static struct check begin(struct session *s, struct arena *a)
{
	struct verdict *v = &s->verdict;
	buf_reset(&v->reply);
	v->if_permit.active = v->if_reject.active = v->discard = v->replied = false;
	v->warn_depth = v->depth = 0;
	return (struct check){ .s = s, .r = s->server->restrictions, .arena = a };
}

/* Runs one list about one object. */
static enum outcome run(struct check *c, enum stage stage, const char *name, const char *kind)
{
	const struct list *list = &c->r->lists[stage];
	c->stage = stage;
	c->name = name;
	c->kind = kind;
	c->s->verdict.if_reject.active = false; /* holds within its list */
	return list->count ? check_list(c, list) : OUTCOME_DUNNO;
}

/* Was there trouble that forbids to say yes? */
static bool postponed(struct check *c)
{
	struct verdict *v = &c->s->verdict;
	if (!v->if_permit.active)
		return false;
	buf_reset(&v->reply);
	buf_puts(&v->reply, buf_str(&v->if_permit.text));
	log_whatsup(c->s, "reject", buf_str(&v->reply));
	return true;
}

static enum outcome run_client(struct check *c)
{
	return run(c, STAGE_CLIENT, c->s->peer.namaddr, "Client host");
}

static enum outcome run_helo(struct check *c)
{
	return c->s->helo ? run(c, STAGE_HELO, c->s->helo, "Helo command") : OUTCOME_DUNNO;
}

static enum outcome run_sender(struct check *c)
{
	enum outcome out = run(c, STAGE_SENDER, c->s->tx->sender, "Sender address");
	if (out != OUTCOME_REJECT && c->r->reject_unlisted_sender && !c->sender_listed_checked)
		out = core_restriction_find("reject_unlisted_sender")->run(c, NULL);
	return out;
}

/* With an arena of its own: before there is a transaction. */
static bool alone(struct session *s, enum outcome (*runner)(struct check *))
{
	struct arena *a = arena_new();
	struct check c = begin(s, a);
	bool ok = runner(&c) != OUTCOME_REJECT && !postponed(&c);
	arena_destroy(&a);
	return ok;
}

bool restrict_connect(struct session *s)
{
	return alone(s, run_client);
}

bool restrict_helo(struct session *s)
{
	return alone(s, run_helo);
}

bool restrict_mail(struct session *s)
{
	struct check c = begin(s, s->tx->arena);
	return run_sender(&c) != OUTCOME_REJECT && !postponed(&c);
}

/* Relay and recipient lists, in the order that smtpd_relay_before_recipient_restrictions wants. */
static enum outcome run_recipient(struct check *c)
{
	enum stage order[2] = { STAGE_RELAY, STAGE_RECIPIENT };
	if (!c->r->relay_first) {
		order[0] = STAGE_RECIPIENT;
		order[1] = STAGE_RELAY;
	}
	for (int i = 0; i < 2; i++)
		if (run(c, order[i], c->rcpt, "Recipient address") == OUTCOME_REJECT)
			return OUTCOME_REJECT;
	if (c->r->reject_unlisted_rcpt && !c->rcpt_listed_checked && !c->s->tx->actions.discard)
		return core_restriction_find("reject_unlisted_recipient")->run(c, NULL);
	return OUTCOME_DUNNO;
}

bool restrict_rcpt(struct session *s, const char *address)
{
	static enum outcome (*const delayed[])(struct check *) = { run_client, run_helo, run_sender };
	struct check c = begin(s, s->tx->arena);
	c.rcpt = address;
	if (s->tx->actions.discard)
		return true;
	for (size_t i = 0; s->server->delay_reject && i < sizeof delayed / sizeof *delayed; i++)
		if (delayed[i](&c) == OUTCOME_REJECT)
			return false;
	return run_recipient(&c) != OUTCOME_REJECT && !postponed(&c);
}

bool restrict_data(struct session *s)
{
	struct check c = begin(s, s->tx->arena);
	c.rcpt = s->tx->rcpts == 1 ? s->tx->first_rcpt : NULL;
	if (s->tx->actions.discard)
		return true;
	return run(&c, STAGE_DATA, "DATA", "Data command") != OUTCOME_REJECT && !postponed(&c);
}

bool restrict_end_of_data(struct session *s)
{
	struct check c = begin(s, s->tx->arena);
	c.rcpt = s->tx->rcpts == 1 ? s->tx->first_rcpt : NULL;
	if (s->tx->actions.discard || c.r->lists[STAGE_END_OF_DATA].count == 0)
		return true;
	return run(&c, STAGE_END_OF_DATA, "END-OF-MESSAGE", "End-of-data") != OUTCOME_REJECT && !postponed(&c);
}

/* VRFY and ETRN with smtpd_delay_reject: what was put off is checked now. */
static bool run_delayed(struct check *c)
{
	return !c->s->server->delay_reject || (run_client(c) != OUTCOME_REJECT && run_helo(c) != OUTCOME_REJECT);
}

bool restrict_etrn(struct session *s)
{
	struct arena *a = arena_new();
	struct check c = begin(s, a);
	bool ok = run_delayed(&c) && !postponed(&c);
	arena_destroy(&a);
	return ok;
}

bool restrict_vrfy(struct session *s, const char *address)
{
	struct arena *a = arena_new();
	struct check c = begin(s, a);
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
