/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "config/internal.h"
#include "config/lines.h"

static const struct kind_name {
	const char *name;
	enum ost_kind kind;
} kind_names[] = {
	{ "table", OST_KIND_TABLE },
	{ "transport", OST_KIND_TRANSPORT },
	{ "check", OST_KIND_CHECK },
	{ "auth", OST_KIND_AUTH },
};

const char *module_kind_name(enum ost_kind kind)
{
	for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++)
		if (kind_names[i].kind == kind)
			return kind_names[i].name;
	return "unknown";
}

/* The kind that a word names; OST_KIND_END: none. */
static enum ost_kind parse_kind(const char *word)
{
	for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++)
		if (!strcmp(kind_names[i].name, word))
			return kind_names[i].kind;
	return OST_KIND_END;
}

/* The line of the same kind and name, NULL: none. */
static const struct module_line *find(const struct config *c, const struct module_line *m)
{
	for (size_t i = 0; i < c->module_count; i++)
		if (c->modules[i]->kind == m->kind && !strcmp(c->modules[i]->name, m->name))
			return c->modules[i];
	return NULL;
}

/* One "kind name file". */
static void parse_line(struct config *c, const struct config_file *file, const struct logical_line *line,
		       struct findings *findings)
{
	struct module_line *m = ARENA_NEW(c->arena, struct module_line);
	m->where = arena_printf(c->arena, "%s: line %d", file->name, line->line);
	const char **words = cfg_split(c->arena, line->text);
	if (line->orphan || !words[0] || !words[1] || !words[2] || words[3]) {
		findings_add(findings, FINDING_FATAL, "%s: \"kind name file\" is wanted: \"%.80s\"", m->where,
			     line->text);
		return;
	}
	m->kind = parse_kind(words[0]);
	m->name = words[1];
	m->file = words[2];
	if (m->kind == OST_KIND_END) {
		findings_add(findings, FINDING_FATAL,
			     "%s: unknown kind \"%.40s\" (table, transport, check or auth is wanted)", m->where,
			     words[0]);
		return;
	}
	const struct module_line *before = find(c, m);
	if (before) {
		findings_add(findings, FINDING_FATAL, "%s: %s %s is declared already in %s", m->where,
			     words[0], m->name, before->where);
		return;
	}
	c->modules[c->module_count++] = m;
}

void modulescf_parse(struct config *c, const struct config_file *file, struct findings *findings)
{
	struct lines lines;
	struct logical_line line;
	size_t count = c->module_count;
	lines_open(&lines, file->text, file->len);
	while (lines_next(&lines, &line))
		count++;
	lines_close(&lines);
	const struct module_line **list = arena_alloc(c->arena, (count + 1) * sizeof(struct module_line *));
	if (c->module_count)
		memcpy(list, c->modules, c->module_count * sizeof(struct module_line *));
	c->modules = list;
	lines_open(&lines, file->text, file->len);
	while (lines_next(&lines, &line))
		parse_line(c, file, &line, findings);
	lines_close(&lines);
}
