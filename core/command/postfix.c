/* SPDX-License-Identifier: Apache-2.0
 * postfix start, stop, reload, status, check, start-fg: the same functions under the name that scripts know.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "command/command.h"

static const struct command words[] = {
	{ "start", cmd_start, NULL }, { "start-fg", cmd_start_fg, NULL }, { "stop", cmd_stop, NULL },
	{ "abort", cmd_stop, NULL },  { "reload", cmd_reload, NULL },     { "status", cmd_status, NULL },
	{ "check", cmd_check, NULL },
};

int cmd_postfix(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(words[i].name, argv[1]) == 0)
			return words[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "usage: postfix [-c config_dir] start|start-fg|stop|reload|status|check\n");
	return EX_USAGE;
}
