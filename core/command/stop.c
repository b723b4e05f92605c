/* SPDX-License-Identifier: Apache-2.0
 * ostler stop */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "command/command.h"
#include "command/instance.h"
#include "process/lock.h"
#include "process/master.h"

enum { LOOK_MS = 50 };

/* Is there a process of this number that has not ended? */
static bool is_alive(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	bool found = f && fgets(text, sizeof text, f);
	if (f)
		fclose(f);
	const char *behind = strrchr(text, ')');
	return found && !(behind && behind[1] == ' ' && behind[2] == 'Z'); /* one that nobody waits for has ended */
}

int cmd_stop(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct config *c = instance_read(NULL);
	if (!c)
		return 1;
	const struct cfg_view *view = config_main_view(c);
	pid_t pid = lock_holder(view);
	int status = 1;
	if (pid == 0)
		fprintf(stderr, "ostler: the mail system is not running\n");
	else if (lock_is_postfix(pid))
		fprintf(stderr, "ostler: the Postfix mail system is running (process id %d), not Ostler\n",
			(int)pid);
	else
		status = master_command(view, "stop");
	while (status == 0 && is_alive(pid))
		poll(NULL, 0, LOOK_MS);
	config_destroy(&c);
	return status;
}
