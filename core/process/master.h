/* SPDX-License-Identifier: Apache-2.0
 * The master: a libevent loop in one thread that starts, connects, watches and ends the other processes. It
 * loads no module and waits for nothing. */
#ifndef PROCESS_MASTER_H
#define PROCESS_MASTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/why.h"
#include "config/view.h"

/* What a new master is told about the ones before it. */
struct master_past {
	unsigned masters; /* how many there have been */
	pid_t pid;        /* of the last one */
	int status;       /* its wait status; -1: not known */
	unsigned waited;  /* seconds since it ended */
};

struct master_options {
	const char *config_dir;
	bool foreground; /* start-fg: log lines go to standard error too */
	int report_fd;   /* `ostler start`: one byte, 0, when all is up, 1 when the start failed; -1: none */
	int lock_fd;     /* the instance's lock, held by the guardian too; -1: the master takes it */
	int keepsake_fd; /* keepsake.h; -1: the master makes one */
	pid_t guardian;  /* the parent process, when that is the guardian (guardian.h), or 0 */
	struct master_past past;
};
/* Reads the configuration, checks it, and runs until it is told to stop; answers the exit status. */
int master_run(const struct master_options *);

enum master_answer {
	MASTER_DONE,
	MASTER_REFUSED, /* it, or this function, has said why */
	MASTER_AWAY,    /* nobody is there, or not for this user: the reason says it */
	MASTER_FOREIGN, /* it hangs up on us: it is of another version; signals reach it all the same */
};
/* From commands: sends a word ("status", "reload", "stop") to the running master of this configuration and
 * prints what it answers. */
enum master_answer master_command(const struct cfg_view *, const char *word, struct ost_why *);

#endif
