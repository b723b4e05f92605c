/* SPDX-License-Identifier: Apache-2.0
 * The guardian: a process that does nothing but see to it that there is a master. It has one thread, no
 * module, no network and no event loop: it waits for signals.
 *
 * It holds the lock of the instance together with the master, and its pid is the one in the pid file:
 * supervisors and commands know it, and it outlives masters. A master that was killed gets a successor at
 * once, unless that happens again and again. A master that ends by its own will takes the guardian along. */
#ifndef PROCESS_GUARDIAN_H
#define PROCESS_GUARDIAN_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct guardian_options {
	const char *config_dir;
	bool foreground; /* start-fg: the signals of a terminal come to this process alone */
	int report_fd;   /* for the first master: see master.h */
	int lock_fd;     /* the instance's lock, held */
	int keepsake_fd; /* keepsake.h */
	pid_t master;    /* one that runs already, and has started this guardian; 0: start one */
};

/* Guards until it is told to stop, the master ends by its own will, or the first start fails; the exit
 * status. Empties the pid file at last. */
int guardian_run(const struct guardian_options *);

/* `ostler --guard MASTER CONFIG_DIR`: main() of a guardian that a master starts in the place of a dead one.
 * It inherits the lock and the keepsake under these numbers. */
enum { GUARD_LOCK_FD = 3, GUARD_KEEPSAKE_FD = 4 };
int guardian_main(int argc, char **argv);

enum {
	GUARD_READY = SIGUSR1,  /* from the master to its guardian: all is up; SIGTERM: it is stopping */
	GUARD_ORPHAN = SIGUSR2, /* from the kernel to either of them: the other one, its parent, has died */
};

#endif
