/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/expand.h"
#include "config/internal.h"
#include "config/lines.h"
#include "config/masterline.h"

static const struct type_name {
	const char *name;
	enum service_type type;
} type_names[] = {
	{ "inet", SERVICE_INET },
	{ "unix", SERVICE_UNIX },
	{ "fifo", SERVICE_FIFO },
	{ "pass", SERVICE_PASS },
	{ "unix-dgram", SERVICE_UNIX_DGRAM },
};

/* One line under work. */
struct entry {
	struct config *config;
	struct findings *findings;
	const char *where; /* "master.cf: line 12" */
	char *words[MASTER_FIELDS];
	struct service *service;
	struct dict *overlay; /* NULL without -o */
};

const char *service_type_name(enum service_type type)
{
	for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "unknown";
}

/* Reports a bad column. */
static bool bad_column(const struct entry *e, enum master_field col)
{
	findings_add(e->findings, FINDING_FATAL, "%s: field \"%s\": bad value: \"%.80s\"", e->where,
		     master_field_name(col), e->words[col]);
	return false;
}

/* y, n, or - for the default. */
static bool parse_flag(const struct entry *e, enum master_field col, bool defval, bool *out)
{
	const char *w = e->words[col];
	if (!strcmp(w, "-"))
		*out = defval;
	else if (!strcmp(w, "y") || !strcmp(w, "n"))
		*out = *w == 'y';
	else
		return bad_column(e, col);
	return true;
}

/* A number without a sign; *end is behind it. */
static bool parse_count(const char *text, int64_t *out, const char **end)
{
	char *stop;
	if (*text < '0' || *text > '9')
		return false;
	*out = strtoll(text, &stop, 10);
	*end = stop;
	return stop - text <= 9;
}

static bool parse_type(const struct entry *e)
{
	for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
		if (!strcmp(type_names[i].name, e->words[MASTER_TYPE])) {
			e->service->type = type_names[i].type;
			return true;
		}
	}
	return bad_column(e, MASTER_TYPE);
}

/* Does '-' in the chroot column mean y? It did below compatibility level 1. */
static bool default_chroot(const struct config *c)
{
	int order;
	const char *level = cfg_str(c->view, P_compatibility_level);
	return expand_compare_levels(level, "1", &order) && order < 0;
}

static bool parse_wakeup(const struct entry *e)
{
	const char *end = "";
	int64_t seconds = 0;
	if (strcmp(e->words[MASTER_WAKEUP], "-") != 0 &&
	    !parse_count(e->words[MASTER_WAKEUP], &seconds, &end))
		return bad_column(e, MASTER_WAKEUP);
	e->service->wakeup_if_used = *end == '?';
	if (*end == '?')
		end++;
	if (*end)
		return bad_column(e, MASTER_WAKEUP);
	e->service->wakeup = seconds * CLOCK_SECOND;
	return true;
}

static bool parse_maxproc(const struct entry *e)
{
	const char *end = "";
	e->service->maxproc = cfg_int(e->config->view, P_default_process_limit);
	if (strcmp(e->words[MASTER_MAXPROC], "-") != 0 &&
	    (!parse_count(e->words[MASTER_MAXPROC], &e->service->maxproc, &end) || *end))
		return bad_column(e, MASTER_MAXPROC);
	return true;
}

/* The seven columns before the command. */
static bool parse_columns(const struct entry *e)
{
	struct service *s = e->service;
	s->name = e->words[MASTER_NAME];
	s->command = e->words[MASTER_COMMAND];
	if (!parse_type(e) || !parse_flag(e, MASTER_PRIVATE, true, &s->is_private) ||
	    !parse_flag(e, MASTER_UNPRIV, true, &s->unpriv) ||
	    !parse_flag(e, MASTER_CHROOT, default_chroot(e->config), &s->chroot) || !parse_wakeup(e) ||
	    !parse_maxproc(e))
		return false;
	if (s->type == SERVICE_INET && s->is_private) {
		findings_add(e->findings, FINDING_FATAL, "%s: %s: an inet service cannot be private",
			     e->where, s->name);
		return false;
	}
	return true;
}

/* One name=value behind -o. */
static bool add_override(struct entry *e, char *text)
{
	struct ost_why why;
	char *name, *value;
	if (!text) {
		findings_add(e->findings, FINDING_FATAL, "%s: -o without name=value", e->where);
		return false;
	}
	if (!split_assignment(text, &name, &value, &why)) {
		findings_add(e->findings, FINDING_FATAL, "%s: -o: %s", e->where, why.text);
		return false;
	}
	if (!e->overlay)
		e->overlay = dict_new(e->config->arena);
	dict_set(e->overlay, name, value, arena_printf(e->config->arena, "%s: -o", e->where));
	return true;
}

/* Is the word an option of Postfix's daemons (which pipe and spawn have as well, in front of their own
 * words)? */
static bool is_override(const char *word)
{
	return !strncmp(word, "-o", 2);
}

/* What stands behind the command: -o goes to the overlay, the rest to argv. */
static bool parse_arguments(struct entry *e, char *text)
{
	size_t count = 0, room = strlen(text) + 2;
	const char **argv = arena_alloc(e->config->arena, room * sizeof *argv);
	bool grouped, open, options = true;
	char *word;
	while ((word = master_word(&text, &grouped, &open)) != NULL) {
		options = options && *word == '-' && !grouped;
		if (!options || !is_override(word)) {
			argv[count++] = word;
			continue;
		}
		if (!add_override(e, word[2] ? word + 2 : master_word(&text, &grouped, &open)))
			return false;
	}
	e->service->argv = argv;
	return true;
}

/* The columns and what is behind them, from one logical line. */
static bool parse_entry(struct entry *e, const struct logical_line *line)
{
	char *text = arena_strdup(e->config->arena, line->text);
	bool grouped, open;
	for (int i = 0; i < MASTER_FIELDS; i++) {
		e->words[i] = master_word(&text, &grouped, &open);
		if (!e->words[i] || (grouped && i < MASTER_COMMAND)) {
			findings_add(e->findings, FINDING_FATAL, "%s: missing \"%s\" field", e->where,
				     master_field_name((enum master_field)i));
			return false;
		}
	}
	return parse_columns(e) && parse_arguments(e, text);
}

/* Adds a service; one of the same name and type goes, as in Postfix. A fragment may replace another file's
 * without a word: that is what it is for. */
static void add_service(struct entry *e)
{
	struct config *c = e->config;
	for (size_t i = 0; i < c->service_count; i++) {
		const struct service *old = c->services[i];
		if (old->type != e->service->type || strcmp(old->name, e->service->name) != 0)
			continue;
		if (config_same_file(old->where, e->where))
			findings_add(e->findings, FINDING_WARNING,
				     "%s: %s: duplicate entry for this service and type (line %d): the last "
				     "one is used",
				     e->where, old->name, old->line);
		view_close(old->view);
		memmove(&c->services[i], &c->services[i + 1],
			(c->service_count - i - 1) * sizeof(struct service *));
		c->service_count--;
		break;
	}
	c->services[c->service_count++] = e->service;
}

/* As which of Postfix's daemons a command reads its parameters; a module's transport may read any. */
static unsigned command_daemons(const char *command)
{
	unsigned bit = daemon_bit(command);
	return bit ? bit : BY_ALL;
}

static void parse_line(struct config *c, const struct config_file *file, const struct logical_line *line,
		       struct findings *findings)
{
	struct entry e = { .config = c, .findings = findings };
	e.where = arena_printf(c->arena, "%s: line %d", file->name, line->line);
	if (line->orphan) {
		findings_add(findings, FINDING_FATAL,
			     "%s: logical line must not start with whitespace: \"%.30s%s\"", e.where,
			     line->text, strlen(line->text) > 30 ? "..." : "");
		return;
	}
	e.service = ARENA_NEW(c->arena, struct service);
	e.service->line = line->line;
	e.service->where = e.where;
	if (!parse_entry(&e, line))
		return;
	e.service->overlay = e.overlay;
	e.service->view = view_new(c, e.overlay, command_daemons(e.service->command), e.service->name,
				   e.service->command, findings);
	add_service(&e);
}

void mastercf_parse(struct config *c, const struct config_file *file, struct findings *findings)
{
	struct lines lines;
	struct logical_line line;
	size_t count = c->service_count;
	lines_open(&lines, file->text, file->len);
	while (lines_next(&lines, &line))
		count++;
	lines_close(&lines);
	const struct service **list = arena_alloc(c->arena, (count + 1) * sizeof(struct service *));
	if (c->service_count)
		memcpy(list, c->services, c->service_count * sizeof(struct service *));
	c->services = list;
	lines_open(&lines, file->text, file->len);
	while (lines_next(&lines, &line))
		parse_line(c, file, &line, findings);
	lines_close(&lines);
}
