/* SPDX-License-Identifier: Apache-2.0
 * ostler reload */
#include <signal.h>

#include "command/command.h"
#include "command/running.h"

int cmd_reload(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return running_command(
		&(struct running_command){ .word = "reload",
					   .signal = SIGHUP,
					   .by_signal = "it was told to reload by a signal, its log says how "
							"that went; this version runs after a "
							"stop and a start" });
}
