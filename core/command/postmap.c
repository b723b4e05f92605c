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
#include "command/map_input.h"
#include "command/map_message.h"
#include "command/map_query.h"
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
	"postmap",
	"bd:fFhimnNopq:rsuUvw",
	"usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
	ENTRY_MAP,
	"\t",
};
static const struct flavour postalias = {
	"postalias",
	"d:finNopq:rsuvw",
	"usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
	ENTRY_ALIAS,
	":\t",
};

struct request {
	const struct flavour *flavour;
	const struct cfg_view *view;
	struct map_job job; /* what all tables have in common */
	const char *query, *remove;
	bool list, no_utf8;
	unsigned message; /* MAP_HEADERS … */
	struct arena *arena;
};

/* ---- options ----------------------------------------------------------------------------------------------------- */

/* Only one of these may be there, and once. */
static void choose(const struct request *r)
{
	if (r->query || r->remove || r->list)
		log_fatal("specify only one of -s -q or -d");
}

/* The options that are no more than a mark. */
static void take_flag(struct request *r, int option)
{
	static const struct {
		char option;
		unsigned build, message;
	} flags[] = {
		{ 'r', OST_BUILD_REPLACE, 0 }, { 'w', OST_BUILD_IGNORE, 0 }, { 'N', OST_BUILD_NULL, 0 },
		{ 'n', OST_BUILD_NO_NULL, 0 }, { 'h', 0, MAP_HEADERS },      { 'b', 0, MAP_BODY },
		{ 'm', 0, MAP_MIME },
	};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		if (flags[i].option == option) {
			r->job.build_flags |= flags[i].build;
			r->message |= flags[i].message;
		}
	}
	r->job.fold = r->job.fold && option != 'f';
	r->job.incremental |= option == 'i';
	r->job.keep_root |= option == 'o';
	r->job.inherit_mode = r->job.inherit_mode && option != 'p';
	r->job.files |= option == 'F';
	r->no_utf8 |= option == 'u';
}

static void take_option(struct request *r, int option)
{
	switch (option) {
	case 'd':
		choose(r);
		r->remove = optarg;
		break;
	case 'q':
		choose(r);
		r->query = optarg;
		break;
	case 's':
		if (!r->list)
			choose(r);
		r->list = true;
		break;
	case 'v':
		log_set_verbose(true);
		break;
	case '?':
		log_fatal("%s", r->flavour->usage);
	default:
		take_flag(r, option);
	}
}

static void read_options(struct request *r, int argc, char **argv)
{
	char name[16];
	snprintf(name, sizeof name, "%s", r->flavour->name);
	argv[0] = name; /* for getopt's own complaints */
	optind = 1;
	for (int c = getopt(argc, argv, r->flavour->options); c != -1;
	     c = getopt(argc, argv, r->flavour->options))
		take_option(r, c);
	argv[0] = NULL;
	if (optind == argc)
		log_fatal("%s", r->flavour->usage);
	if (r->message && !(r->query && strcmp(r->query, "-") == 0))
		log_fatal("specify -b -h or -m only with \"-q -\"");
	if (r->message == MAP_MIME) {
		log_warning("ignoring -m option without -b or -h");
		r->message = 0;
	}
	if ((r->job.build_flags & (OST_BUILD_NULL | OST_BUILD_NO_NULL)) ==
	    (OST_BUILD_NULL | OST_BUILD_NO_NULL))
		r->job.build_flags &= ~OST_BUILD_NO_NULL;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* Makes or changes one index. */
static enum map_built change_here(struct request *r, const char *name)
{
	struct ost_why why = { "" };
	if (strncmp(name, "proxy:", 6) == 0)
		log_fatal("can't create maps via the proxy service");
	char *full = map_full_name(r->view, name), *colon = strchr(full, ':');
	struct map_job job = r->job;
	*colon = '\0';
	job.type = full;
	job.path = colon + 1;
	enum map_built result = map_build(&job, &why);
	if (result == MAP_FAILED)
		log_fatal("%s", why.text);
	free(full);
	return result;
}

/* The same in a child where there are several and this is root, who may become each source's owner in turn.
 */
static enum map_built change(struct request *r, const char *name, bool several)
{
	if (!several || !command_is_root())
		return change_here(r, name);
	enum { RESULTS = 10 }; /* exit statuses that stand for a result; log_fatal() has 1 */
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(RESULTS + (int)change_here(r, name));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		log_fatal("fork: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) < RESULTS)
		exit(EXIT_FAILURE); /* the child has said why */
	return (enum map_built)(WEXITSTATUS(status) - RESULTS);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys to remove, in order: the one of the command line, or those on standard input. */
static const char **read_keys(struct request *r, size_t *count)
{
	struct map_input in = { 0 };
	size_t n = 0, room = 0, len;
	const char **keys = NULL, *key = r->remove;
	bool lines = strcmp(key, "-") == 0;
	for (key = lines ? map_input_line(&in, &len) : key; key;
	     key = lines ? map_input_line(&in, &len) : NULL) {
		if (n == room) {
			room = room ? room * 2 : 16;
			keys = mem_realloc(keys, room * sizeof *keys);
		}
		keys[n++] = arena_strdup(r->arena, r->job.fold ? table_fold(r->arena, key) : key);
	}
	map_input_free(&in);
	if (n)
		qsort(keys, n, sizeof *keys, compare_keys);
	*count = n;
	return keys;
}

static int remove_keys(struct request *r, char **names, size_t n)
{
	bool any = false;
	const char **keys = read_keys(r, &r->job.removals);
	r->job.remove = keys;
	for (size_t i = 0; keys && i < n; i++)
		any |= change(r, names[i], n > 1) == MAP_BUILT;
	free(keys);
	return any ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int make(struct request *r, char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		change(r, names[i], n > 1);
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
	struct request r = { .flavour = flavour,
			     .arena = arena_new(),
			     .job = { .syntax = flavour->syntax, .fold = true, .inherit_mode = true } };
	const struct log_to to = { .syslog_name = "ostler",
				   .role = flavour->name,
				   .command = flavour->name,
				   .facility = LOG_MAIL,
				   .also_stderr = true,
				   .fd = -1 };
	log_open(&to);
	read_options(&r, argc, argv);
	struct config *config = start(&r);
	char **names = argv + optind;
	size_t n = (size_t)(argc - optind);
	struct map_query query = { .view = r.view,
				   .names = names,
				   .count = n,
				   .separator = flavour->separator,
				   .fold = r.job.fold,
				   .utf8 = r.job.utf8,
				   .files = r.job.files,
				   .message = r.message,
				   .arena = r.arena };
	int status = r.query    ? map_query_key(&query, r.query)
		     : r.list   ? map_query_list(&query)
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
