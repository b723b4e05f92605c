/* SPDX-License-Identifier: Apache-2.0
 * One master per queue: the lock on $queue_directory/pid/master.pid, which is also the pid file. It is the
 * file and the kind of lock that Postfix's master takes, so that the two keep each other off. */
#ifndef PROCESS_LOCK_H
#define PROCESS_LOCK_H

#include <sys/types.h>

#include "base/why.h"
#include "config/view.h"

/* Takes the lock, making folder and file. A descriptor to keep, or -1 with the reason ("the mail system is
 * already running: process id 123"). The lock is the descriptor's: who inherits it holds it too. */
int lock_take(const struct cfg_view *, struct ost_why *);
/* Writes the caller's pid into the file: it is the one to be signalled. */
bool lock_sign(int fd, struct ost_why *);
/* The pid in the file while somebody holds the lock: 0 when nobody does, -1 when somebody does whose pid is
 * not known. */
pid_t lock_holder(const struct cfg_view *);
/* Is the process with this pid Postfix's master? */
bool lock_is_postfix(pid_t);
/* The pid is no longer true: empties the file. */
void lock_leave(int fd);

#endif
