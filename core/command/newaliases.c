/* SPDX-License-Identifier: Apache-2.0
 * newaliases: postalias for all that $alias_database names. */
#include "command/command.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"

int cmd_newaliases(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct findings *findings = findings_new();
	struct config *config = config_read(command_config_dir(), NULL, findings);
	findings_destroy(&findings);
	if (!config) {
		fprintf(stderr, "newaliases: fatal: the configuration in %s cannot be read\n", command_config_dir());
		return 1;
	}
	struct arena *a = arena_new();
	const char **names = cfg_split(a, cfg_str(config_main_view(config), P_alias_database));
	size_t n = 0;
	while (names[n])
		n++;
	char **args = arena_alloc(a, (n + 2) * sizeof *args);
	args[0] = arena_strdup(a, "postalias");
	for (size_t i = 0; i < n; i++)
		args[i + 1] = arena_strdup(a, names[i]);
	config_destroy(&config);
	int status = n > 0 ? cmd_postalias((int)n + 1, args) : 0;
	arena_destroy(&a);
	return status;
}
