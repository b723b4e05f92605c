/* SPDX-License-Identifier: Apache-2.0
 * ostler explain NAME …: what there is to say about a parameter: its value and where it comes from, default,
 * who declares it and reads it, type, bounds and help. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/command.h"
#include "command/unprivileged.h"
#include "config/param.h"
#include "config/support.h"
#include "module/module.h"

/* What a module says of the name. */
struct declared {
	const char *name;
	const struct module_line *line; /* NULL: no module has it */
	const struct ost_param *param;  /* of a module that stays loaded */
};

static const char *const types[] = {
	[CFG_STR] = "text",   [CFG_RAW] = "text, $name not expanded",
	[CFG_INT] = "number", [CFG_BOOL] = "yes or no",
	[CFG_TIME] = "time",  [CFG_SIZE] = "bytes",
};
static const char *const module_types[] = {
	[OST_PARAM_STRING] = "text", [OST_PARAM_INT] = "number", [OST_PARAM_BOOL] = "yes or no",
	[OST_PARAM_TIME] = "time",   [OST_PARAM_SIZE] = "bytes", [OST_PARAM_TABLES] = "list of tables",
};
static const char *const grades[] = {
	[CFG_IMPLEMENTED] = "supported",
	[CFG_MISSING] = "not yet supported: setting it has no effect",
	[CFG_NO_EFFECT] = "has no effect here",
	[CFG_SILENT] = "accepted; only scripts of packages read it",
	[CFG_WEAKENS] = "not yet supported: what it protects is not protected, so Ostler does not start when "
			"it is set "
			"(unless ostler_ignore_parameters names it)",
};

static void line(const char *what, const char *text)
{
	printf("  %-9s %s\n", what, text);
}

/* "12, at least 1, at most 16 s" */
static void print_type(const char *type, int64_t min, int64_t max, bool time)
{
	const char *unit = time ? " s" : "";
	printf("  %-9s %s", "type:", type);
	if (min)
		printf(", at least %" PRId64 "%s", min, unit);
	if (max)
		printf(", at most %" PRId64 "%s", max, unit);
	putchar('\n');
}

static void print_readers(unsigned daemons)
{
	if (daemons == BY_ALL)
		return;
	printf("  %-9s", "read by:");
	for (int i = 0; i < DAEMON_COUNT; i++)
		if (daemons & (1u << i))
			printf(" %s", daemon_name(1u << i));
	putchar('\n');
}

static void print_value(const struct config *c, const char *name, const char *defval, bool secret)
{
	const char *set = config_set_value(c, name), *where = config_set_where(c, name);
	const char *value = cfg_lookup(config_main_view(c), name);
	line("value:", secret && set ? "(not shown)" : value ? value : set ? set : defval ? defval : "");
	if (set && !secret && value && strcmp(value, set) != 0)
		line("written:", set);
	line("set in:", where ? where : "nowhere: it is the default");
	const struct service *const *list;
	size_t n = config_services(c, &list);
	for (size_t i = 0; i < n; i++) {
		const char *place = cfg_where(list[i]->view, name);
		const char *own =
			!secret && !strncmp(place, "master.cf", 9) ? cfg_lookup(list[i]->view, name) : NULL;
		if (own)
			printf("  %-9s %s for %s/%s: %s\n", "", place, list[i]->name,
			       service_type_name(list[i]->type), own);
	}
}

static void explain_param(const struct config *c, const struct param *p)
{
	const char *reason = p->grade == CFG_NO_EFFECT ? support_reason(p->name) : NULL;
	print_value(c, p->name, p->defval, false);
	const char *defval = config_default_value(c, p->name);
	line("default:", defval && *defval ? defval : "(empty)");
	line("of:", p->grade == CFG_IMPLEMENTED ? "the core" : "Postfix");
	print_type(types[p->type], p->min, p->max, p->type == CFG_TIME);
	print_readers(p->daemons);
	if (p->grade != CFG_IMPLEMENTED)
		printf("  %-9s %s%s%s\n", "state:", grades[p->grade], reason ? ": " : "",
		       reason ? reason : "");
	if (p->help)
		line("help:", p->help);
}

static void explain_module(const struct config *c, const struct declared *d)
{
	const struct ost_param *p = d->param;
	bool secret = p->flags & OST_PARAM_SECRET;
	print_value(c, p->name, p->defval, secret);
	line("default:", p->flags & OST_PARAM_REQUIRED ? "none: it is required"
			 : p->defval && *p->defval     ? p->defval
						       : "(empty)");
	printf("  %-9s %s %s (%s)\n", "of:", module_kind_name(d->line->kind), d->line->name, d->line->where);
	print_type((size_t)p->type < sizeof module_types / sizeof *module_types ? module_types[p->type] : "?",
		   p->min, p->max, p->type == OST_PARAM_TIME);
	if (p->help)
		line("help:", p->help);
}

/* "relay_destination_concurrency_limit" and the like. */
static void explain_derived(const struct config *c, const char *name, const struct param_family *f,
			    size_t service_len)
{
	const struct param *base = param_find(f->defval + 1);
	print_value(c, name, f->defval, false);
	line("default:", f->defval);
	printf("  %-9s %s, for the service %.*s\n", "of:", base->name, (int)service_len, name);
	print_type(types[f->type], base->min, base->max, f->type == CFG_TIME);
	print_readers(f->daemons);
	if (base->grade != CFG_IMPLEMENTED)
		line("state:", grades[base->grade]);
	if (base->help)
		line("help:", base->help);
}

/* mod_survey(): looks for the name among a module's parameters. */
static void look(void *ctx, const struct mod_report *r)
{
	struct declared *d = ctx;
	for (const struct ost_provide *p = r->ok ? r->descriptor->provides : NULL;
	     p && p->kind != OST_KIND_END; p++)
		for (const struct ost_param *param = p->ops->params; param && param->name; param++)
			if (!d->line && !strcmp(param->name, d->name)) {
				d->line = r->line;
				d->param = param;
			}
}

/* False: nobody knows the name. */
static bool explain(const struct config *c, const char *name)
{
	size_t service_len;
	const struct param *p = param_find(name);
	const struct param_family *f = p ? NULL : param_family_of(name, &service_len);
	const char *successor = param_successor(name), *near = param_nearest(name);
	struct declared d = { .name = name };
	if (!f && (!p || p->grade != CFG_IMPLEMENTED))
		mod_survey(look, &d);
	if (!p && !f && !d.line && !successor && !config_set_value(c, name)) {
		fprintf(stderr, "ostler: %s: unknown parameter%s%s%s\n", name, near ? "; did you mean " : "",
			near ? near : "", near ? "?" : "");
		return false;
	}
	printf("%s\n", name);
	if (p && !d.line)
		explain_param(c, p);
	else if (f)
		explain_derived(c, name, f, service_len);
	else if (d.line)
		explain_module(c, &d);
	else
		print_value(c, name, NULL, false);
	if (!p && !f && !d.line && !successor)
		line("of:", config_name_exists(c, name) ? "the administrator: other settings use it"
							: "nobody: nothing uses it");
	if (successor)
		printf("  %-9s Postfix has given it up%s%s\n",
		       "state:", *successor ? "; its successor is " : "", successor);
	return true;
}

int cmd_explain(int argc, char **argv)
{
	struct ost_why why = { "" };
	struct findings *findings = findings_new();
	struct config *c = config_read(command_config_dir(), NULL, findings);
	bool root = command_is_root(), ok = argc > 1;
	findings_destroy(&findings);
	if (argc < 2)
		fprintf(stderr, "usage: ostler explain parameter …\n");
	if (!c)
		fprintf(stderr, "ostler: fatal: the configuration in %s cannot be read\n",
			command_config_dir());
	if (c && !command_become_mail_owner(config_main_view(c), &why)) {
		fprintf(stderr, "ostler: fatal: %s\n", why.text);
		config_destroy(&c);
	}
	if (!c)
		return EXIT_FAILURE;
	mod_init(c);
	if (root)
		mod_trust_user(0);
	for (int i = 1; i < argc; i++)
		ok = explain(c, argv[i]) && ok;
	mod_shutdown();
	config_destroy(&c);
	return ok && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
