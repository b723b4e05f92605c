/* SPDX-License-Identifier: Apache-2.0
 * The process that looks at modules and maps for `ostler check`, a start and a reload: it opens each as the
 * mail owner and tells what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "config/dict.h"
#include "module/hosts.h"
#include "module/module.h"
#include "process/check_maps.h"
#include "process/roles.h"
#include "process/worker_state.h"

static void tell(void *ctx, enum finding_grade grade, const char *text)
{
	struct worker *w = ctx;
	struct buf body = BUF_INIT;
	tlv_put_u64(&body, F_KIND, grade);
	tlv_put_str(&body, F_REASON, text);
	ipc_send(w->ctl, CTL_FINDING, body.data, body.len);
	buf_free(&body);
}

/* Does a line of master.cf need it? What tables and restrictions need is found where they are opened. */
static bool is_needed(const struct config *c, const struct module_line *module)
{
	const struct service *const *list;
	size_t n = config_services(c, &list);
	for (size_t i = 0; i < n && module->kind == OST_KIND_TRANSPORT; i++) {
		if (strcmp(list[i]->command, module->name) == 0)
			return true;
	}
	return false;
}

static void tell_module(void *ctx, const struct mod_report *r)
{
	struct worker *w = ctx;
	char text[600];
	if (r->ok)
		return;
	snprintf(text, sizeof text, "%s: module %s: %s", r->line->where, r->line->name, r->why.text);
	tell(w, is_needed(w->config, r->line) ? FINDING_FATAL : FINDING_WARNING, text);
}

/* A list of tables that decides on local users and files must not hold an unsafe one. */
static void check_safe(struct worker *w, const struct cfg_view *view, const char *param)
{
	char text[600];
	const char *spec = cfg_lookup(view, param);
	const char *unsafe = spec ? mod_tables()->guard(mod_tables()->open(view, spec, NULL)) : NULL;
	if (!unsafe)
		return;
	snprintf(text, sizeof text, "%s: %s: %s", cfg_where(view, param), param, unsafe);
	tell(w, FINDING_FATAL, text);
}

/* The same for all parameters of a transport, for each line of master.cf that it serves. */
static void check_safe_tables(void *ctx, const struct mod_report *r)
{
	struct worker *w = ctx;
	const struct service *const *list;
	size_t n = config_services(w->config, &list);
	const struct ost_provide *p =
		r->ok && r->line->kind == OST_KIND_TRANSPORT ? r->descriptor->provides : NULL;
	for (; p && p->kind != OST_KIND_END; p++)
		for (const struct ost_param *param = p->ops->params; param && param->name; param++)
			for (size_t i = 0; i < n && param->flags & OST_PARAM_SAFE; i++)
				if (strcmp(list[i]->command, r->line->name) == 0)
					check_safe(w, list[i]->view, param->name);
}

/* Notes the names of a module's parameters in a struct dict. */
static void note_parameters(void *ctx, const struct mod_report *r)
{
	for (const struct ost_provide *p = r->ok ? r->descriptor->provides : NULL;
	     p && p->kind != OST_KIND_END; p++)
		for (const struct ost_param *param = p->ops->params; param && param->name; param++)
			dict_set(ctx, param->name, "", r->line->where);
}

static bool is_noted(void *ctx, const char *name)
{
	return dict_get(ctx, name) != NULL;
}

static void tell_all(struct worker *w, const struct findings *findings)
{
	const struct finding *list;
	size_t n = findings_count(findings, &list);
	for (size_t i = 0; i < n; i++)
		tell(w, list[i].grade, list[i].text);
}

/* Names in main.cf and master.cf that neither the core nor a module knows. */
static void check_names(struct worker *w, struct dict *names)
{
	struct findings *findings = findings_new();
	mod_survey(note_parameters, names);
	config_check_names(w->config, is_noted, names, findings);
	tell_all(w, findings);
	findings_destroy(&findings);
}

/* ---- tables ---- */

struct opening { /* while the tables are opened */
	struct worker *worker;
	struct arena *arena;
	struct dict *names; /* that tables have asked for */
};

static void tell_odd(void *ctx, const char *text)
{
	const struct opening *o = ctx;
	tell(o->worker, FINDING_WARNING, text);
}

static void note_asked(void *ctx, const char *name)
{
	const struct opening *o = ctx;
	dict_set(o->names, name, "", "");
}

static void check_tables_and_names(struct worker *w)
{
	struct opening o = { .worker = w, .arena = arena_new() };
	const struct mod_listener listener = { .odd = tell_odd, .asked = note_asked, .ctx = &o };
	o.names = dict_new(o.arena);
	mod_listen(&listener);
	check_maps(w->config, tell, w);
	mod_listen(NULL);
	check_names(w, o.names);
	arena_destroy(&o.arena);
}

/* What the roles themselves would not start with. */
static void check_roles(struct worker *w)
{
	struct findings *findings = findings_new();
	for (const struct role *const *role = w->roles; *role; role++)
		if ((*role)->check)
			(*role)->check(w->config, findings);
	tell_all(w, findings);
	findings_destroy(&findings);
}

static bool check_prepare(struct worker *w, struct ost_why *why)
{
	(void)why;
	mod_survey(tell_module, w);
	check_tables_and_names(w);
	mod_survey(check_safe_tables, w);
	check_roles(w);
	return true;
}

static int check_serve(struct worker *w)
{
	ipc_send(w->ctl, CTL_DONE, NULL, 0);
	return 0;
}

const struct role role_check = {
	.name = "check", .flags = ROLE_MODULES, .prepare = check_prepare, .serve = check_serve
};
