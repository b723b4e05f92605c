/* SPDX-License-Identifier: Apache-2.0
 * The one executable: commands are dispatched on argv[0] and argv[1], processes of a running system on --role. */
#include <stdio.h>

#include "config.h"

int main(int argc, char **argv)
{
	(void)argc;
	printf("%s %s\n", argv[0], PACKAGE_VERSION);
	return 0;
}
