/* SPDX-License-Identifier: Apache-2.0 */
#include "command/running.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

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
	return found &&
	       !(behind && behind[1] == ' ' && behind[2] == 'Z'); /* one that nobody waits for has ended */
}

/* The lock says that this process is the one; it is there whatever becomes of the master. */
static int send_signal(const struct running_command *c, pid_t pid, enum master_answer answer,
		       const struct ost_why *why)
{
	if (pid <= 0 || (answer == MASTER_AWAY && !c->signal)) {
		fprintf(stderr, "ostler: the mail system is not to be reached (%s)\n", why->text);
		return 1;
	}
	if (c->signal && kill(pid, c->signal) < 0) {
		fprintf(stderr, "ostler: the mail system is not to be reached: process id %d: %s)\n",
			(int)pid, strerror(errno));
		return 1;
	}
	if (answer == MASTER_FOREIGN)
		fprintf(stderr, "ostler: what runs, process id %d, is of another version: %s\n", (int)pid,
			c->by_signal);
	return answer == MASTER_FOREIGN ? c->foreign : 0;
}

static int do_command(const struct running_command *c, const struct cfg_view *view)
{
	struct ost_why why = { "no answer" };
	pid_t pid = lock_holder(view);
	if (pid == 0) {
		fprintf(stderr, "ostler: the mail system is not running\n");
		return 1;
	}
	if (lock_is_postfix(pid)) {
		fprintf(stderr, "ostler: the Postfix mail system is running (process id %d), not Ostler\n",
			(int)pid);
		return 1;
	}
	enum master_answer answer = master_command(view, c->word, &why);
	int status = answer == MASTER_DONE ? 0 : 1;
	if (answer == MASTER_AWAY || answer == MASTER_FOREIGN)
		status = send_signal(c, pid, answer, &why);
	while (status == 0 && c->to_the_end && pid > 0 && is_alive(pid))
		poll(NULL, 0, LOOK_MS);
	return status;
}

int running_command(const struct running_command *command)
{
	struct config *c = instance_read(NULL);
	if (!c)
		return 1;
	int status = do_command(command, config_main_view(c));
	config_destroy(&c);
	return status;
}
