/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "config/internal.h"
#include "config/lines.h"

/* Cuts white space from both ends, in place. */
static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	size_t n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

bool split_assignment(char *text, char **name, char **value, struct ost_why *why)
{
	char *equals = strchr(text, '=');
	if (!equals)
		return why_set(why, "missing '=' after the parameter name: \"%.60s\"", text);
	*equals = '\0';
	*name = trim(text);
	*value = trim(equals + 1);
	if (!**name)
		return why_set(why, "missing parameter name: \"= %.60s\"", *value);
	for (const char *p = *name; *p; p++)
		if (isspace((unsigned char)*p))
			return why_set(why, "white space in the parameter name: \"%.60s\"", *name);
	return true;
}

/* One "name = value". */
static void parse_line(struct config *c, const struct config_file *file, const struct logical_line *line,
		       struct findings *findings)
{
	const char *where = arena_printf(c->arena, "%s: line %d", file->name, line->line);
	struct ost_why why;
	char *name, *value;
	if (line->orphan) {
		findings_add(
			findings, FINDING_WARNING,
			"%s: a line must not start with white space, except to continue another: \"%.60s\"",
			where, line->text);
		return;
	}
	if (!split_assignment(arena_strdup(c->arena, line->text), &name, &value, &why)) {
		findings_add(findings, FINDING_FATAL, "%s: %s", where, why.text);
		return;
	}
	const char *before = dict_set(c->main, name, value, where);
	if (before && strcmp(before, value) != 0)
		findings_add(findings, FINDING_WARNING, "%s: %s: overriding earlier entry: %s=%s", where,
			     name, name, before);
}

void maincf_parse(struct config *c, const struct config_file *file, struct findings *findings)
{
	struct lines lines;
	struct logical_line line;
	lines_open(&lines, file->text, file->len);
	while (lines_next(&lines, &line))
		parse_line(c, file, &line, findings);
	lines_close(&lines);
}
