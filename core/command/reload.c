/* SPDX-License-Identifier: Apache-2.0
 * ostler reload */
#include "command/command.h"
#include "command/instance.h"
#include "process/master.h"

int cmd_reload(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct config *c = instance_read(NULL);
	if (!c)
		return 1;
	int status = master_command(config_main_view(c), "reload");
	config_destroy(&c);
	return status;
}
