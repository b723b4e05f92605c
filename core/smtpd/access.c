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
	const char *word, *kind, *name, *text; /* text: behind the keyword, "" when there is none */
};

/* The text of a reply: dsn and words of the table, or what is usual. */
static enum outcome refuse(const struct action *a, int code, const char *default_dsn, const char *default_text)
{
	char dsn[DSN_SIZE];
	const char *text = dsn_split(dsn, default_dsn, a->text);
	return check_reject(a->c, code, check_dsn_for(a->c, dsn, a->kind), "<%s>: %s rejected: %s", a->name, a->kind,
			    *text ? text : default_text);
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
	return check_postpone(a->c, p, a->c->r->access_defer_code, check_dsn_for(a->c, dsn, a->kind), "<%s>: %s rejected: %s",
			      a->name, a->kind, *text ? text : "Service unavailable");
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
	return check_permit(a->c, a->word, a->kind, a->name);
}

static enum outcome act_dunno(const struct action *a)
{
	(void)a;
	return OUTCOME_DUNNO;
}

/* The table, as the log calls it. */
static const char *source(const struct action *a)
{
	return a->c->source ? a->c->source : "?";
}

/* A mistake in the table: the action is not done. */
static enum outcome skip(const struct action *a, const char *needs)
{
	log_warning("access table %s entry \"%s\" %s", source(a), a->name, needs);
	return OUTCOME_DUNNO;
}

/* The message that the action is about; NULL: there is none, which is logged. */
static struct actions *message(const struct action *a)
{
	if (a->c->s->tx)
		return &a->c->s->tx->actions;
	if (a->c->etrn)
		log_warning("access table %s: action %s is unavailable in smtpd_etrn_restrictions", source(a), a->word);
	else
		log_warning("access table %s: with smtpd_delay_reject=no, action %s is always skipped in Client host or Helo command "
			    "restrictions", source(a), a->word);
	return NULL;
}

/* Logs what an action that lets the message pass does to it. */
static void note(const struct action *a, const char *what, const char *text, const char *more)
{
	log_whatsup(a->c->s, what, arena_printf(a->c->arena, "<%s>: %s %s%s", a->name, a->kind, text, more));
}

static const char *keep(const struct action *a)
{
	return arena_strdup(a->c->s->tx->arena, a->text);
}

static enum outcome act_hold(const struct action *a)
{
	struct actions *m = message(a);
	if (!m || m->hold)
		return OUTCOME_DUNNO;
	note(a, "hold", *a->text ? a->text : "triggers HOLD action", "");
	m->hold = true;
	return OUTCOME_DUNNO;
}

static enum outcome act_discard(const struct action *a)
{
	struct actions *m = message(a);
	if (!m)
		return OUTCOME_DUNNO;
	note(a, "discard", *a->text ? a->text : "triggers DISCARD action", "");
	m->discard = true;
	a->c->s->verdict.discard = true;
	return act_permit(a);
}

static enum outcome act_filter(const struct action *a)
{
	struct actions *m = message(a);
	if (!m)
		return OUTCOME_DUNNO;
	if (!*a->text)
		return skip(a, "has FILTER entry without value");
	if (!strchr(a->text, ':'))
		return skip(a, "requires transport:destination");
	note(a, "filter", "triggers FILTER ", a->text);
	m->filter = keep(a);
	return OUTCOME_DUNNO;
}

static enum outcome act_redirect(const struct action *a)
{
	struct actions *m = message(a);
	if (!m)
		return OUTCOME_DUNNO;
	if (!strchr(a->text, '@'))
		return skip(a, "requires user@domain target");
	note(a, "redirect", "triggers REDIRECT ", a->text);
	m->redirect = keep(a);
	return OUTCOME_DUNNO;
}

static enum outcome act_bcc(const struct action *a)
{
	struct actions *m = message(a);
	if (!m)
		return OUTCOME_DUNNO;
	if (!strchr(a->text, '@'))
		return skip(a, "requires user@domain target");
	note(a, "bcc", "triggers BCC ", a->text);
	const char **list = arena_alloc(a->c->s->tx->arena, (m->nbcc + 1) * sizeof *list);
	if (m->nbcc)
		memcpy(list, m->bcc, m->nbcc * sizeof *list);
	list[m->nbcc++] = keep(a);
	m->bcc = list;
	return OUTCOME_DUNNO;
}

static enum outcome act_prepend(const struct action *a)
{
	struct actions *m = message(a);
	if (!m)
		return OUTCOME_DUNNO;
	if (a->c->stage == STAGE_END_OF_DATA) {
		log_warning("access table %s: action PREPEND must be used before smtpd_end_of_data_restrictions", source(a));
		return OUTCOME_DUNNO;
	}
	if (!header_name_len(a->text, strlen(a->text)))
		return skip(a, "requires header: text");
	sanitize(&m->prepend, a->text, strlen(a->text), 1000, SANITIZE_LOG);
	buf_putc(&m->prepend, '\n');
	return OUTCOME_DUNNO;
}

static enum outcome act_warn(const struct action *a)
{
	log_whatsup(a->c->s, "warn", a->text);
	return OUTCOME_DUNNO;
}

static enum outcome act_info(const struct action *a)
{
	log_whatsup(a->c->s, "info", a->text);
	return OUTCOME_DUNNO;
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

/* "4xx text", "5xx text": the code; 0: it is none. A code without a text is a number. */
static int reply_code(const char *s)
{
	if ((s[0] != '4' && s[0] != '5') || !ascii_digit((unsigned char)s[1]) || !ascii_digit((unsigned char)s[2]) ||
	    !ascii_space((unsigned char)s[3]))
		return 0;
	return (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
}

static enum outcome broken(struct check *c)
{
	return check_fail(c, 451, "4.3.5", "Server configuration error");
}

/* Where a list that was fine so far comes to a word that is no restriction. */
static enum outcome run_unknown(struct check *c, const struct step *step)
{
	log_warning("unknown smtpd restriction: \"%s\"", step->name);
	return broken(c);
}
static const struct core_restriction unknown = { .run = run_unknown };

/* The words of a right-hand side as a list. */
static struct list name_list(struct check *c, const char **words, const char *name)
{
	size_t n = 0;
	bool warn = false;
	while (words[n])
		n++;
	struct list list = { .name = name, .steps = arena_alloc(c->arena, (n + 1) * sizeof *list.steps) };
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(words[i], "warn_if_reject") == 0) {
			warn = true;
			continue;
		}
		struct step *step = &list.steps[list.count++];
		*step = check_step_by_name(c->r, words[i]);
		if (step->core && step->core->args && words[i + 1])
			step->arg = words[++i];
		else if ((step->core && step->core->args) || (!step->core && !step->class))
			step->core = &unknown;
		step->warn = warn;
		warn = false;
	}
	return list;
}

/* Names of restrictions as a right-hand side: "permit_mynetworks, reject". */
static enum outcome run_names(const struct action *a, const char *value)
{
	struct check *c = a->c;
	if (strchr(value, ':')) {
		log_warning("access table %s has entry with lookup table: %s", source(a), value);
		log_warning("do not specify lookup tables inside SMTPD access maps");
		log_warning("define a restriction class and specify its name instead.");
		return broken(c);
	}
	if (c->s->verdict.depth >= DEPTH_MAX) {
		log_warning("access table %s entry %s causes unreasonable recursion", source(a), value);
		return broken(c);
	}
	const char **words = cfg_split(c->arena, value);
	if (!words[0]) {
		log_warning("access table %s entry %s has empty value", source(a), value);
		return OUTCOME_PERMIT;
	}
	struct list list = name_list(c, words, a->name);
	c->s->verdict.depth++;
	enum outcome out = check_list(c, &list);
	c->s->verdict.depth--;
	return out;
}

enum outcome access_apply(struct check *c, const char *value, const char *kind, const char *name)
{
	struct action a = { .c = c, .kind = kind, .name = name };
	while (ascii_space((unsigned char)*value))
		value++;
	size_t n = strcspn(value, " \t");
	a.word = arena_strndup(c->arena, value, n);
	a.text = value + n + strspn(value + n, " \t\r\n");
	int code = *a.text ? reply_code(value) : 0;
	if (code)
		return refuse(&a, code, code < 500 ? "4.7.1" : "5.7.1", "Access denied");
	if (all_digits(value))
		return act_permit(&a);
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcasecmp(actions[i].word, a.word) == 0)
			return actions[i].run(&a);
	return run_names(&a, value);
}
