/* SPDX-License-Identifier: Apache-2.0
 * ostler stop */
#include <signal.h>
#include <stddef.h>

#include "command/command.h"
#include "command/running.h"

int cmd_stop(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return running_command(&(struct running_command){ .word = "stop",
							  .signal = SIGTERM,
							  .to_the_end = true,
							  .by_signal = "it was told to stop by a signal" });
}
