/* SPDX-License-Identifier: Apache-2.0
 * Right-hand sides of access tables (access(5)). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "mail/address.h"
#include "mail/ascii.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "smtpd/check.h"

enum { DEPTH_MAX = 100 };

struct action { /* the thing that was looked up, for texts */
	struct check *c;
	const char *kind, *name, *text; /* text: behind the keyword, "" when there is none */
};

/* The text of a reply: dsn and words of the table, or what is usual. */
static enum outcome refuse(const struct action *a, int code, const char *default_dsn, const char *default_text)
{
	char dsn[DSN_SIZE];
	const char *text = dsn_split(dsn, default_dsn, a->text);
	dsn_set_class(dsn, code < 500 ? '4' : '5');
	return check_reject(a->c, code, dsn, "<%s>: %s rejected: %s", a->name, a->kind, *text ? text : default_text);
}

static enum outcome act_reject(const struct action *a)
{
	return refuse(a, a->c->r->access_reject_code, "5.7.1", "Access denied");
}

static enum outcome act_defer(const struct action *a)
{
	return refuse(a, a->c->r->access_defer_code, "4.7.1", "Access denied");
}

static enum outcome postpone(const struct action *a, struct postponed *p)
{
	char dsn[DSN_SIZE];
	const char *text = dsn_split(dsn, "4.7.1", a->text);
	return check_postpone(a->c, p, a->c->r->access_defer_code, dsn, "<%s>: %s rejected: %s", a->name, a->kind,
			      *text ? text : "Service unavailable");
}

static enum outcome act_defer_if_permit(const struct action *a)
{
	return postpone(a, &a->c->s->verdict.if_permit);
}

static enum outcome act_defer_if_reject(const struct action *a)
{
	return postpone(a, &a->c->s->verdict.if_reject);
}

static enum outcome act_permit(const struct action *a)
{
	(void)a;
	return OUTCOME_PERMIT;
}

static enum outcome act_dunno(const struct action *a)
{
	(void)a;
	return OUTCOME_DUNNO;
}

/* Logs what an action that lets the message pass does to it. */
static void note(const struct action *a, const char *what, const char *default_text)
{
	char *line = arena_printf(a->c->arena, "<%s>: %s %s", a->name, a->kind, *a->text ? a->text : default_text);
	log_whatsup(a->c->s, what, line);
}

/* Actions on a message need one. */
static struct actions *message_actions(const struct action *a)
{
	return a->c->s->tx ? &a->c->s->tx->actions : NULL;
}

static enum outcome act_hold(const struct action *a)
{
	note(a, "hold", "triggers HOLD action");
	struct actions *m = message_actions(a);
	if (m)
		m->hold = true;
	return OUTCOME_DUNNO;
}

static enum outcome act_discard(const struct action *a)
{
	note(a, "discard", "triggers DISCARD action");
	struct actions *m = message_actions(a);
	if (m)
		m->discard = true;
	a->c->s->verdict.discard = true;
	return OUTCOME_PERMIT;
}

static enum outcome act_filter(const struct action *a)
{
	struct actions *m = message_actions(a);
	if (!*a->text || !strchr(a->text, ':')) {
		log_warning("access table entry for %s: FILTER action without a transport:destination", a->name);
		return OUTCOME_DUNNO;
	}
	note(a, "filter", "");
	if (m)
		m->filter = arena_strdup(a->c->s->tx->arena, a->text);
	return OUTCOME_DUNNO;
}

static enum outcome act_redirect(const struct action *a)
{
	struct actions *m = message_actions(a);
	if (!strchr(a->text, '@')) {
		log_warning("access table entry for %s: REDIRECT action without an address", a->name);
		return OUTCOME_DUNNO;
	}
	note(a, "redirect", "");
	if (m)
		m->redirect = arena_strdup(a->c->s->tx->arena, a->text);
	return OUTCOME_DUNNO;
}

static enum outcome act_bcc(const struct action *a)
{
	struct actions *m = message_actions(a);
	if (!strchr(a->text, '@')) {
		log_warning("access table entry for %s: BCC action without an address", a->name);
		return OUTCOME_DUNNO;
	}
	note(a, "bcc", "");
	if (!m)
		return OUTCOME_DUNNO;
	const char **list = arena_alloc(a->c->s->tx->arena, (m->nbcc + 1) * sizeof *list);
	if (m->nbcc)
		memcpy(list, m->bcc, m->nbcc * sizeof *list);
	list[m->nbcc++] = arena_strdup(a->c->s->tx->arena, a->text);
	m->bcc = list;
	return OUTCOME_DUNNO;
}

static enum outcome act_prepend(const struct action *a)
{
	struct actions *m = message_actions(a);
	if (a->c->stage == STAGE_END_OF_DATA || !header_name_len(a->text, strlen(a->text))) {
		log_warning("access table entry for %s: PREPEND action without a message header, or too late", a->name);
		return OUTCOME_DUNNO;
	}
	if (m) {
		sanitize(&m->prepend, a->text, strlen(a->text), 1000, SANITIZE_LOG);
		buf_putc(&m->prepend, '\n');
	}
	return OUTCOME_DUNNO;
}

/* WARN and INFO: the table's text, or what was looked up. */
static enum outcome remark(const struct action *a, const char *what)
{
	log_whatsup(a->c->s, what, *a->text ? a->text : arena_printf(a->c->arena, "<%s>: %s", a->name, a->kind));
	return OUTCOME_DUNNO;
}

static enum outcome act_warn(const struct action *a)
{
	return remark(a, "warn");
}

static enum outcome act_info(const struct action *a)
{
	return remark(a, "info");
}

static const struct {
	const char *word;
	enum outcome (*run)(const struct action *);
} actions[] = {
	{ "OK", act_permit },
	{ "RELAY", act_permit },
	{ "DUNNO", act_dunno },
	{ "REJECT", act_reject },
	{ "DEFER", act_defer },
	{ "DEFER_IF_PERMIT", act_defer_if_permit },
	{ "DEFER_IF_REJECT", act_defer_if_reject },
	{ "HOLD", act_hold },
	{ "DISCARD", act_discard },
	{ "FILTER", act_filter },
	{ "REDIRECT", act_redirect },
	{ "BCC", act_bcc },
	{ "PREPEND", act_prepend },
	{ "WARN", act_warn },
	{ "INFO", act_info },
};

/* Only digits: POP-before-SMTP programs write such "OK"s. */
static bool all_digits(const char *s)
{
	size_t n = strspn(s, "0123456789");
	return n > 0 && s[n] == '\0';
}

/* "4xx text", "5xx text", also 421 and 521. */
static bool reply_code(const char *s, int *code)
{
	if ((s[0] != '4' && s[0] != '5') || !ascii_digit((unsigned char)s[1]) || !ascii_digit((unsigned char)s[2]) ||
	    (s[3] && !ascii_space((unsigned char)s[3])))
		return false;
	*code = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
	return true;
}

/* Names of restrictions as a right-hand side: "permit_mynetworks, reject". */
static enum outcome run_names(struct check *c, const char *value, const char *name)
{
	if (c->s->verdict.depth >= DEPTH_MAX) {
		log_warning("access table entry for %s leads to itself", name);
		return check_reject(c, 451, "4.3.5", "Server configuration error");
	}
	const char **words = cfg_split(c->arena, value);
	struct list list = { .name = name };
	size_t n = 0;
	while (words[n])
		n++;
	list.steps = arena_alloc(c->arena, (n + 1) * sizeof *list.steps);
	for (size_t i = 0; i < n; i++) {
		const struct step *step = check_step_by_name(c->r, c->arena, words[i]);
		if (!step) {
			log_warning("access table entry for %s: unknown action or restriction: %s", name, words[i]);
			return check_reject(c, 451, "4.3.5", "Server configuration error");
		}
		list.steps[list.count++] = *step;
	}
	c->s->verdict.depth++;
	enum outcome out = check_list(c, &list);
	c->s->verdict.depth--;
	return out;
}

enum outcome access_apply(struct check *c, const char *value, const char *kind, const char *name)
{
	struct action a = { .c = c, .kind = kind, .name = name };
	int code;
	while (ascii_space((unsigned char)*value))
		value++;
	size_t n = strcspn(value, " \t\r\n");
	if (reply_code(value, &code) && !(n == 3 && all_digits(value) && value[3] == '\0' && code < 400)) {
		a.text = value + n + strspn(value + n, " \t");
		return refuse(&a, code, code < 500 ? "4.7.1" : "5.7.1", "Access denied");
	}
	if (all_digits(value))
		return OUTCOME_PERMIT;
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		if (strlen(actions[i].word) == n && strncasecmp(actions[i].word, value, n) == 0) {
			a.text = value + n + strspn(value + n, " \t");
			return actions[i].run(&a);
		}
	}
	return run_names(c, value, name);
}
