/* SPDX-License-Identifier: Apache-2.0
 * postconf -M, -F and -P: the lines of master.cf. */
#include <ctype.h>
#include <string.h>

#include "command/postconf.h"
#include "config/dict.h"

static const char *const field_names[] = { "service", "type",   "private",       "unprivileged",
					   "chroot",  "wakeup", "process_limit", "command" };
enum { FIELDS = sizeof field_names / sizeof *field_names };

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

/* Does "service[/type[/parameter]]" name this service (and parameter, unless NULL)? */
static bool matches(const char *pattern, const struct service *s, const char *parameter)
{
	if (!part_matches(&pattern, s->name) || !part_matches(&pattern, service_type_name(s->type)))
		return false;
	return !parameter || part_matches(&pattern, parameter);
}

/* The same for a list, of which an empty one matches all. */
static bool any_matches(char **patterns, const struct service *s, const char *parameter)
{
	for (char **p = patterns; *p; p++)
		if (matches(*p, s, parameter))
			return true;
	return !*patterns;
}

/* The first words of a line, one per column. */
static void read_columns(const struct postconf *p, const char *line, const char *columns[FIELDS])
{
	for (int i = 0; i < FIELDS; i++) {
		while (isspace((unsigned char)*line))
			line++;
		size_t n = 0;
		while (line[n] && !isspace((unsigned char)line[n]))
			n++;
		columns[i] = arena_strndup(p->arena, line, n);
		line += n;
	}
}

/* The command with its arguments; folded: options on lines of their own, the rest broken at the width of a
 * page. */
static void add_command(const struct postconf *p, const struct service *s, const char *command, size_t column,
			struct buf *out)
{
	bool options = true, after_option = false;
	buf_puts(out, command);
	column += strlen(command);
	for (const char *const *arg = s->arguments; *arg; arg++) {
		bool value = options && arg > s->arguments && !strcmp(arg[-1], "-o");
		bool option = options && **arg == '-' && !value;
		bool braces = !**arg || (*arg)[strcspn(*arg, " \t\r\n")] != '\0';
		size_t width = strlen(*arg) + (braces ? 2 : 0);
		bool new_line =
			p->fold && !value && (option || after_option || column + 1 + width >= POSTCONF_WIDTH);
		buf_puts(out, new_line ? "\n    " : " ");
		buf_printf(out, braces ? "{%s}" : "%s", *arg);
		column = (new_line ? 4 : column + 1) + width;
		options = after_option = option || value;
	}
}

/* "service/type/field = value" for each column. */
static void add_fields(const struct postconf *p, const struct service *s, const char *const columns[FIELDS],
		       struct buf *out)
{
	for (int i = 0; i < FIELDS; i++) {
		buf_printf(out, "%s/%s/%s = ", columns[0], columns[1], field_names[i]);
		if (i < FIELDS - 1)
			buf_puts(out, columns[i]);
		else
			add_command(p, s, columns[i], out->len, out);
		buf_putc(out, '\n');
	}
}

/* The line, each column at its place or behind a blank. */
static void add_line(const struct postconf *p, const struct service *s, const char *const columns[FIELDS],
		     struct buf *out)
{
	static const size_t places[FIELDS] = { 0, 11, 17, 25, 33, 41, 49, 57 };
	for (int i = 0; i < FIELDS; i++) {
		if (i > 0)
			buf_putc(out, ' ');
		while (out->len < places[i])
			buf_putc(out, ' ');
		if (i < FIELDS - 1)
			buf_puts(out, columns[i]);
	}
	add_command(p, s, columns[FIELDS - 1], out->len, out);
	buf_putc(out, '\n');
}

/* -M and -F. */
static void print_service(const struct postconf *p, const struct service *s, bool fields)
{
	const char *columns[FIELDS];
	struct buf out = BUF_INIT;
	read_columns(p, s->verbatim, columns);
	if (fields)
		add_fields(p, s, columns, &out);
	else
		add_line(p, s, columns, &out);
	fputs(buf_str(&out), p->out);
	buf_free(&out);
}

/* -P. */
static void print_overrides(const struct postconf *p, const struct service *s, char **patterns)
{
	const struct dict_entry *const *list;
	size_t n = s->overlay ? dict_list(s->overlay, DICT_BY_NAME, &list, p->arena) : 0;
	for (size_t i = 0; i < n; i++)
		if (any_matches(patterns, s, list[i]->name))
			postconf_print(p,
				       arena_printf(p->arena, "%s/%s/%s", s->name, service_type_name(s->type),
						    list[i]->name),
				       list[i]->value);
}

bool postconf_services(const struct postconf *p, char mode, char **patterns)
{
	const struct service *const *list;
	size_t n = config_services(p->config, &list);
	for (size_t i = 0; i < n; i++) {
		if (mode == 'P')
			print_overrides(p, list[i], patterns);
		else if (any_matches(patterns, list[i], NULL))
			print_service(p, list[i], mode == 'F');
	}
	for (; *patterns; patterns++) {
		bool found = false;
		for (size_t i = 0; i < n && !found; i++)
			found = matches(*patterns, list[i], NULL);
		if (!found)
			fprintf(stderr, "postconf: warning: unmatched request: \"%s\"\n", *patterns);
	}
	return true;
}
