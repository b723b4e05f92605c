/* SPDX-License-Identifier: Apache-2.0
 * postconf -M, -F and -P: the lines of master.cf. */
#include <ctype.h>
#include <string.h>

#include "command/postconf.h"
#include "config/dict.h"

static const char *const field_names[] = { "service",	    "type",   "private",	  "unprivileged",
					   "chroot",	    "wakeup", "process_limit", "command" };
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

/* The first words of a line, one per column but the command; answers what follows them. */
static const char *read_columns(const struct postconf *p, const char *line, const char *columns[FIELDS])
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
	return line;
}

/* The command with its arguments; folded: options on lines of their own. */
static void add_command(const struct postconf *p, const struct service *s, const char *command, struct buf *out)
{
	buf_puts(out, command);
	for (const char *const *arg = s->arguments; *arg; arg++) {
		bool value = arg > s->arguments && !strcmp(arg[-1], "-o");
		bool braces = !**arg || (*arg)[strcspn(*arg, " \t\r\n")] != '\0';
		buf_puts(out, p->fold && **arg == '-' && !value ? "\n    " : " ");
		buf_printf(out, braces ? "{%s}" : "%s", *arg);
	}
}

/* -M and -F. */
static void print_service(const struct postconf *p, const struct service *s, bool fields)
{
	const char *columns[FIELDS];
	struct buf out = BUF_INIT, command = BUF_INIT;
	read_columns(p, s->verbatim, columns);
	add_command(p, s, columns[FIELDS - 1], &command);
	if (fields) {
		for (int i = 0; i < FIELDS; i++)
			buf_printf(&out, "%s/%s/%s = %s\n", columns[0], columns[1], field_names[i],
				   i == FIELDS - 1 ? buf_str(&command) : columns[i]);
	} else {
		buf_printf(&out, "%-10s %-5s %-7s %-7s %-7s %-7s %-7s %s\n", columns[0], columns[1], columns[2],
			   columns[3], columns[4], columns[5], columns[6], buf_str(&command));
	}
	fputs(buf_str(&out), p->out);
	buf_free(&out);
	buf_free(&command);
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
