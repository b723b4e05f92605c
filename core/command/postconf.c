/* SPDX-License-Identifier: Apache-2.0
 * postconf: shows parameters, services and table types, and edits main.cf. Output has Postfix's form. */
#include "command/postconf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "command/command.h"
#include "config/edit.h"

enum { MAIN_CF_BYTES = 8 << 20 };

static const char usage[] = "usage: postconf [-c folder] [-dfhHnpx] [-o name=value] [name ...]\n"
			    "       postconf [-c folder] [-e] name=value ... | -# name ... | -X name ...\n"
			    "       postconf [-c folder] -M | -F | -P [service[/type[/parameter]] ...]\n"
			    "       postconf -m | -l\n";

/* ---- printing ---- */

/* Appends the words of a value, separated by single blanks; *column is where the line stands. */
static void add_words(struct buf *line, const char *value, bool fold, size_t *column, bool first)
{
	while (*value) {
		while (isspace((unsigned char)*value))
			value++;
		size_t n = 0;
		while (value[n] && !isspace((unsigned char)value[n]))
			n++;
		if (!n)
			return;
		if (fold && !first && *column + n + 1 > POSTCONF_WIDTH) {
			buf_puts(line, "\n    ");
			*column = 4;
		} else if (!first) {
			buf_putc(line, ' ');
			(*column)++;
		}
		buf_add(line, value, n);
		*column += n;
		value += n;
		first = false;
	}
}

void postconf_print(const struct postconf *p, const char *name, const char *value)
{
	struct buf line = BUF_INIT;
	size_t column = 0;
	bool first = p->no_names;
	if (!p->no_names) {
		buf_puts(&line, name);
		if (!p->no_values)
			buf_puts(&line, " =");
		column = line.len;
	}
	if (!p->no_values)
		add_words(&line, value, p->fold, &column, first);
	fprintf(p->out, "%s\n", buf_str(&line));
	buf_free(&line);
}

/* The folder is shown as the caller named it, and counts as set unless it is the default one. */
static const char *shown_folder(const struct postconf *p)
{
	bool usual = !strcmp(command_config_dir(), OST_CONFDIR);
	if (p->defaults)
		return OST_CONFDIR;
	return usual && p->set_only ? NULL : command_config_dir();
}

static const char *shown_default(const struct postconf *p, const char *name)
{
	return p->defaults ? config_builtin_value(p->config, p->arena, name)
			   : config_default_value(p->config, name);
}

/* The value as the options want it; NULL: -n, and main.cf does not set it, or there is no such name. */
static const char *shown_value(const struct postconf *p, const char *name)
{
	const char *set = p->defaults ? NULL : config_set_value(p->config, name);
	const char *value = set || p->set_only ? set : shown_default(p, name);
	if (!set && !strcmp(name, "config_directory"))
		return shown_folder(p);
	if (value && p->expanded && !p->defaults)
		value = cfg_lookup(config_main_view(p->config), name);
	return value;
}

/* Every name, or those of the command line. */
static void print_parameters(const struct postconf *p, char **names)
{
	const char *const *list;
	const char *value;
	if (!*names) {
		size_t n = config_names(p->config, p->arena, &list);
		for (size_t i = 0; i < n; i++)
			if ((value = shown_value(p, list[i])) != NULL)
				postconf_print(p, list[i], value);
		return;
	}
	for (; *names; names++) {
		if ((value = shown_value(p, *names)) != NULL)
			postconf_print(p, *names, value);
		else if (!config_default_value(p->config, *names))
			fprintf(stderr, "postconf: warning: %s: unknown parameter\n", *names);
	}
}

/* -m: the table types that modules.cf declares. */
static void print_table_types(const struct postconf *p)
{
	const struct module_line *const *list;
	size_t n = config_modules(p->config, &list);
	for (size_t i = 0; i < n; i++)
		if (list[i]->kind == OST_KIND_TABLE)
			fprintf(p->out, "%s\n", list[i]->name);
}

/* ---- editing ---- */

/* Writes the new main.cf beside the old one, with its owner and mode, and renames it. */
static bool replace_file(const char *path, const struct buf *text, struct ost_why *why)
{
	struct stat st;
	char *temporary = mem_printf("%s.tmp", path);
	if (stat(path, &st) != 0)
		st = (struct stat){ .st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid() };
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && io_write_all(fd, buf_str(text), text->len) &&
		  fchown(fd, st.st_uid, st.st_gid) == 0 && fchmod(fd, st.st_mode & 07777) == 0 &&
		  fsync(fd) == 0 && rename(temporary, path) == 0;
	if (!ok) {
		why_errno(why, "%s", temporary);
		unlink(temporary);
	}
	io_close(&fd);
	free(temporary);
	return ok;
}

/* -e, -# and -X. */
static int edit(enum edit_action action, char **requests, int count)
{
	struct ost_why why;
	struct buf out = BUF_INIT;
	char *path = mem_printf("%s/main.cf", command_config_dir());
	size_t len = 0;
	char *text = io_read_file(AT_FDCWD, path, MAIN_CF_BYTES, &len);
	bool ok = text || (errno == ENOENT && action == EDIT_SET);
	if (!ok)
		why_errno(&why, "%s", path);
	ok = ok &&
	     edit_main_cf(text ? text : "", len, action, (const char *const *)requests, (size_t)count, &out,
			  &why) &&
	     replace_file(path, &out, &why);
	if (!ok)
		fprintf(stderr, "postconf: fatal: %s\n", why.text);
	buf_free(&out);
	free(text);
	free(path);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command ---- */

/* What the options say, beside struct postconf. */
struct options {
	char mode; /* 'p' parameters, or the letter of another mode */
	const char **overrides;
	size_t override_count;
};

/* Takes one option. False: there is no such option. */
static bool take_option(struct postconf *p, struct options *o, int letter, const char *argument)
{
	static const char modes[] = "eX#MFPml";
	struct {
		char letter;
		bool *flag;
	} flags[] = { { 'd', &p->defaults }, { 'n', &p->set_only }, { 'x', &p->expanded },
		      { 'f', &p->fold },     { 'h', &p->no_names }, { 'H', &p->no_values } };
	if (letter == 'o') {
		o->overrides = mem_realloc_array(o->overrides, o->override_count + 2, sizeof *o->overrides);
		o->overrides[o->override_count++] = argument;
		o->overrides[o->override_count] = NULL;
		return true;
	}
	if (letter == 'p' || letter == 'v')
		return true;
	if (strchr(modes, letter)) {
		o->mode = (char)letter;
		return true;
	}
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		if (flags[i].letter == letter) {
			*flags[i].flag = true;
			return true;
		}
	}
	return false;
}

/* What is odd in the files goes to stderr; the command goes on with what there is. */
static void print_findings(const struct postconf *p)
{
	const struct finding *list;
	size_t n = findings_count(p->findings, &list);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "postconf: warning: %s\n", list[i].text);
}

/* The modes that read the configuration. */
static int show(struct postconf *p, const struct options *o, char **names)
{
	bool ok = true;
	p->findings = findings_new();
	p->arena = arena_new();
	p->config = config_read(command_config_dir(), o->overrides, p->findings);
	if (!p->config)
		ok = false;
	else if (o->mode == 'm')
		print_table_types(p);
	else if (o->mode != 'p')
		ok = postconf_services(p, o->mode, names);
	else
		print_parameters(p, names);
	if (p->config && p->set_only && !*names) {
		config_check(p->config, p->findings);
		config_check_names(p->config, NULL, NULL, p->findings);
	}
	fflush(p->out);
	print_findings(p);
	config_destroy(&p->config);
	arena_destroy(&p->arena);
	findings_destroy(&p->findings);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_postconf(int argc, char **argv)
{
	struct postconf p = { .out = stdout };
	struct options o = { .mode = 'p' };
	int letter, status;
	optind = 1;
	while ((letter = getopt(argc, argv, "defFhHlmMno:pPvxX#")) != -1) {
		if (!take_option(&p, &o, letter, optarg)) {
			fputs(usage, stderr);
			free(o.overrides);
			return EXIT_FAILURE;
		}
	}
	char **names = argv + optind;
	if (o.mode == 'p' && *names && strchr(*names, '='))
		o.mode = 'e';
	if (o.mode == 'l')
		status = fputs("flock\nfcntl\ndotlock\n", stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	else if (strchr("eX#", o.mode))
		status = edit(o.mode == 'e'   ? EDIT_SET
			      : o.mode == 'X' ? EDIT_REMOVE
					      : EDIT_COMMENT,
			      names, argc - optind);
	else
		status = show(&p, &o, names);
	free(o.overrides);
	return status;
}
