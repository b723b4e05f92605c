/* SPDX-License-Identifier: Apache-2.0
 * ostler status */
#include "command/command.h"
#include "command/instance.h"
#include "process/master.h"

int cmd_status(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct config *c = instance_read(NULL);
	if (!c)
		return 1;
	int status = master_command(config_main_view(c), "status");
	config_destroy(&c);
	return status;
}
