/* SPDX-License-Identifier: Apache-2.0
 * postconf -M, -F and -P: the entries of master.cf. */
#include <stdlib.h>
#include <string.h>

#include "command/postconf.h"
#include "config/dict.h"
#include "config/lines.h"

/* ---- reading ---- */

/* One logical line; false: said why it is none. */
static bool read_line(struct postconf *p, const struct config_text *file, const struct logical_line *line)
{
	struct master_entry *e = &p->entries[p->entry_count];
	struct ost_why why;
	if (line->orphan) {
		postconf_warn(p, "%s/%s: logical line must not start with whitespace: \"%.30s%s\"", p->folder,
			      file->name, line->text, strlen(line->text) > 30 ? "..." : "");
		return true;
	}
	if (!master_entry_read(p->arena, line->text, e, &why)) {
		if (!strcmp(why.text, "bad field count"))
			postconf_fatal(p, "file %s/%s: line %d: %s", p->folder, file->name, line->line,
				       why.text);
		else
			postconf_fatal(p, "%s", why.text);
		return false;
	}
	if (e->warning)
		postconf_warn(p, "%s: %s", file->name, e->warning);
	e->where = arena_printf(p->arena, "%s: line %d", file->name, line->line);
	p->entry_count++;
	return true;
}

static bool read_file(struct postconf *p, const struct config_text *file)
{
	struct lines lines;
	struct logical_line line;
	bool ok = true;
	lines_open(&lines, file->text, file->len);
	while (ok && lines_next(&lines, &line))
		ok = read_line(p, file, &line);
	lines_close(&lines);
	return ok;
}

bool postconf_read_master(struct postconf *p)
{
	const struct config_text *files;
	size_t n = config_texts(p->config, "master.cf", p->arena, &files), lines = 1;
	bool ok = true;
	if (n == 0 && p->mode != 'p')
		return postconf_fatal(p, "open %s/master.cf: No such file or directory", p->folder), false;
	if (n == 0)
		postconf_warn(p, "open %s/master.cf: No such file or directory", p->folder);
	for (size_t i = 0; i < n; i++)
		for (const char *c = files[i].text; *c; c++)
			lines += *c == '\n';
	p->entries = arena_alloc(p->arena, (lines + n) * sizeof *p->entries);
	for (size_t i = 0; i < n && ok; i++)
		ok = read_file(p, &files[i]);
	return ok;
}

const struct service *postconf_service(const struct postconf *p, const struct master_entry *e)
{
	const struct service *const *list;
	size_t n = config_services(p->config, &list);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i]->name, e->fields[MASTER_NAME]) &&
		    !strcmp(service_type_name(list[i]->type), e->fields[MASTER_TYPE]))
			return list[i];
	return NULL;
}

/* ---- choosing ---- */

/* Does the text match a pattern's part, which ends at '/' or at its end? "*" matches all. */
static bool part_matches(const char **pattern, const char *text)
{
	if (!**pattern)
		return true;
	size_t n = strcspn(*pattern, "/");
	bool ok = (n == 1 && **pattern == '*') || (strlen(text) == n && !memcmp(*pattern, text, n));
	*pattern += n;
	if (**pattern == '/')
		(*pattern)++;
	return ok;
}

bool postconf_matches(const char *pattern, const struct master_entry *e, const char *third)
{
	if (!part_matches(&pattern, e->fields[MASTER_NAME]) ||
	    !part_matches(&pattern, e->fields[MASTER_TYPE]))
		return false;
	return !third || part_matches(&pattern, third);
}

/* ---- values ---- */

/* A word with the names in it expanded, as this service sees them. */
static const char *expanded(const struct postconf *p, const struct master_entry *e, const char *text)
{
	const struct service *s = p->expanded ? postconf_service(p, e) : NULL;
	return s ? config_expand(s->view, p->arena, text) : text;
}

/* The entry with the values of its options expanded. */
static struct master_entry expand_entry(const struct postconf *p, const struct master_entry *e)
{
	struct master_entry copy = *e;
	if (!p->expanded)
		return copy;
	copy.words = arena_alloc(p->arena, (e->count + 1) * sizeof *copy.words);
	for (size_t i = 0; i < e->count; i++) {
		bool value = i > 0 && i < e->options && !strcmp(e->words[i - 1], "-o");
		copy.words[i] = value ? expanded(p, e, e->words[i]) : e->words[i];
	}
	return copy;
}

/* ---- printing ---- */

static bool print_entry(const struct postconf *p, const struct master_entry *e, const char *pattern)
{
	struct buf out = BUF_INIT;
	struct master_entry copy = expand_entry(p, e);
	if (pattern && !postconf_matches(pattern, e, NULL))
		return false;
	if (p->origin)
		fprintf(p->out, "%s: ", e->where);
	master_entry_print(&out, &copy, p->fold);
	fputs(buf_str(&out), p->out);
	buf_free(&out);
	return true;
}

/* "service/type/field = value" */
static void print_field(const struct postconf *p, const struct master_entry *e, enum master_field field)
{
	struct buf out = BUF_INIT;
	if (p->origin)
		buf_printf(&out, "%s: ", e->where);
	if (!p->no_names)
		buf_printf(&out, "%s/%s/%s%s", e->fields[MASTER_NAME], e->fields[MASTER_TYPE],
			   master_field_name(field), p->no_values ? "" : " = ");
	if (!p->no_values && field == MASTER_COMMAND)
		master_command_print(&out, e, p->fold, out.len);
	else if (!p->no_values)
		buf_puts(&out, e->fields[field]);
	fprintf(p->out, "%s\n", buf_str(&out));
	buf_free(&out);
}

static bool print_fields(const struct postconf *p, const struct master_entry *e, const char *pattern)
{
	struct master_entry copy = expand_entry(p, e);
	bool found = false;
	for (int i = 0; i < MASTER_FIELDS; i++) {
		if (pattern && !postconf_matches(pattern, e, master_field_name((enum master_field)i)))
			continue;
		print_field(p, &copy, (enum master_field)i);
		found = true;
	}
	return found;
}

/* "service/type/name = value", by name. */
static bool print_overrides(const struct postconf *p, const struct master_entry *e, const char *pattern)
{
	struct dict *settings = dict_new(p->arena);
	const struct dict_entry *const *list;
	bool found = false;
	for (size_t i = 0; i + 1 < e->options; i++) {
		const char *equals = !strcmp(e->words[i], "-o") ? strchr(e->words[i + 1], '=') : NULL;
		if (equals)
			dict_set(settings,
				 arena_strndup(p->arena, e->words[i + 1], (size_t)(equals - e->words[i + 1])),
				 equals + 1, e->where);
	}
	size_t n = dict_list(settings, DICT_BY_NAME, &list, p->arena);
	for (size_t i = 0; i < n; i++) {
		if (pattern && !postconf_matches(pattern, e, list[i]->name))
			continue;
		postconf_print(p,
			       arena_printf(p->arena, "%s/%s/%s", e->fields[MASTER_NAME],
					    e->fields[MASTER_TYPE], list[i]->name),
			       expanded(p, e, list[i]->value), e->where);
		found = true;
	}
	return found;
}

/* The third part of a pattern of -F must be a column's name. */
static bool check_fields(const struct postconf *p, char **patterns)
{
	for (; p->mode == 'F' && *patterns; patterns++) {
		const char *slash = strchr(*patterns, '/');
		const char *third = slash ? strchr(slash + 1, '/') : NULL;
		int i = 0;
		while (third && i < MASTER_FIELDS &&
		       strcmp(third + 1, master_field_name((enum master_field)i)) != 0)
			i++;
		if (i == MASTER_FIELDS && strcmp(third, "/*") != 0)
			return postconf_fatal(p, "invalid service attribute name: \"%s\"", third + 1), false;
	}
	return true;
}

int postconf_services(const struct postconf *p, char **patterns)
{
	if (!check_fields(p, patterns))
		return EXIT_FAILURE;
	bool (*print)(const struct postconf *, const struct master_entry *, const char *) =
		p->mode == 'M'   ? print_entry
		: p->mode == 'F' ? print_fields
				 : print_overrides;
	if (p->json)
		return postconf_json_services(p, patterns);
	for (size_t i = 0; i < p->entry_count && !*patterns; i++)
		print(p, &p->entries[i], NULL);
	size_t n = 0;
	while (patterns[n])
		n++;
	bool *found = arena_alloc(p->arena, (n + 1) * sizeof *found);
	for (size_t i = 0; i < p->entry_count; i++)
		for (size_t j = 0; j < n; j++)
			found[j] |= print(p, &p->entries[i], patterns[j]);
	for (size_t j = 0; j < n; j++)
		if (!found[j])
			postconf_warn(p, "unmatched request: \"%s\"", patterns[j]);
	return EXIT_SUCCESS;
}
