/* SPDX-License-Identifier: Apache-2.0
 * ostler version */
#include <stdio.h>

#include "command/command.h"
#include "config.h"
#include "ipc/protocol.h"
#include "ostler/module.h"

int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("Ostler %s (protocol %u, module interface %u.%u)\n", PACKAGE_VERSION, IPC_PROTOCOL,
	       OST_ABI_MAJOR, OST_ABI_MINOR);
	return 0;
}
