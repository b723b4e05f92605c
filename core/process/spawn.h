/* SPDX-License-Identifier: Apache-2.0
 * A new process of this executable. The starter is never forked as a whole: a master with much memory would
 * stand still. */
#ifndef PROCESS_SPAWN_H
#define PROCESS_SPAWN_H

#include <sys/types.h>

#include "base/why.h"
#include "config/view.h"
#include "ipc/link.h"

/* Starts `ostler --worker ROLE NAME` with one end of a socket pair as its control link; *link gets the other
 * end (blocking). keep_output: standard output and error stay the starter's. -1 with the reason. */
pid_t spawn_worker(const char *role, const char *name, bool keep_output, struct ipc_link **link,
		   struct ost_why *why);

/* Sends one descriptor of the start; the K_COLUMN field is the counters'. */
bool spawn_give(struct ipc_link *, unsigned what, const int *fds, size_t n, unsigned column);

/* What the processes inherit: import_environment and a safe PATH, nothing else. */
void spawn_environment(const struct cfg_view *);

#endif
