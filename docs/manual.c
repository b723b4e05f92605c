/* SPDX-License-Identifier: Apache-2.0
 * Writes the manual of main.cf from the parameter tables: `manual md` (docs/main.cf.5.md) or `manual man`
 * (ostler-main.cf.5). Run by make. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/param.h"
#include "config/support.h"

/* How one form writes things. */
struct form {
	const char *name;
	void (*head)(void);
	void (*section)(const char *title);
	void (*paragraph)(const char *text, bool first);
	void (*parameter)(const struct param *);
	void (*known)(const struct param *, bool first);
};

static const char *const type_names[] = {
	[CFG_STR] = "text",   [CFG_RAW] = "text, $name not expanded",
	[CFG_INT] = "number", [CFG_BOOL] = "yes or no",
	[CFG_TIME] = "time",  [CFG_SIZE] = "bytes",
};

/* Defaults that depend on the folder or the machine, in words. */
static const struct computed {
	enum param_id id;
	const char *text;
} computed[] = {
	{ P_myhostname, "the system's host name; without a dot, $mydomain is added" },
	{ P_mydomain, "$myhostname without its first part" },
	{ P_mynetworks, "the networks of this host, see mynetworks_style" },
	{ P_config_directory, "the folder that was named with -c or MAIL_CONFIG" },
	{ P_queue_directory, "/var/spool/ostler; /var/spool/postfix in a folder without modules.cf" },
	{ P_data_directory, "/var/lib/ostler; /var/lib/postfix in a folder without modules.cf" },
	{ P_mail_owner, "ostler; postfix in a folder without modules.cf" },
	{ P_setgid_group, "ostdrop; postdrop in a folder without modules.cf" },
	{ P_syslog_name,
	  "${multi_instance_name?{$multi_instance_name}:{ostler}}; postfix in a folder without modules.cf" },
	{ P_service_name, "the first column of the process's line in master.cf" },
	{ P_process_name, "the command of the process's line in master.cf" },
	{ P_process_id, "the process's id" },
};

/* The default in words or as it is written. */
static const char *default_text(const struct param *p)
{
	for (size_t i = 0; i < sizeof computed / sizeof *computed; i++)
		if (param_get(computed[i].id) == p)
			return computed[i].text;
	return *p->defval ? p->defval : "empty";
}

/* "number, at least 1, at most 16"; read by which daemons. */
static void facts(const struct param *p, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "%s", type_names[p->type]);
	const char *unit = p->type == CFG_TIME ? " s" : "";
	if (p->min && n < size)
		n += (size_t)snprintf(out + n, size - n, ", at least %" PRId64 "%s", p->min, unit);
	if (p->max && n < size)
		n += (size_t)snprintf(out + n, size - n, ", at most %" PRId64 "%s", p->max, unit);
	if (p->daemons == BY_ALL || n >= size)
		return;
	n += (size_t)snprintf(out + n, size - n, "; -o on lines of");
	for (unsigned bit = 1; bit && bit <= BY_ALL && n < size; bit <<= 1)
		if ((p->daemons & bit) && daemon_name(bit))
			n += (size_t)snprintf(out + n, size - n, " %s", daemon_name(bit));
}

/* ---- Markdown ---- */

static void md_head(void)
{
	puts("<!-- SPDX-License-Identifier: Apache-2.0; made by docs/manual.c from the parameter tables -->");
	puts("# main.cf: Ostler's parameters");
}

static void md_section(const char *title)
{
	printf("\n## %s\n", title);
}

static void md_paragraph(const char *text, bool first)
{
	(void)first;
	printf("\n%s\n", text);
}

static void md_parameter(const struct param *p)
{
	char text[512];
	facts(p, text, sizeof text);
	printf("\n**%s** (default: `%s`)  \n%s  \n*%s*\n", p->name, default_text(p), p->help, text);
}

/* Why it does nothing; NULL: there is nothing to say about it. */
static const char *reason(const struct param *p)
{
	return p->grade == CFG_NO_EFFECT ? support_reason(p->name) : NULL;
}

static void md_known(const struct param *p, bool first)
{
	const char *why = reason(p);
	printf("%s- %s%s%s\n", first ? "\n" : "", p->name, why ? ": " : "", why ? why : "");
}

/* ---- man ---- */

/* A text with what roff would take for its own escaped. */
static void man_text(const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", stdout);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else
			putchar(*s);
	}
}

static void man_head(void)
{
	puts(".\\\" SPDX-License-Identifier: Apache-2.0; made by docs/manual.c from the parameter tables");
	puts(".TH OSTLER-MAIN.CF 5 \"\" Ostler\n.ad l\n.SH NAME\nostler-main.cf \\- Ostler's parameters");
}

static void man_section(const char *title)
{
	printf(".SH \"%s\"\n", title);
}

static void man_paragraph(const char *text, bool first)
{
	if (!first)
		puts(".PP");
	man_text(text);
	puts("");
}

static void man_parameter(const struct param *p)
{
	char text[512];
	facts(p, text, sizeof text);
	printf(".TP\n.B %s\n", p->name);
	man_text(p->help);
	fputs("\n.br\nDefault: ", stdout);
	man_text(default_text(p));
	fputs("\n.br\n(", stdout);
	man_text(text);
	puts(")");
}

static void man_known(const struct param *p, bool first)
{
	const char *why = reason(p);
	printf("%s\n%s%s", first ? ".PP" : ".br", p->name, why ? ": " : "");
	man_text(why ? why : "");
	puts("");
}

/* ---- the manual ---- */

static const char *const introduction[] = {
	"Names, defaults and units are Postfix's. A line is \"name = value\"; a line that starts with white "
	"space continues the "
	"one before; lines that start with # are comments. $name, ${name?text} and the like stand for other "
	"values. "
	"Times take s, m, h, d, w (without a letter, the unit of the default counts).",
	"In master.cf, -o name=value sets a parameter for one service, as far as the daemon of that line "
	"reads it; for "
	"parameters without a list of daemons that is every line.",
	"For the transports that master.cf names, parameters that start with default_ exist with the "
	"transport's name in its place: "
	"relay_destination_concurrency_limit and the like.",
};

static const struct group {
	enum cfg_grade grade;
	const char *title, *text;
} groups[] = {
	{ CFG_WEAKENS, "NOT YET SUPPORTED: PROTECTION",
	  "These of Postfix's parameters have no effect, so that what they protect is not protected. There "
	  "is no "
	  "start when one is set, unless ostler_ignore_parameters names it, or its value asks for no "
	  "protection." },
	{ CFG_MISSING, "NOT YET SUPPORTED",
	  "These of Postfix's parameters have no effect. `ostler check` says so." },
	{ CFG_NO_EFFECT, "WITHOUT EFFECT", "These are known and do nothing in Ostler; nothing is lost." },
	{ CFG_SILENT, "ACCEPTED", "These say where documents are, and the like." },
};

static void write_manual(const struct form *f)
{
	const struct param *p;
	f->head();
	f->section("DESCRIPTION");
	for (size_t i = 0; i < sizeof introduction / sizeof *introduction; i++)
		f->paragraph(introduction[i], i == 0);
	f->section("PARAMETERS");
	for (int id = 0; id < P_COUNT; id++)
		f->parameter(param_get((enum param_id)id));
	for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
		f->section(groups[g].title);
		f->paragraph(groups[g].text, true);
		bool first = true;
		for (size_t i = 0; (p = param_at(i)) != NULL; i++) {
			if (p->grade != groups[g].grade)
				continue;
			f->known(p, first);
			first = false;
		}
	}
}

int main(int argc, char **argv)
{
	static const struct form forms[] = {
		{ "md", md_head, md_section, md_paragraph, md_parameter, md_known },
		{ "man", man_head, man_section, man_paragraph, man_parameter, man_known },
	};
	for (size_t i = 0; argc == 2 && i < sizeof forms / sizeof *forms; i++) {
		if (!strcmp(argv[1], forms[i].name)) {
			write_manual(&forms[i]);
			return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		}
	}
	fputs("usage: manual md | man\n", stderr);
	return EXIT_FAILURE;
}
