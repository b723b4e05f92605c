/* SPDX-License-Identifier: Apache-2.0
 * Commands to the running system: to the master, or by signal to the process of the pid file when the master
 * does not understand this program or is just being replaced. */
#ifndef COMMAND_RUNNING_H
#define COMMAND_RUNNING_H

#include <stdbool.h>

struct running_command {
	const char *word;      /* for the master */
	int signal;            /* with the same meaning; 0: none */
	bool to_the_end;       /* waits until the process of the pid file has ended */
	const char *by_signal; /* what to say when it was sent to a master of another version; or NULL */
	int foreign;           /* the exit status then */
};

/* Reads the configuration of this call and does it; the exit status. */
int running_command(const struct running_command *);

#endif
