/* SPDX-License-Identifier: Apache-2.0
 * Parsing the restriction lists, once at start: every word becomes a function of the core, a restriction class, or a
 * restriction of a check module. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "smtpd/check.h"

enum { DEPTH_MAX = 20 };

static const struct {
	enum param_id param;
	const char *name;
	const char *table_check; /* what a lookup table alone stands for; NULL: it may not stand there */
} stage_params[STAGE_COUNT] = {
	[STAGE_CLIENT] = { P_smtpd_client_restrictions, "smtpd_client_restrictions", "check_client_access" },
	[STAGE_HELO] = { P_smtpd_helo_restrictions, "smtpd_helo_restrictions", "check_helo_access" },
	[STAGE_SENDER] = { P_smtpd_sender_restrictions, "smtpd_sender_restrictions", "check_sender_access" },
	[STAGE_RELAY] = { P_smtpd_relay_restrictions, "smtpd_relay_restrictions", "check_recipient_access" },
	[STAGE_RECIPIENT] = { P_smtpd_recipient_restrictions, "smtpd_recipient_restrictions", "check_recipient_access" },
	[STAGE_DATA] = { P_smtpd_data_restrictions, "smtpd_data_restrictions", NULL },
	[STAGE_END_OF_DATA] = { P_smtpd_end_of_data_restrictions, "smtpd_end_of_data_restrictions", NULL },
	[STAGE_ETRN] = { P_smtpd_etrn_restrictions, "smtpd_etrn_restrictions", "check_etrn_access" },
};

struct parser {
	struct restrictions *r;
	const struct config *config;
	const struct cfg_view *view;
	struct findings *findings; /* may be NULL */
	struct ost_why *why;       /* the first mistake */
	bool ok;
	enum stage stage;
	const char *list;          /* the parameter that is being read */
};

/* A mistake that forbids a start. */
static void __attribute__((format(printf, 2, 3))) complain(struct parser *p, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (p->ok)
		why_set(p->why, "%s: %s", p->list, text);
	if (p->findings)
		findings_add(p->findings, FINDING_FATAL, "%s: %s: %s", cfg_where(p->view, p->list), p->list, text);
	p->ok = false;
}

/* The opened instance of a check module; NULL with a complaint. */
static struct mod_instance *open_module(struct parser *p, const struct mod_provider *provider)
{
	struct restrictions *r = p->r;
	struct ost_why why = { "" };
	for (size_t i = 0; i < r->nopened; i++)
		if (r->opened[i].provider == provider)
			return r->opened[i].instance;
	struct mod_instance *instance = mod_open(provider, p->view, cfg_service_name(p->view), &why);
	if (!instance) {
		complain(p, "module %s: %s", provider->module, why.text);
		return NULL;
	}
	r->opened = mem_realloc_array(r->opened, r->nopened + 1, sizeof *r->opened);
	r->opened[r->nopened++] = (struct opened){ .provider = provider, .instance = instance };
	return instance;
}

/* The restriction of that name among those that a module provides. */
static const struct ost_restriction *in_module(const struct ost_check_ops *ops, const char *name)
{
	for (const struct ost_restriction *o = ops->restrictions; o && o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

/* Looks through the declared check modules for a restriction. */
static const struct mod_provider *find_module(struct parser *p, const char *name, const struct ost_restriction **found)
{
	const struct module_line *const *lines;
	size_t n = p->config ? config_modules(p->config, &lines) : 0;
	for (size_t i = 0; i < n; i++) {
		struct ost_why why = { "" };
		if (lines[i]->kind != OST_KIND_CHECK)
			continue;
		const struct mod_provider *provider = mod_find(OST_KIND_CHECK, lines[i]->name, &why);
		if (!provider) {
			log_warning("%s: %s", lines[i]->where, why.text);
			continue;
		}
		*found = in_module((const struct ost_check_ops *)provider->ops, name);
		if (*found)
			return provider;
	}
	return NULL;
}

/* Lets the module take what stands in the configuration. */
static bool prepare(struct step *step, const char *name, const char *const argv[], struct ost_why *why)
{
	if (!step->ops->prepare)
		return true;
	mod_enter(step->instance, "prepare", mod_deadline(1));
	bool ok = step->ops->prepare(mod_self(step->instance), name, argv, &step->prepared, why);
	mod_leave(step->instance);
	return ok;
}

/* A step that a module runs; answers the words used, 0 with a complaint. */
static size_t module_step(struct parser *p, struct step *step, const char *name, const char **words)
{
	const struct ost_restriction *what = NULL;
	struct ost_why why = { "" };
	const struct mod_provider *provider = find_module(p, name, &what);
	if (!provider) {
		complain(p, "unknown restriction: \"%s\"", name);
		return 0;
	}
	for (unsigned i = 0; i < what->args; i++) {
		if (!words[i]) {
			complain(p, "restriction %s needs an argument", name);
			return 0;
		}
	}
	step->name = what->name;
	step->arg = what->args ? arena_strdup(p->r->arena, words[0]) : NULL;
	step->ops = (const struct ost_check_ops *)provider->ops;
	step->instance = open_module(p, provider);
	if (!step->instance)
		return 0;
	const char **argv = arena_alloc(p->r->arena, (what->args + 1) * sizeof *argv);
	for (unsigned i = 0; i < what->args; i++)
		argv[i] = words[i];
	for (size_t i = 0; i < p->r->nopened; i++)
		if (p->r->opened[i].instance == step->instance)
			step->state = i;
	if (!prepare(step, what->name, argv, &why)) {
		complain(p, "%s: %s", name, why.text);
		return 0;
	}
	return 1 + what->args;
}

/* One restriction at words[0]; answers the words used, 0 with a complaint. */
static size_t parse_step(struct parser *p, struct step *step, const char **words)
{
	const char *name = words[0];
	if (strchr(name, ':')) {
		if (!stage_params[p->stage].table_check) {
			complain(p, "a lookup table alone cannot stand here: %s", name);
			return 0;
		}
		return module_step(p, step, stage_params[p->stage].table_check, words) ? 1 : 0;
	}
	step->name = name;
	step->class = restrict_class(p->r, name);
	if (step->class)
		return 1;
	step->core = core_restriction_find(name);
	if (!step->core)
		return module_step(p, step, name, words + 1);
	if (step->core->args && !words[1]) {
		complain(p, "restriction %s needs an argument", name);
		return 0;
	}
	step->arg = step->core->args ? words[1] : NULL;
	return 1 + step->core->args;
}

/* What is right and yet not what its writer can have meant. next: the word behind it, or NULL. */
static void advise(struct parser *p, const struct step *step, const char *next)
{
	const struct core_restriction *core = step->core;
	if (!core || !p->findings)
		return;
	if (core->successor)
		findings_add(p->findings, FINDING_WARNING, "%s: %s: restriction %s is deprecated. Use %s instead",
			     cfg_where(p->view, p->list), p->list, core->name, core->successor);
	if (core->final && next && !step->warn)
		findings_add(p->findings, FINDING_WARNING, "%s: %s: restriction `%s' after `%s' is ignored",
			     cfg_where(p->view, p->list), p->list, next, core->name);
}

/* A whole list. */
static void parse_list(struct parser *p, struct list *list, const char *value)
{
	const char **words = cfg_split(p->r->arena, value);
	size_t n = 0;
	bool warn = false;
	while (words[n])
		n++;
	list->steps = arena_alloc(p->r->arena, (n + 1) * sizeof *list->steps);
	for (size_t i = 0; i < n;) {
		if (strcasecmp(words[i], "warn_if_reject") == 0) {
			warn = true;
			i++;
			continue;
		}
		struct step *step = &list->steps[list->count];
		size_t used = parse_step(p, step, words + i);
		if (!used) { /* looks at the rest, too: all mistakes in one go */
			*step = (struct step){ 0 };
			i++;
			continue;
		}
		step->warn = warn;
		warn = false;
		list->count++;
		i += used;
		advise(p, step, words[i]);
	}
}

struct list *restrict_class(const struct restrictions *r, const char *name)
{
	for (size_t i = 0; i < r->nclasses; i++)
		if (strcmp(r->classes[i].name, name) == 0)
			return &r->classes[i];
	return NULL;
}

/* smtpd_restriction_classes: names first, so that one may mention another. */
static void parse_classes(struct parser *p)
{
	struct restrictions *r = p->r;
	const char **names = cfg_split(r->arena, cfg_str(p->view, P_smtpd_restriction_classes));
	size_t n = 0;
	while (names[n])
		n++;
	r->classes = arena_alloc(r->arena, (n + 1) * sizeof *r->classes);
	for (size_t i = 0; i < n; i++)
		r->classes[r->nclasses++] = (struct list){ .name = names[i] };
	p->stage = STAGE_RECIPIENT;
	for (size_t i = 0; i < n; i++) {
		const char *value = cfg_lookup(p->view, names[i]);
		p->list = names[i];
		if (value)
			parse_list(p, &r->classes[i], value);
		else
			complain(p, "smtpd_restriction_classes names it, but it has no value");
	}
}

/* Does a class lead to itself? */
static bool loops(const struct list *list, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return true;
	for (size_t i = 0; i < list->count; i++)
		if (list->steps[i].class && loops(list->steps[i].class, depth + 1))
			return true;
	return false;
}

/* Does the list hold something that keeps strangers from relaying? */
static bool protects(const struct list *list, unsigned depth)
{
	for (size_t i = 0; i < list->count && depth < DEPTH_MAX; i++) {
		const struct step *step = &list->steps[i];
		if (step->core && step->core->final && !step->core->protects_relay)
			return false; /* nothing behind a permit counts */
		if (!step->warn && ((step->core && step->core->protects_relay) || (step->class && protects(step->class, depth + 1))))
			return true;
	}
	return false;
}

/* The numbers and switches. */
static void read_params(struct restrictions *r, const struct cfg_view *v)
{
	r->reject_code = (int)cfg_int(v, P_reject_code);
	r->defer_code = (int)cfg_int(v, P_defer_code);
	r->relay_code = (int)cfg_int(v, P_relay_domains_reject_code);
	r->access_reject_code = (int)cfg_int(v, P_access_map_reject_code);
	r->access_defer_code = (int)cfg_int(v, P_access_map_defer_code);
	r->unknown_address_code = (int)cfg_int(v, P_unknown_address_reject_code);
	r->unknown_client_code = (int)cfg_int(v, P_unknown_client_reject_code);
	r->unknown_hostname_code = (int)cfg_int(v, P_unknown_hostname_reject_code);
	r->non_fqdn_code = (int)cfg_int(v, P_non_fqdn_reject_code);
	r->invalid_hostname_code = (int)cfg_int(v, P_invalid_hostname_reject_code);
	r->multi_bounce_code = (int)cfg_int(v, P_multi_recipient_bounce_reject_code);
	r->reject_unlisted_rcpt = cfg_bool(v, P_smtpd_reject_unlisted_recipient);
	r->reject_unlisted_sender = cfg_bool(v, P_smtpd_reject_unlisted_sender);
	r->relay_first = cfg_bool(v, P_smtpd_relay_before_recipient_restrictions);
	r->untrusted_routing = cfg_bool(v, P_allow_untrusted_routing);
	r->defer_unknown_address = strcasecmp(cfg_str(v, P_unknown_address_tempfail_action), "defer") == 0;
	r->defer_unknown_helo = strcasecmp(cfg_str(v, P_unknown_helo_hostname_tempfail_action), "defer") == 0;
}

struct restrictions *restrictions_open(const struct cfg_view *view, const struct config *config, struct findings *findings,
				       struct ost_why *why)
{
	struct restrictions *r = MEM_NEW(struct restrictions);
	struct parser p = { .r = r, .config = config, .view = view, .findings = findings, .why = why, .ok = true };
	r->view = view;
	r->arena = arena_new();
	r->dns = dns_new(cfg_str(view, P_ostler_resolver_file));
	read_params(r, view);
	r->logged_permits = matchlist_names(view, "smtpd_log_access_permit_actions",
					    cfg_str(view, P_smtpd_log_access_permit_actions), NULL);
	if (*cfg_str(view, P_permit_mx_backup_networks))
		r->mx_backup_networks = matchlist_networks(view, "permit_mx_backup_networks",
							   cfg_str(view, P_permit_mx_backup_networks), NULL);
	parse_classes(&p);
	for (int i = 0; i < STAGE_COUNT; i++) {
		p.stage = (enum stage)i;
		p.list = r->lists[i].name = stage_params[i].name;
		parse_list(&p, &r->lists[i], cfg_str(view, stage_params[i].param));
	}
	for (size_t i = 0; i < r->nclasses; i++) {
		p.list = r->classes[i].name;
		if (loops(&r->classes[i], 0))
			complain(&p, "the restriction class leads to itself");
	}
	p.list = "smtpd_relay_restrictions";
	if (p.ok && !protects(&r->lists[STAGE_RELAY], 0) && !protects(&r->lists[STAGE_RECIPIENT], 0))
		complain(&p, "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working "
			     "instance of: reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or "
			     "check_relay_domains");
	if (!p.ok)
		restrictions_close(&r);
	return r;
}

/* Gives back what modules have prepared for a list. */
static void unprepare(const struct list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct step *step = &list->steps[i];
		if (!step->ops || !step->ops->unprepare)
			continue;
		mod_enter(step->instance, "unprepare", mod_deadline(1));
		step->ops->unprepare(mod_self(step->instance), step->prepared);
		mod_leave(step->instance);
	}
}

void restrictions_close(struct restrictions **rp)
{
	struct restrictions *r = *rp;
	if (!r)
		return;
	for (int i = 0; i < STAGE_COUNT; i++)
		unprepare(&r->lists[i]);
	for (size_t i = 0; i < r->nclasses; i++)
		unprepare(&r->classes[i]);
	for (size_t i = 0; i < r->nopened; i++)
		mod_close(&r->opened[i].instance);
	free(r->opened);
	dns_destroy(&r->dns);
	arena_destroy(&r->arena);
	free(r);
	*rp = NULL;
}

struct step check_step_by_name(const struct restrictions *r, const char *name)
{
	const struct list *class = restrict_class(r, name);
	return (struct step){ .name = name, .class = class, .core = class ? NULL : core_restriction_find(name) };
}

/* ---- what modules keep for a session ---- */

void *restrict_module_state(struct session *s, const struct step *step, struct ost_session *os)
{
	const struct restrictions *r = s->server->restrictions;
	if (!step->ops->session_begin)
		return NULL;
	if (!s->check_states)
		s->check_states = mem_zalloc(r->nopened * sizeof *s->check_states);
	void **state = &s->check_states[step->state];
	if (*state)
		return *state;
	mod_enter(step->instance, "session_begin", mod_deadline(1));
	bool ok = step->ops->session_begin(mod_self(step->instance), os, state);
	mod_leave(step->instance);
	return ok ? *state : (*state = NULL);
}

void restrict_session_end(struct session *s)
{
	const struct restrictions *r = s->server->restrictions;
	for (size_t i = 0; s->check_states && i < r->nopened; i++) {
		const struct ost_check_ops *ops = (const struct ost_check_ops *)r->opened[i].provider->ops;
		if (!s->check_states[i] || !ops->session_end)
			continue;
		mod_enter(r->opened[i].instance, "session_end", mod_deadline(1));
		ops->session_end(mod_self(r->opened[i].instance), s->check_states[i]);
		mod_leave(r->opened[i].instance);
	}
	free(s->check_states);
	s->check_states = NULL;
}
