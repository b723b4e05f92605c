/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/internal.h"
#include "config/support.h"
#include "config/usage.h"
#include "config/value.h"

/* Work that is done without a line in master.cf. */
enum { BUILT_IN = BY_CLEANUP | BY_TRIVIAL_REWRITE | BY_QMGR | BY_BOUNCE | BY_MASTER | BY_COMMAND };

/* One run of config_check(). */
struct check {
	const struct config *config;
	struct findings *findings;
	struct arena *arena;
	const struct usage *usage;
	const char **ignored; /* ostler_ignore_parameters */
};

/* ---- parameters ---- */

static void warn(const struct check *k, const struct dict_entry *e, const char *text)
{
	findings_add(k->findings, FINDING_WARNING, "%s: %s: %s", e->where, e->name, text);
}

static bool is_ignored(const struct check *k, const char *name)
{
	for (const char **i = k->ignored; *i; i++)
		if (!strcmp(*i, name))
			return true;
	return false;
}

/* Do two texts mean the same value of this type? "1h" and "60m", "yes" and "YES" do. */
static bool same_value(enum cfg_type type, const char *defval, const char *a, const char *b)
{
	int64_t x, y;
	struct ost_why why;
	if (!strcmp(a, b))
		return true;
	return type != CFG_STR && type != CFG_RAW &&
	       value_parse_type(type, value_unit(defval), a, &x, &why) &&
	       value_parse_type(type, value_unit(defval), b, &y, &why) && x == y;
}

/* Does the setting mean what the default means? *value is what it is, expanded, in the arena. */
static bool is_default(const struct check *k, const struct cfg_view *v, const struct dict_entry *e,
		       const struct param *p, const char **value)
{
	struct buf set = BUF_INIT, usual = BUF_INIT;
	struct ost_why why;
	bool overlay = v->overlay != NULL, raw = p->type == CFG_RAW;
	bool expanded = !raw && view_expand(v, overlay, e->name, e->value, &set, &why);
	*value = arena_strdup(k->arena, expanded ? buf_str(&set) : e->value);
	bool same = !strcmp(e->value, p->defval) ||
		    (expanded && view_expand(v, overlay, e->name, p->defval, &usual, &why) &&
		     same_value(p->type, p->defval, buf_str(&set), buf_str(&usual)));
	buf_free(&set);
	buf_free(&usual);
	return same;
}

/* Would something read the parameter: a line of master.cf, or what needs no line of its own here? */
static bool has_reader(const struct check *k, const struct param *p)
{
	for (size_t i = 0; i < k->config->service_count; i++)
		if (k->config->services[i]->view->daemons & p->daemons)
			return true;
	return (p->daemons & BUILT_IN) != 0;
}

/* What it protects is not protected: no start, unless the administrator knows it, or nothing would read it.
 */
static void check_weakening(const struct check *k, const struct dict_entry *e, const struct param *p,
			    const char *value)
{
	bool fatal = has_reader(k, p) && !support_harmless(e->name, value);
	findings_add(k->findings, fatal ? FINDING_FATAL : FINDING_WARNING,
		     fatal ? "%s: %s: not yet supported: security is weakened if it is ignored "
			     "(ostler_ignore_parameters = %s accepts that)"
			   : "%s: %s: not yet supported: it has no effect",
		     e->where, e->name, e->name);
}

/* A parameter that is known and does nothing. */
static void check_unsupported(const struct check *k, const struct cfg_view *v, const struct dict_entry *e,
			      const struct param *p)
{
	const char *value, *reason;
	if (p->grade == CFG_IMPLEMENTED || p->grade == CFG_SILENT || is_ignored(k, e->name) ||
	    is_default(k, v, e, p, &value))
		return;
	if (p->grade == CFG_WEAKENS) {
		check_weakening(k, e, p, value);
	} else if (p->grade == CFG_MISSING) {
		warn(k, e, "not yet supported: it has no effect");
	} else {
		reason = support_reason(p->name);
		findings_add(k->findings, FINDING_WARNING, "%s: %s: has no effect here%s%s", e->where,
			     e->name, reason ? " because " : "", reason ? reason : "");
	}
}

/* "<service>_destination_concurrency_limit" and the like. */
static void check_derived(const struct check *k, const struct cfg_view *v, const struct dict_entry *e,
			  const struct param_family *family, size_t service_len)
{
	const struct param *base = param_find(family->defval + 1);
	char *service = mem_strndup(e->name, service_len);
	struct buf text = BUF_INIT;
	struct ost_why why;
	int64_t number;
	const char *near = param_nearest(e->name);
	if (!config_service(k->config, service, NULL) && !usage_has(k->usage, e->name))
		findings_add(k->findings, FINDING_WARNING, "%s: %s: master.cf has no service \"%s\"%s%s%s",
			     e->where, e->name, service, near ? "; did you mean " : "", near ? near : "",
			     near ? "?" : "");
	bool ok = view_expand(v, v->overlay != NULL, e->name, e->value, &text, &why);
	if (ok && family->type != CFG_STR)
		ok = base->grade == CFG_IMPLEMENTED
			     ? value_parse(base, value_unit(base->defval), buf_str(&text), &number, &why)
			     : value_parse_type(family->type, value_unit(base->defval), buf_str(&text),
						&number, &why);
	if (!ok)
		findings_add(k->findings, FINDING_FATAL, "%s: %s: %s", e->where, e->name, why.text);
	else
		check_unsupported(k, v, e, base);
	buf_free(&text);
	free(service);
}

/* A name of the administrator's own, or of a module: its value must make sense at least. */
static void check_own(const struct check *k, const struct cfg_view *v, const struct dict_entry *e)
{
	struct buf text = BUF_INIT;
	struct ost_why why;
	if (!view_expand(v, v->overlay != NULL, e->name, e->value, &text, &why))
		findings_add(k->findings, FINDING_FATAL, "%s: %s: %s", e->where, e->name, why.text);
	buf_free(&text);
}

/* One setting, as this view sees it. */
static void check_setting(const struct check *k, const struct cfg_view *v, const struct dict_entry *e)
{
	const char *successor = param_successor(e->name);
	const struct param *p = param_find(e->name);
	size_t service_len = 0;
	const struct param_family *family = p ? NULL : param_family_of(e->name, &service_len);
	if (successor && !is_ignored(k, e->name))
		findings_add(k->findings, FINDING_WARNING,
			     *successor ? "%s: %s: deprecated: use %s instead"
					: "%s: %s: deprecated: Postfix has it no more, and it has no effect",
			     e->where, e->name, successor);
	if (p)
		check_unsupported(k, v, e, p);
	else if (family)
		check_derived(k, v, e, family, service_len);
	else if (!successor)
		check_own(k, v, e);
}

static void check_main(const struct check *k)
{
	const struct dict_entry *const *list;
	size_t n = dict_list(k->config->main, DICT_AS_SET, &list, k->arena);
	for (size_t i = 0; i < n; i++)
		check_setting(k, k->config->view, list[i]);
}

/* ---- services ---- */

/* A name that a daemon's other parameters refer to reaches it through them. */
static bool is_referred_to(const struct service *s, const char *name)
{
	size_t len = strlen(name);
	const struct param *p;
	for (size_t i = 0; (p = param_at(i)) != NULL; i++) {
		const char *text = (p->daemons & s->view->daemons) ? view_raw(s->view, true, p->name) : NULL;
		for (const char *at = text; at && (at = strstr(at, name)) != NULL; at += len)
			if (at > text && strchr("${( ", at[-1]) && strchr("}):? ", at[len]))
				return true;
	}
	return false;
}

/* One -o. */
static void check_override(const struct check *k, const struct service *s, const struct dict_entry *e)
{
	const struct param *p = param_find(e->name);
	const struct param_family *family = p ? NULL : param_family_of(e->name, NULL);
	unsigned readers = p ? p->daemons : family ? family->daemons : BY_ALL;
	if (!(readers & s->view->daemons) && !is_referred_to(s, e->name))
		findings_add(k->findings, FINDING_WARNING,
			     "%s: %s: %s does not read this parameter: it has no effect", e->where, e->name,
			     s->command);
	else
		check_setting(k, s->view, e);
}

static void check_services(const struct check *k)
{
	for (size_t i = 0; i < k->config->service_count; i++) {
		const struct service *s = k->config->services[i];
		const struct dict_entry *const *list;
		size_t n = s->overlay ? dict_list(s->overlay, DICT_AS_SET, &list, k->arena) : 0;
		for (size_t j = 0; j < n; j++)
			check_override(k, s, list[j]);
	}
}

void config_check(const struct config *c, struct findings *findings)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	struct check k = { .config = c, .findings = findings, .arena = arena_new() };
	k.usage = usage_new(c, NULL, NULL, k.arena);
	k.ignored = cfg_split(k.arena, cfg_str(c->view, P_ostler_ignore_parameters));
	check_main(&k);
	check_services(&k);
	arena_destroy(&k.arena);
}

/* ---- names that nobody knows ---- */

/* The names of one file or line that mean nothing to anybody. */
static void check_names(const struct dict *settings, const struct usage *usage,
			bool (*known)(void *, const char *), void *ctx, struct arena *arena,
			struct findings *findings)
{
	const struct dict_entry *const *list;
	size_t n = settings ? dict_list(settings, DICT_AS_SET, &list, arena) : 0;
	for (size_t i = 0; i < n; i++) {
		const struct dict_entry *e = list[i];
		if (param_find(e->name) || param_family_of(e->name, NULL) || param_successor(e->name) ||
		    usage_has(usage, e->name) || (known && known(ctx, e->name)))
			continue;
		const char *near = param_nearest(e->name);
		if (near)
			findings_add(findings, FINDING_WARNING, "%s: %s: unknown parameter; did you mean %s?",
				     e->where, e->name, near);
		else
			findings_add(findings, FINDING_WARNING, "%s: %s: unused parameter: %s=%s", e->where,
				     e->name, e->name, strstr(e->name, "pass") ? "(not shown)" : e->value);
	}
}

void config_check_names(const struct config *c, bool (*known)(void *ctx, const char *name), void *ctx,
			struct findings *findings)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	struct arena *arena = arena_new();
	const struct usage *usage = usage_new(c, known, ctx, arena);
	check_names(c->main, usage, known, ctx, arena, findings);
	for (size_t i = 0; i < c->service_count; i++)
		check_names(c->services[i]->overlay, usage, known, ctx, arena, findings);
	arena_destroy(&arena);
}
