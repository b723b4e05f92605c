/* SPDX-License-Identifier: Apache-2.0
 * The master: a libevent loop in one thread that starts, connects, watches and ends the other processes. It
 * loads no module and waits for nothing. */
#ifndef PROCESS_MASTER_H
#define PROCESS_MASTER_H

#include <stdbool.h>

#include "config/view.h"

struct master_options {
	const char *config_dir;
	bool foreground; /* start-fg: log lines go to standard error too */
	int report_fd;   /* `ostler start`: one byte, 0, when all is up, 1 when the start failed; -1: none */
};
/* Reads the configuration, checks it, and runs until it is told to stop; answers the exit status. */
int master_run(const struct master_options *);

/* From commands: sends a word ("status", "reload", "stop") to the running master of this configuration and
 * prints what it answers; the exit status. When none runs it says so and answers 1. */
int master_command(const struct cfg_view *, const char *word);

#endif
