/* SPDX-License-Identifier: Apache-2.0
 * postconf: shows and edits main.cf and master.cf, lists what there is. Output and messages have Postfix's
 * form. */
#include "command/postconf.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "command/command.h"

enum { ORIGIN = 256 }; /* an option without a letter */

static const char usage[] =
	"usage: postconf [-a (server SASL types)] [-A (client SASL types)] [-b (bounce templates)] [-c "
	"config_dir] "
	"[-C param_class] [-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F "
	"(master.cf fields)] "
	"[-h (no names)] [-H (no values)] [-j|--json (JSON)] [-l (lock types)] [-m (map types)] [-M "
	"(master.cf)] "
	"[-n (non-default parameters)] [-o name=value (override parameter value)] [--origin (file and line)] "
	"[-p (main.cf, "
	"default)] [-P (master.cf parameters)] [-q (no warnings)] [-t (bounce templates)] [-T "
	"compile-version|run-version|public-key-algorithms] [-v (verbose)] [-x (expand parameter values)] "
	"[-X (exclude)] [-# "
	"(comment-out)] [name...]";

/* ---- messages ---- */

static void say(const struct postconf *, const char *grade, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static void say(const struct postconf *p, const char *grade, const char *fmt, va_list ap)
{
	struct buf text = BUF_INIT;
	buf_vprintf(&text, fmt, ap);
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			text.data[i] = '?';
	fflush(p->out);
	fprintf(stderr, "%s: %s: %s\n", p->self, grade, buf_str(&text));
	buf_free(&text);
}

void postconf_warn(const struct postconf *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!p->quiet)
		say(p, "warning", fmt, ap);
	va_end(ap);
}

int postconf_fatal(const struct postconf *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(p, "fatal", fmt, ap);
	va_end(ap);
	return EXIT_FAILURE;
}

const char *postconf_place(const struct postconf *p, const char *where)
{
	const char *line = strstr(where, ": line ");
	return line ? arena_printf(p->arena, "%s/%.*s, line %s", p->folder, (int)(line - where), where,
				   line + 7)
		    : arena_printf(p->arena, "%s/%s", p->folder, where);
}

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
		if (fold && !first && *column + n + 1 > MASTER_WIDTH) {
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

void postconf_print(const struct postconf *p, const char *name, const char *value, const char *where)
{
	struct buf line = BUF_INIT;
	size_t column = 0;
	bool first = p->no_names;
	if (p->origin)
		buf_printf(&line, "%s: ", where);
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

/* ---- reading the configuration ---- */

/* What main.cf's grammar is like; false: there is no going on. */
static bool tell_grammar(const struct postconf *p)
{
	const struct finding *list;
	struct findings *findings = findings_new();
	bool ok = true;
	config_grammar(p->config, findings);
	size_t n = findings_count(findings, &list);
	for (size_t i = 0; i < n && ok; i++) {
		const char *line = strstr(list[i].text, ": line ");
		const char *rest = line ? strstr(line + 1, ": ") : NULL;
		const char *where =
			rest ? arena_strndup(p->arena, list[i].text, (size_t)(rest - list[i].text)) : "";
		rest = rest ? rest + 2 : list[i].text;
		if (p->origin)
			where = arena_strdup(p->arena, where);
		else if (!strncmp(rest, "logical line ", 13)) /* here Postfix names no line */
			where = arena_printf(p->arena, "%s/%.*s", p->folder, (int)(line - list[i].text),
					     list[i].text);
		else
			where = postconf_place(p, where);
		ok = list[i].grade != FINDING_FATAL;
		if (ok)
			postconf_warn(p, "%s: %s", where, rest);
		else
			postconf_fatal(p, "%s: %s", where, rest);
	}
	findings_destroy(&findings);
	return ok;
}

/* Where a note is about, in front of its text. */
static const char *note_place(const struct postconf *p, const struct config_note *n)
{
	if (!*n->file)
		return "";
	if (p->origin)
		return arena_printf(p->arena, "%s: ", n->where);
	if (strchr(n->file, ':'))
		return arena_printf(p->arena, "%s: ", n->file);
	return arena_printf(p->arena, "%s/%s: ", p->folder, n->file);
}

/* Names that are undefined or unused; false: a value cannot be expanded. `unused` chooses which. */
static bool tell_notes(const struct postconf *p, bool unused)
{
	const struct config_note *list;
	size_t n = config_notes(p->config, p->arena, &list);
	for (size_t i = 0; i < n; i++) {
		const struct config_note *note = &list[i];
		if (note->broken && !unused) {
			postconf_fatal(p, "%s: %s", postconf_place(p, note->where), note->text);
			return false;
		}
		if (note->broken || note->unused != unused ||
		    (unused && p->mode != 'p' && !strcmp(note->file, "main.cf")))
			continue;
		postconf_warn(p, "%s%s", note_place(p, note), note->text);
	}
	return true;
}

static bool check_overrides(const struct postconf *p)
{
	for (const char *const *o = p->overrides; o && *o; o++)
		if (!strchr(*o, '='))
			return postconf_fatal(
				       p, "invalid parameter override: %s: missing '=' after attribute name",
				       *o),
			       false;
	return true;
}

/* Reads both files. False: said why not. */
static bool read_config(struct postconf *p)
{
	struct findings *findings = findings_new();
	struct ost_why why = { "" };
	p->config = p->defaults ? config_read_defaults(p->folder, findings)
				: config_read(p->folder, p->overrides, findings);
	if (!p->config) {
		const struct finding *list;
		size_t n = findings_count(findings, &list);
		const char *reason = n ? strrchr(list[n - 1].text, ':') : NULL;
		why_set(&why, "%s", reason ? reason + 2 : "unknown");
		postconf_fatal(p, "open %s/main.cf: %s", p->folder, why.text);
	}
	findings_destroy(&findings);
	return p->config && (p->defaults || (tell_grammar(p) && check_overrides(p))) &&
	       postconf_read_master(p);
}

/* The modes that show the configuration. */
static int show(struct postconf *p, char **names)
{
	if (!read_config(p) || (!p->defaults && !tell_notes(p, false)))
		return EXIT_FAILURE;
	int status = p->mode == 'p' ? postconf_parameters(p, names) : postconf_services(p, names);
	if (!p->defaults && status == EXIT_SUCCESS)
		tell_notes(p, true);
	return fflush(p->out) == 0 ? status : EXIT_FAILURE;
}

/* ---- options ---- */

static const char modes[] = "aAbFlmMpPtT";
static const char edits[] = "eX#";

/* What goes with each mode, beside -c, -o, -q, -v and -j. */
static const struct mode {
	char letter;
	const char *with;
} mode_options[] = {
	{ 'F', "efhHx" },
	{ 'M', "eX#fx" },
	{ 'P', "eXfhHx" },
	{ 'p', "deX#fhHnx" },
};

/* Letters in the order in which Postfix names them: of two cases of a letter the small one first. */
static bool comes_first(char a, char b)
{
	int x = tolower((unsigned char)a), y = tolower((unsigned char)b);
	bool letters = isalpha((unsigned char)a) && isalpha((unsigned char)b);
	return letters ? (x != y ? x < y : islower((unsigned char)a) != 0) : isalpha((unsigned char)a) != 0;
}

static int refuse_pair(const struct postconf *p, char a, char b)
{
	bool order = comes_first(a, b);
	const char *word = (a == 'b' && b == 't') || (a == 't' && b == 'b') ? "and " : "";
	return postconf_fatal(p, "specify one of -%c %s-%c", order ? a : b, word, order ? b : a);
}

/* May two options of main.cf's mode stand together? */
static bool clash(char a, char b)
{
	static const char with_edits[] = "deX#fhHnx";
	return (strchr(edits, a) && strchr(with_edits, b)) || (strchr(edits, b) && strchr(with_edits, a)) ||
	       (a == 'd' && b == 'n') || (a == 'n' && b == 'd') || (a == 'h' && b == 'H') ||
	       (a == 'H' && b == 'h');
}

/* Are the options that were given, each letter once, ones that go together? */
static bool check_options(struct postconf *p, const char *given)
{
	const char *with = "";
	for (const char *a = given; *a; a++)
		for (const char *b = a + 1; *b; b++)
			if (strchr(modes, *a) && strchr(modes, *b))
				return refuse_pair(p, *a, *b), false;
	for (size_t i = 0; i < sizeof mode_options / sizeof *mode_options; i++)
		if (mode_options[i].letter == p->mode)
			with = mode_options[i].with;
	for (const char *a = given; *a; a++)
		if (strchr("deX#fhHnx", *a) && !strchr(with, *a))
			return postconf_fatal(p, "with option -%c, do not specify -%c", p->mode, *a), false;
	for (const char *a = given; *a; a++)
		for (const char *b = a + 1; *b; b++)
			if (clash(*a, *b))
				return refuse_pair(p, *a, *b), false;
	return true;
}

/* -C */
static bool take_classes(struct postconf *p, const char *text)
{
	static const struct {
		const char *name;
		unsigned bits;
	} classes[] = { { "builtin", NAMES_BUILTIN },
			{ "service", NAMES_SERVICE },
			{ "user", NAMES_USER },
			{ "all", NAMES_ALL } };
	for (const char **word = cfg_split(p->arena, text); *word; word++) {
		size_t i = 0, n = sizeof classes / sizeof *classes;
		while (i < n && strcmp(classes[i].name, *word) != 0)
			i++;
		if (i == n)
			return postconf_fatal(p, "unknown -C option value \"%s\" in \"%s\"", *word, text),
			       false;
		p->classes |= classes[i].bits;
	}
	return true;
}

/* Options that are a flag of their own. */
static bool *flag_of(struct postconf *p, int letter)
{
	const struct {
		int letter;
		bool *flag;
	} flags[] = { { 'd', &p->defaults }, { 'n', &p->set_only }, { 'x', &p->expanded },
		      { 'f', &p->fold },     { 'h', &p->no_names }, { 'H', &p->no_values },
		      { 'q', &p->quiet },    { 'j', &p->json },     { ORIGIN, &p->origin } };
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (flags[i].letter == letter)
			return flags[i].flag;
	return NULL;
}

/* -o */
static void take_override(struct postconf *p, const char *text)
{
	size_t n = 0;
	while (p->overrides && p->overrides[n])
		n++;
	const char **more = arena_alloc(p->arena, (n + 2) * sizeof *more);
	for (size_t i = 0; i < n; i++)
		more[i] = p->overrides[i];
	more[n] = text;
	p->overrides = more;
}

/* Takes one option. False: said what is wrong. */
static bool take_option(struct postconf *p, int letter, const char *argument)
{
	bool *flag = flag_of(p, letter);
	if (flag) {
		*flag = true;
		return true;
	}
	switch (letter) {
	case 'c':
		p->folder = argument;
		return true;
	case 'C':
		return take_classes(p, argument);
	case 'o':
		take_override(p, argument);
		return true;
	case 'T':
		p->tls_mode = argument;
		break;
	case 'v':
		return true;
	case '?':
		return postconf_fatal(p, "%s", usage), false;
	default:
		break;
	}
	if (strchr(edits, letter))
		p->edit = (char)letter;
	else
		p->mode = (char)letter;
	return true;
}

static bool take_options(struct postconf *p, int argc, char **argv)
{
	static const struct option words[] = { { "json", no_argument, NULL, 'j' },
					       { "origin", no_argument, NULL, ORIGIN },
					       { NULL, 0, NULL, 0 } };
	char given[64] = "";
	size_t n = 0;
	int letter;
	optind = 1;
	while ((letter = getopt_long(argc, argv, "aAbc:C:deEfFhHjlmMno:pPqtT:vxX#", words, NULL)) != -1) {
		if (!take_option(p, letter, optarg))
			return false;
		if (letter != ORIGIN && !strchr(given, letter) && n + 1 < sizeof given)
			given[n++] = (char)letter;
	}
	return check_options(p, given);
}

/* -e is not needed where a request has a value. */
static bool wants_edit(const struct postconf *p, char **names)
{
	return strchr("pMFP", p->mode) && *names && strchr(*names, '=');
}

static int run(struct postconf *p, char **names, int count)
{
	if (p->edit && p->edit != 'e' && wants_edit(p, names) && p->mode == 'p')
		return refuse_pair(p, 'e', p->edit);
	if (!p->edit && wants_edit(p, names))
		p->edit = 'e';
	if (p->edit)
		return p->mode == 'p' ? postconf_edit(p, names, count)
				      : postconf_edit_master(p, names, count);
	if (strchr("lmaAT", p->mode))
		return postconf_list(p);
	if (strchr("tb", p->mode))
		return postconf_bounce(p, names);
	return show(p, names);
}

int cmd_postconf(int argc, char **argv)
{
	struct postconf p = { .self = argv[0],
			      .folder = command_config_dir(),
			      .out = stdout,
			      .mode = 'p',
			      .arena = arena_new() };
	int status = EXIT_FAILURE;
	if (take_options(&p, argc, argv)) {
		if (!p.classes)
			p.classes = NAMES_ALL;
		status = run(&p, argv + optind, argc - optind);
	}
	fflush(p.out);
	config_destroy(&p.config);
	arena_destroy(&p.arena);
	return status;
}
