/* SPDX-License-Identifier: Apache-2.0
 * postmap and postalias: make and query lookup tables. Options, messages and exit codes are Postfix's. */
#include "command/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "command/map_build.h"
#include "command/map_module.h"
#include "command/unprivileged.h"
#include "config/config.h"
#include "module/module.h"
#include "table/handle.h"

/* What tells the two commands apart. */
struct flavour {
	const char *name, *options, *usage;
	enum entry_syntax syntax;
	const char *separator; /* between key and value when entries are shown */
};

static const struct flavour postmap = {
	"postmap", "bd:fFhimnNopq:rsuUvw",
	"usage: postmap [-fimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...", ENTRY_MAP, "\t",
};
static const struct flavour postalias = {
	"postalias", "d:finNopq:rsuvw",
	"usage: postalias [-finNoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...", ENTRY_ALIAS, ":\t",
};

struct request {
	const struct flavour *flavour;
	const struct cfg_view *view;
	struct map_job job; /* what all tables have in common */
	const char *query, *remove;
	bool list, no_utf8;
	struct arena *arena;
};

/* ---- options ----------------------------------------------------------------------------------------------------- */

static void read_options(struct request *r, int argc, char **argv)
{
	int c;
	optind = 1;
	opterr = 0;
	while ((c = getopt(argc, argv, r->flavour->options)) != -1) {
		switch (c) {
		case 'd':
			r->remove = optarg;
			break;
		case 'q':
			r->query = optarg;
			break;
		case 's':
			r->list = true;
			break;
		case 'f':
			r->job.fold = false;
			break;
		case 'i':
			r->job.incremental = true;
			break;
		case 'o':
			r->job.keep_root = true;
			break;
		case 'p':
			r->job.inherit_mode = false;
			break;
		case 'r':
			r->job.build_flags = OST_BUILD_REPLACE;
			break;
		case 'w':
			r->job.build_flags = OST_BUILD_IGNORE;
			break;
		case 'u':
			r->no_utf8 = true;
			break;
		case 'v':
			log_set_verbose(true);
			break;
		case 'n': /* keys never end in a null character here: both are accepted */
		case 'N':
		case 'U': /* only counts with -b and -h */
			break;
		case '?':
			log_fatal("%s", r->flavour->usage);
		default:
			log_fatal("option -%c is not supported", c);
		}
	}
	if ((r->remove != NULL) + (r->query != NULL) + r->list > 1)
		log_fatal("specify only one of -s or -q or -d");
	if (optind == argc)
		log_fatal("%s", r->flavour->usage);
}

/* "hash:/etc/x" as it is; a name without a type gets the default one. */
static char *full_name(const struct request *r, const char *text)
{
	return strchr(text, ':') ? mem_strdup(text)
				 : mem_printf("%s:%s", cfg_str(r->view, P_default_database_type), text);
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* Opens the tables, then becomes an ordinary user: files are opened while root still may. */
static struct table **open_tables(struct request *r, char **names, size_t n)
{
	struct ost_why why = { "" };
	struct table **tables = mem_zalloc((n + 1) * sizeof(struct table *));
	for (size_t i = 0; command_is_root() && i < n; i++) {
		const char *colon = strchr(names[i], ':');
		map_module_keep_open(colon ? colon + 1 : names[i]);
	}
	if (!command_become_mail_owner(r->view, &why))
		log_fatal("%s", why.text);
	for (size_t i = 0; i < n; i++) {
		char *name = full_name(r, names[i]);
		tables[i] = table_open(r->view, name, &why);
		if (why.text[0])
			log_fatal("%s", why.text);
		free(name);
	}
	return tables;
}

/* The first table that has the key shows it. shown: the key as it stood on standard input, NULL: it did not. */
static bool query_one(struct request *r, struct table **tables, const char *key, const char *shown)
{
	for (size_t i = 0; tables[i]; i++) {
		struct lookup found;
		arena_reset(r->arena);
		bool fold = r->job.fold && !(table_flags(tables[i]) & OST_TABLE_WHOLE_KEYS);
		const char *asked = fold ? table_fold(r->arena, key) : key;
		enum ost_found result = table_lookup(tables[i], r->arena, asked, strlen(asked), &found);
		if (result == OST_NOTFOUND)
			continue;
		if (result != OST_FOUND)
			log_fatal("table %s: query error: %s", found.table, found.why.text);
		if (found.len == 0) {
			log_warning("table %s: key %s: empty string result is not allowed", found.table, key);
			log_warning("table %s should return NO RESULT in case of NOT FOUND", found.table);
		}
		if (shown)
			printf("%s%s%s\n", shown, r->flavour->separator, found.value);
		else
			printf("%s\n", found.value);
		return true;
	}
	return false;
}

/* Keys from standard input, one a line. */
static bool query_lines(struct request *r, struct table **tables)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool any = false;
	while ((n = getline(&line, &room, stdin)) >= 0) {
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		char *key = mem_strdup(line);
		if (r->flavour->syntax == ENTRY_MAP)
			entries_unquote_key(key);
		any |= query_one(r, tables, key, line);
		free(key);
		fflush(stdout);
	}
	free(line);
	return any;
}

static int query(struct request *r, char **names, size_t n)
{
	struct table **tables = open_tables(r, names, n);
	bool found = strcmp(r->query, "-") == 0 ? query_lines(r, tables) : query_one(r, tables, r->query, NULL);
	free(tables);
	return found ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool show_entry(void *ctx, const char *key, size_t klen, const char *value, size_t vlen)
{
	const struct request *r = ctx;
	struct buf line = BUF_INIT;
	if (r->flavour->syntax == ENTRY_MAP)
		entries_quote_key(&line, key, klen);
	else
		buf_add(&line, key, klen);
	buf_puts(&line, r->flavour->separator);
	buf_add(&line, value, vlen);
	buf_putc(&line, '\n');
	fwrite(line.data, 1, line.len, stdout);
	buf_free(&line);
	return true;
}

static int list(struct request *r, char **names, size_t n)
{
	struct table **tables = open_tables(r, names, n);
	for (size_t i = 0; i < n; i++) {
		struct ost_why why;
		if (!table_walk(tables[i], r->arena, show_entry, r, &why))
			log_fatal("%s", why.text);
	}
	free(tables);
	return EXIT_SUCCESS;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* Makes or changes one index. */
static enum map_built change_here(struct request *r, const char *name, const char *remove)
{
	struct ost_why why = { "" };
	char *full = full_name(r, name), *colon = strchr(full, ':');
	struct map_job job = r->job;
	*colon = '\0';
	job.type = full;
	job.path = colon + 1;
	job.remove = remove ? (job.fold ? table_fold(r->arena, remove) : remove) : NULL;
	enum map_built result = map_build(&job, &why);
	if (result == MAP_FAILED)
		log_fatal("%s", why.text);
	free(full);
	return result;
}

/* The same in a child where there are several and this is root, who may become each source's owner in turn. */
static enum map_built change(struct request *r, const char *name, const char *remove, bool several)
{
	if (!several || !command_is_root())
		return change_here(r, name, remove);
	enum { RESULTS = 10 }; /* exit statuses that stand for a result; log_fatal() has 1 */
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(RESULTS + (int)change_here(r, name, remove));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		log_fatal("fork: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) < RESULTS)
		exit(EXIT_FAILURE); /* the child has said why */
	return (enum map_built)(WEXITSTATUS(status) - RESULTS);
}

static int remove_keys(struct request *r, char **names, size_t n)
{
	bool any = false, lines = strcmp(r->remove, "-") == 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	for (size_t i = 0; !lines && i < n; i++)
		any |= change(r, names[i], r->remove, n > 1) == MAP_BUILT;
	while (lines && (len = getline(&line, &room, stdin)) >= 0) {
		if (len > 0 && line[len - 1] == '\n')
			line[len - 1] = '\0';
		for (size_t i = 0; i < n; i++)
			any |= change(r, names[i], line, true) == MAP_BUILT;
	}
	free(line);
	return any ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int make(struct request *r, char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		change(r, names[i], NULL, n > 1);
	return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static struct config *start(struct request *r)
{
	struct findings *findings = findings_new();
	struct config *config = config_read(command_config_dir(), NULL, findings);
	const struct finding *found;
	size_t n = findings_count(findings, &found);
	for (size_t i = 0; i < n && !config; i++)
		log_error("%s", found[i].text);
	findings_destroy(&findings);
	if (!config)
		log_fatal("the configuration in %s cannot be read", command_config_dir());
	r->view = r->job.view = config_main_view(config);
	const char *utf8 = cfg_lookup(r->view, "smtputf8_enable");
	r->job.utf8 = !r->no_utf8 && !(utf8 && strcmp(utf8, "no") == 0);
	mod_init(config);
	if (command_is_root())
		mod_trust_user(0);
	table_init();
	return config;
}

static int run(const struct flavour *flavour, int argc, char **argv)
{
	struct request r = { .flavour = flavour, .arena = arena_new(),
			     .job = { .syntax = flavour->syntax, .fold = true, .inherit_mode = true } };
	const struct log_to to = { .syslog_name = "ostler", .role = flavour->name, .command = flavour->name,
				   .facility = LOG_MAIL, .also_stderr = true, .fd = -1 };
	log_open(&to);
	read_options(&r, argc, argv);
	struct config *config = start(&r);
	char **names = argv + optind;
	size_t n = (size_t)(argc - optind);
	int status = r.query ? query(&r, names, n)
		     : r.list ? list(&r, names, n)
		     : r.remove ? remove_keys(&r, names, n)
				: make(&r, names, n);
	if (fflush(stdout) != 0)
		log_fatal("write standard output: %s", strerror(errno));
	table_close_all();
	mod_shutdown();
	config_destroy(&config);
	arena_destroy(&r.arena);
	return status;
}

int cmd_postmap(int argc, char **argv)
{
	return run(&postmap, argc, argv);
}

int cmd_postalias(int argc, char **argv)
{
	return run(&postalias, argc, argv);
}
