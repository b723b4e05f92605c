/* SPDX-License-Identifier: Apache-2.0
 * ostler status */
#include "command/command.h"
#include "command/running.h"

int cmd_status(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return running_command(&(struct running_command){
		.word = "status", .by_signal = "it runs, and cannot show its processes" });
}
