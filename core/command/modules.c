/* SPDX-License-Identifier: Apache-2.0
 * ostler modules: what modules.cf declares, whether it can be loaded, and what it is. */
#include "command/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/unprivileged.h"
#include "config/config.h"
#include "module/module.h"
#include "ostler/host.h"

static const char *const kinds[] = {
	[OST_KIND_TABLE] = "table",
	[OST_KIND_TRANSPORT] = "transport",
	[OST_KIND_CHECK] = "check",
	[OST_KIND_AUTH] = "auth",
};

static const char *const types[] = {
	[OST_PARAM_STRING] = "string", [OST_PARAM_INT] = "int",   [OST_PARAM_BOOL] = "bool",
	[OST_PARAM_TIME] = "time",     [OST_PARAM_SIZE] = "size", [OST_PARAM_TABLES] = "tables",
};

static const char *kind_name(enum ost_kind kind)
{
	return (size_t)kind < sizeof kinds / sizeof *kinds && kinds[kind] ? kinds[kind] : "?";
}

static const char *type_name(enum ost_param_type type)
{
	return (size_t)type < sizeof types / sizeof *types && types[type] ? types[type] : "?";
}

/* What the module provides under the line's kind and name. */
static const struct ost_ops *find_ops(const struct mod_report *report)
{
	const struct ost_provide *p = report->descriptor->provides;
	while (p->kind != OST_KIND_END && !(p->kind == report->line->kind && strcmp(p->name, report->line->name) == 0))
		p++;
	return p->ops;
}

static void print_params(const struct ost_ops *ops)
{
	for (const struct ost_param *p = ops->params; p && p->name; p++) {
		bool secret = p->flags & OST_PARAM_SECRET;
		printf("        %s = %s  (%s%s%s)  %s\n", p->name, p->defval && !secret ? p->defval : "", type_name(p->type),
		       p->flags & OST_PARAM_REQUIRED ? ", required" : "", secret ? ", secret" : "", p->help ? p->help : "");
	}
}

static void print_restrictions(const struct mod_report *report, const struct ost_ops *ops)
{
	if (report->line->kind != OST_KIND_CHECK)
		return;
	const struct ost_restriction *r = ((const struct ost_check_ops *)ops)->restrictions;
	for (; r && r->name; r++)
		printf("        %s%s  %s\n", r->name, r->args ? " …" : "", r->help ? r->help : "");
}

/* One line of modules.cf: "table hash  ok  1.0 (interface 1.0)  summary", then its parameters. */
static void print_report(void *ctx, const struct mod_report *report)
{
	bool *all_well = ctx;
	const struct ost_module *m = report->descriptor;
	printf("%-10s %-12s ", kind_name(report->line->kind), report->line->name);
	if (!report->ok) {
		*all_well = false;
		printf("refused: %s (%s, %s)\n", report->why.text, report->line->where,
		       *report->path ? report->path : report->line->file);
		return;
	}
	const struct ost_ops *ops = find_ops(report);
	printf("ok  version %s, interface %u.%u, %s: %s (%s)\n", m->version ? m->version : "?", m->abi_major, m->abi_minor,
	       m->license ? m->license : "no license given", m->summary ? m->summary : "", report->path);
	print_params(ops);
	print_restrictions(report, ops);
}

int cmd_modules(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct ost_why why = { "" };
	struct findings *findings = findings_new();
	struct config *config = config_read(command_config_dir(), NULL, findings);
	findings_destroy(&findings);
	if (!config) {
		fprintf(stderr, "ostler: fatal: the configuration in %s cannot be read\n", command_config_dir());
		return EXIT_FAILURE;
	}
	bool root = command_is_root(), all_well = true;
	if (!command_become_mail_owner(config_main_view(config), &why)) {
		fprintf(stderr, "ostler: fatal: %s\n", why.text);
		config_destroy(&config);
		return EXIT_FAILURE;
	}
	mod_init(config);
	if (root)
		mod_trust_user(0);
	mod_survey(print_report, &all_well);
	mod_shutdown();
	config_destroy(&config);
	return all_well ? EXIT_SUCCESS : EXIT_FAILURE;
}
