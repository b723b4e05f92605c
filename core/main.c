/* SPDX-License-Identifier: Apache-2.0
 * The one executable: a command by the name it is called by or by its first argument, a process of a running
 * system when the master starts it with --worker or --guard. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "command/command.h"
#include "process/guardian.h"
#include "process/roles.h"

static const struct role *const roles[] = {
	&role_agent,
	&role_bounce,
	&role_broker,
	&role_check,
	&role_lookup,
	&role_pickup,
	&role_proxymap,
	&role_qmgr,
	&role_resolve,
	&role_smtpd,
	&role_user,
};

/* Names of links to the executable. */
static const struct command links[] = {
	{ "mailq", cmd_mailq, "list the queue" },
	{ "newaliases", cmd_newaliases, "make the indexes of the alias files" },
	{ "postalias", cmd_postalias, "make and query alias files' indexes" },
	{ "postcat", cmd_postcat, "show a message of the queue" },
	{ "postconf", cmd_postconf, "show and edit the configuration" },
	{ "postfix", cmd_postfix, "start, stop, reload, status, check" },
	{ "postmap", cmd_postmap, "make and query lookup tables" },
	{ "postqueue", cmd_postqueue, "list the queue, try its mail again" },
	{ "postsuper", cmd_postsuper, "delete, hold, release and requeue mail" },
	{ "sendmail", cmd_sendmail, "hand over a message" },
};

/* ostler NAME */
static const struct command words[] = {
	{ "start", cmd_start, "start the mail system" },
	{ "start-fg", cmd_start_fg, "the same, staying in the foreground" },
	{ "stop", cmd_stop, "stop it, and wait until it has stopped" },
	{ "reload", cmd_reload, "let a running system take over a changed configuration" },
	{ "status", cmd_status, "show its processes" },
	{ "check", cmd_check, "look for what is wrong with the configuration" },
	{ "explain", cmd_explain, "say what a parameter is, and where its value comes from" },
	{ "modules", cmd_modules, "show the modules that are declared, and whether they can be loaded" },
	{ "version", cmd_version, "show the version" },
};

static const char *config_dir = OST_CONFDIR; /* set once, at the start */

const char *command_config_dir(void)
{
	return config_dir;
}

static const struct command *find(const struct command *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	}
	return NULL;
}
#define FIND(list, name) find((list), sizeof(list) / sizeof *(list), (name))

/* The last part of the path that the program was called by. */
static const char *called_as(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	return slash ? slash + 1 : argv0 ? argv0 : "ostler";
}

/* Takes the first "-c DIR" out of argv. */
static int take_config_dir(int argc, char **argv)
{
	const char *set = getenv("MAIL_CONFIG");
	if (set && *set)
		config_dir = set;
	for (int i = 1; i + 1 < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "-c") != 0)
			continue;
		config_dir = argv[i + 1];
		memmove(&argv[i], &argv[i + 2], (size_t)(argc - i - 1) * sizeof *argv);
		return argc - 2;
	}
	return argc;
}

static int usage(void)
{
	fprintf(stderr, "usage: ostler [-c config_dir] command\n\n");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		fprintf(stderr, "  %-10s %s\n", words[i].name, words[i].help);
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
		fprintf(stderr, "  %-10s %s\n", links[i].name, links[i].help);
	return EX_USAGE;
}

static int run_worker(int argc, char **argv)
{
	const struct role *present[sizeof roles / sizeof roles[0] + 1];
	size_t n = 0;
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		if (roles[i])
			present[n++] = roles[i];
	}
	present[n] = NULL;
	return worker_main(present, argc, argv);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		return run_worker(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--guard") == 0)
		return guardian_main(argc, argv);
	const struct command *c = FIND(links, called_as(argv[0]));
	argc = take_config_dir(argc, argv);
	if (c)
		return c->run(argc, argv);
	if (argc < 2)
		return usage();
	c = FIND(words, argv[1]);
	if (!c)
		c = FIND(links, argv[1]);
	return c ? c->run(argc - 1, argv + 1) : usage();
}
