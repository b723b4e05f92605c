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
	size_t n = 0;
	text = trim(text);
	while (equals && text + n < equals && !isspace((unsigned char)text[n]))
		n++;
	if (equals == text)
		return why_set(why, "missing attribute name: \"%.160s\"", text);
	if (!equals || text + n + strspn(text + n, " \t\r\n\f\v") != equals)
		return why_set(why, "missing '=' after attribute name: \"%.160s\"", text);
	*value = trim(equals + 1);
	*equals = '\0';
	*name = trim(text);
	return true;
}

/* One "name = value". */
static void parse_line(struct arena *arena, struct dict *dict, const struct config_file *file,
		       const struct logical_line *line, struct findings *findings)
{
	const char *where = arena_printf(arena, "%s: line %d", file->name, line->line);
	struct ost_why why;
	char *name, *value;
	if (line->orphan) {
		findings_add(findings, FINDING_WARNING,
			     "%s: logical line must not start with whitespace: \"%.30s%s\"", where,
			     line->text, strlen(line->text) > 30 ? "..." : "");
		return;
	}
	if (!split_assignment(arena_strdup(arena, line->text), &name, &value, &why)) {
		findings_add(findings, FINDING_FATAL, "%s: %s", where, why.text);
		return;
	}
	const struct dict_entry *before = dict_get(dict, name);
	/* That a fragment has the last word is what it is for; twice in one file is a mistake. */
	if (before && strcmp(before->value, value) != 0 && config_same_file(before->where, where))
		findings_add(findings, FINDING_WARNING, "%s: overriding earlier entry: %s=%s", where, name,
			     before->value);
	dict_set(dict, name, value, where);
}

void maincf_parse(struct arena *arena, struct dict *dict, const struct config_file *file,
		  struct findings *findings)
{
	struct lines lines;
	struct logical_line line;
	lines_open(&lines, file->text, file->len);
	while (lines_next(&lines, &line))
		parse_line(arena, dict, file, &line, findings);
	lines_close(&lines);
}

void config_grammar(const struct config *c, struct findings *findings)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	struct arena *arena = arena_new();
	struct dict *scratch = dict_new(arena);
	for (size_t i = 0; i < c->file_count; i++)
		if (config_is_part(&c->files[i], "main.cf"))
			maincf_parse(arena, scratch, &c->files[i], findings);
	arena_destroy(&arena);
}
