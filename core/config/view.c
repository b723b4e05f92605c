/* SPDX-License-Identifier: Apache-2.0 */
#include "config/view.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/expand.h"
#include "config/internal.h"
#include "config/value.h"

/* What an expansion asks. */
struct asker {
	const struct cfg_view *view;
	bool overlay;
};

/* ---- unexpanded values ---- */

/* Defaults that differ between Ostler's own folders and Postfix's. */
static const struct folder_default {
	enum param_id id;
	const char *ostler, *postfix;
} folder_defaults[] = {
	{ P_queue_directory, OST_LOCALSTATEDIR "/spool/ostler", "/var/spool/postfix" },
	{ P_data_directory, OST_LOCALSTATEDIR "/lib/ostler", "/var/lib/postfix" },
	{ P_daemon_directory, OST_SBINDIR, "/usr/lib/postfix/sbin" },
	{ P_command_directory, OST_SBINDIR, "/usr/sbin" },
	{ P_mail_owner, "ostler", "postfix" },
	{ P_setgid_group, "ostdrop", "postdrop" },
	{ P_syslog_name, "${multi_instance_name?{$multi_instance_name}:{ostler}}",
	  "${multi_instance_name?{$multi_instance_name}:{postfix}}" },
};

/* The default of a core parameter in this view. */
static const char *core_default(const struct cfg_view *v, enum param_id id)
{
	switch (id) {
	case P_myhostname:
		return v->myhostname;
	case P_mydomain:
		return v->mydomain;
	case P_mynetworks:
		return v->mynetworks;
	case P_config_directory:
		return v->config->folder;
	case P_service_name:
		return v->service;
	case P_process_name:
		return v->process;
	case P_process_id:
		return v->process_id;
	default:
		break;
	}
	for (size_t i = 0; i < sizeof folder_defaults / sizeof *folder_defaults; i++)
		if (folder_defaults[i].id == id)
			return v->config->postfix ? folder_defaults[i].postfix : folder_defaults[i].ostler;
	return param_get(id)->defval;
}

const char *view_default(const struct cfg_view *v, const char *name)
{
	const struct param *p = param_find(name);
	if (p)
		return param_number(p) >= 0 ? core_default(v, (enum param_id)param_number(p)) : p->defval;
	const struct param_family *family = param_family_of(name, NULL);
	return family ? family->defval : NULL;
}

const struct dict_entry *view_entry(const struct cfg_view *v, bool overlay, const char *name)
{
	const struct dict_entry *e = overlay ? dict_get(v->overlay, name) : NULL;
	return e ? e : dict_get(v->config->main, name);
}

const char *view_raw(const struct cfg_view *v, bool overlay, const char *name)
{
	const struct dict_entry *e = view_entry(v, overlay, name);
	return e ? e->value : view_default(v, name);
}

/* expand_lookup_fn */
static const char *ask(void *ctx, const char *name)
{
	const struct asker *a = ctx;
	return view_raw(a->view, a->overlay, name);
}

bool view_expand(const struct cfg_view *v, bool overlay, const char *name, const char *text, struct buf *out,
		 struct ost_why *why)
{
	struct asker asker = { .view = v, .overlay = overlay };
	return expand(out, name, text, ask, &asker, why);
}

const char *config_expand(const struct cfg_view *v, struct arena *arena, const char *text)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	struct buf out = BUF_INIT;
	struct ost_why why;
	const char *result = text;
	if (view_expand(v, true, NULL, text, &out, &why))
		result = arena_strdup(arena, buf_str(&out));
	buf_free(&out);
	return result;
}

/* Does this view's daemon read the parameter, so that the line's -o count? */
static bool reads(const struct cfg_view *v, unsigned daemons)
{
	return (v->daemons & daemons) != 0;
}

/* ---- making a view ---- */

/* Expands and parses one text as the parameter's value. */
static bool evaluate_text(struct cfg_view *v, enum param_id id, const char *text, struct cfg_value *out,
			  struct ost_why *why)
{
	const struct param *p = param_get(id);
	struct buf expanded = BUF_INIT;
	bool ok = true;
	if (p->type == CFG_RAW || !strchr(text, '$')) {
		out->text = text; /* lives as long as the configuration */
	} else {
		ok = view_expand(v, reads(v, p->daemons), p->name, text, &expanded, why);
		if (ok)
			out->text = arena_strdup(v->config->arena, buf_str(&expanded));
		buf_free(&expanded);
	}
	if (!ok || p->type == CFG_STR || p->type == CFG_RAW)
		return ok;
	return value_parse(p, value_unit(p->defval), out->text, &out->number, why);
}

/* Gives one parameter its value in the view: what is set, or the default when that is bad. */
static void evaluate(struct cfg_view *v, enum param_id id, struct findings *findings)
{
	const struct param *p = param_get(id);
	const struct dict_entry *e = view_entry(v, reads(v, p->daemons), p->name);
	struct ost_why why;
	if (evaluate_text(v, id, e ? e->value : core_default(v, id), &v->values[id], &why))
		return;
	findings_add(findings, FINDING_FATAL, "%s: %s: %s", e ? e->where : "default value", p->name,
		     why.text);
	if (e && evaluate_text(v, id, core_default(v, id), &v->values[id], &why))
		return;
	v->values[id] = (struct cfg_value){ .text = "", .number = p->min };
}

/* mynetworks of this machine, unless it is set; main.cf's own when nothing that it depends on differs. */
static void compute_networks(struct cfg_view *v, struct findings *findings)
{
	static const enum param_id sources[] = { P_inet_interfaces, P_inet_protocols, P_mynetworks_style };
	const struct cfg_view *main_view = v->config->view;
	bool same = main_view != NULL;
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		evaluate(v, sources[i], findings);
		same = same && !strcmp(v->values[sources[i]].text, main_view->values[sources[i]].text);
	}
	v->mynetworks = "";
	if (view_entry(v, reads(v, BY_ALL), "mynetworks"))
		return;
	struct ost_why why;
	if (same && *main_view->mynetworks)
		v->mynetworks = main_view->mynetworks;
	else if (!computed_mynetworks(v->config->arena, v->values[P_inet_interfaces].text,
				      v->values[P_inet_protocols].text, v->values[P_mynetworks_style].text,
				      &v->mynetworks, &why))
		findings_add(findings, FINDING_FATAL, "%s: mynetworks_style: %s",
			     cfg_where(v, "mynetworks_style"), why.text);
}

/* The defaults that depend on the machine, in the order in which they depend on each other. */
static void compute_defaults(struct cfg_view *v, struct findings *findings)
{
	const struct dict_entry *mydomain = view_entry(v, true, "mydomain");
	v->mydomain = "localdomain";
	v->mynetworks = "";
	v->myhostname = computed_myhostname(v->config->arena, mydomain ? "$mydomain" : NULL);
	evaluate(v, P_myhostname, findings);
	v->mydomain = computed_mydomain(v->config->arena, v->values[P_myhostname].text);
	compute_networks(v, findings);
}

/* A view without its twin. */
static struct cfg_view *view_make(struct config *c, const struct dict *overlay, unsigned daemons,
				  const char *service, const char *process, struct findings *findings)
{
	struct cfg_view *v = ARENA_NEW(c->arena, struct cfg_view);
	v->magic = VIEW_MAGIC;
	v->config = c;
	v->overlay = overlay;
	v->daemons = daemons;
	v->service = arena_strdup(c->arena, service);
	v->process = arena_strdup(c->arena, process);
	v->process_id = arena_printf(c->arena, "%ld", (long)getpid());
	v->arena = arena_new();
	v->cache = dict_new(v->arena);
	pthread_mutex_init(&v->lock, NULL);
	compute_defaults(v, findings);
	for (int id = 0; id < P_COUNT; id++)
		evaluate(v, (enum param_id)id, findings);
	return v;
}

/* The -o of a line, with "stress = yes" after them. */
static const struct dict *stress_overlay(struct arena *arena, const struct dict *overlay)
{
	struct dict *d = dict_new(arena);
	const struct dict_entry *const *list;
	size_t n = overlay ? dict_list(overlay, DICT_AS_SET, &list, arena) : 0;
	for (size_t i = 0; i < n; i++)
		dict_set(d, list[i]->name, list[i]->value, list[i]->where);
	dict_set(d, "stress", "yes", "under stress");
	return d;
}

const struct cfg_view *view_new(struct config *c, const struct dict *overlay, unsigned daemons,
				const char *service, const char *process, struct findings *findings)
{
	struct cfg_view *v = view_make(c, overlay, daemons, service, process, findings);
	if (daemons & BY_SMTPD)
		v->stress =
			view_make(c, stress_overlay(c->arena, overlay), daemons, service, process, findings);
	return v;
}

void view_close(const struct cfg_view *view)
{
	struct cfg_view *v =
		(struct cfg_view *)(uintptr_t)view; /* made by view_new(), const for its readers only */
	CHECK_MAGIC(v, VIEW_MAGIC);
	if (v->stress)
		view_close(v->stress);
	pthread_mutex_destroy(&v->lock);
	arena_destroy(&v->arena);
	v->magic = 0;
}

/* ---- reading ---- */

/* The value, whose type must be one of two. */
static const struct cfg_value *value_of(const struct cfg_view *v, enum param_id id, enum cfg_type a,
					enum cfg_type b)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	const enum cfg_type type = param_get(id)->type;
	assert(type == a || type == b);
	return &v->values[id];
}

const char *cfg_str(const struct cfg_view *v, enum param_id id)
{
	return value_of(v, id, CFG_STR, CFG_RAW)->text;
}

int64_t cfg_int(const struct cfg_view *v, enum param_id id)
{
	return value_of(v, id, CFG_INT, CFG_INT)->number;
}

bool cfg_bool(const struct cfg_view *v, enum param_id id)
{
	return value_of(v, id, CFG_BOOL, CFG_BOOL)->number != 0;
}

int64_t cfg_time(const struct cfg_view *v, enum param_id id)
{
	return value_of(v, id, CFG_TIME, CFG_TIME)->number;
}

int64_t cfg_size(const struct cfg_view *v, enum param_id id)
{
	return value_of(v, id, CFG_SIZE, CFG_SIZE)->number;
}

/* The text of a parameter that is not in the core's table, remembered in the view. Holds the view's lock. */
static const char *lookup_locked(struct cfg_view *v, const char *name, const char *raw, bool overlay)
{
	const struct dict_entry *e = dict_get(v->cache, name);
	if (e)
		return e->value;
	struct buf out = BUF_INIT;
	struct ost_why why;
	const struct param *p = param_find(name);
	const char *text = raw;
	if (!p || p->type != CFG_RAW) {
		text = view_expand(v, overlay, name, raw, &out, &why) ? buf_str(&out) : "";
	}
	dict_set(v->cache, name, text, "");
	buf_free(&out);
	return dict_get(v->cache, name)->value;
}

const char *cfg_lookup(const struct cfg_view *view, const char *name)
{
	struct cfg_view *v = (struct cfg_view *)(uintptr_t)view; /* for the cache, under its lock */
	CHECK_MAGIC(v, VIEW_MAGIC);
	const struct param *p = param_find(name);
	if (p && param_number(p) >= 0)
		return v->values[param_number(p)].text;
	size_t len;
	const struct param_family *family = p ? NULL : param_family_of(name, &len);
	bool overlay = reads(v, p ? p->daemons : family ? family->daemons : BY_ALL);
	const char *raw = view_raw(v, overlay, name);
	if (!raw)
		return NULL;
	pthread_mutex_lock(&v->lock);
	const char *text = lookup_locked(v, name, raw, overlay);
	pthread_mutex_unlock(&v->lock);
	return text;
}

bool cfg_is_set(const struct cfg_view *v, enum param_id id)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	const struct param *p = param_get(id);
	return view_entry(v, reads(v, p->daemons), p->name) != NULL;
}

/* The number of "<name>_destination_concurrency_limit" and the like, or of the parameter itself. */
static int64_t derived_number(const struct cfg_view *v, const char *name, enum param_id id,
			      enum cfg_type type)
{
	const struct cfg_value *general = value_of(v, id, type, type);
	const struct param *base = param_get(id);
	const struct param_family *family = param_family_by_base(base->name);
	assert(family != NULL);
	struct buf text = BUF_INIT;
	struct ost_why why;
	int64_t number = general->number;
	char *own = mem_printf("%s%s", name, family->suffix);
	const struct param *p = param_find(own);
	const struct dict_entry *e = view_entry(v, reads(v, family->daemons), own);
	const char *raw = e ? e->value : p ? p->defval : NULL;
	if (raw && (!view_expand(v, reads(v, family->daemons), own, raw, &text, &why) ||
		    !value_parse(base, value_unit(base->defval), buf_str(&text), &number, &why)))
		number = general->number; /* config_check() has reported it */
	buf_free(&text);
	free(own);
	return number;
}

int64_t cfg_derived_int(const struct cfg_view *v, const char *name, enum param_id id)
{
	return derived_number(v, name, id, CFG_INT);
}

int64_t cfg_derived_time(const struct cfg_view *v, const char *name, enum param_id id)
{
	return derived_number(v, name, id, CFG_TIME);
}

const struct cfg_view *cfg_stress_view(const struct cfg_view *v)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	return v->stress ? v->stress : v;
}

const char *cfg_where(const struct cfg_view *v, const char *name)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	const struct dict_entry *e = view_entry(v, true, name);
	return e ? e->where : "default value";
}

const char *cfg_folder(const struct cfg_view *v)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	return v->config->folder;
}

bool cfg_postfix_folder(const struct cfg_view *v)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	return v->config->postfix;
}

const char *cfg_service_name(const struct cfg_view *v)
{
	CHECK_MAGIC(v, VIEW_MAGIC);
	return v->service;
}
