/* SPDX-License-Identifier: Apache-2.0
 * The master's processes, in a file that outlives it: when a master is killed, the next one sees there whose
 * work may still be under way. An entry is valid in the boot that it was written in, and for the process that
 * started at its time; so a stranger's process id is never taken for one of ours. */
#ifndef PROCESS_ROSTER_H
#define PROCESS_ROSTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/why.h"
#include "config/view.h"
#include "process/counters.h"

struct roster;

struct roster_row {
	pid_t pid;
	char role[24], service[104];
};

/* Opens or makes the file; entries of another boot are gone. With the instance's lock held. */
struct roster *roster_open(const struct cfg_view *, struct ost_why *);
void roster_close(struct roster **); /* NULL is fine, here and below */
/* slot: below COUNTER_COLUMNS. */
void roster_enter(struct roster *, unsigned slot, pid_t, const char *role, const char *service);
void roster_leave(struct roster *, unsigned slot);
/* Who is entered there and alive; false: nobody, and the slot is free. */
bool roster_alive(struct roster *, unsigned slot, struct roster_row *out);

#endif
