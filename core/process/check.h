/* SPDX-License-Identifier: Apache-2.0
 * What `ostler check` and every start look at beyond the text of the configuration: modules, maps, files,
 * other mail systems. */
#ifndef PROCESS_CHECK_H
#define PROCESS_CHECK_H

#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

/* All of it. Modules and maps are opened in a process of their own that has no privileges. snapshot:
 * config_snapshot(). */
void check_instance(const struct config *, int snapshot, struct findings *);
/* The process that opens modules and maps, for a loop that does not wait. */
struct check_child;
struct check_child *check_child_start(const struct config *, int snapshot, struct ost_why *);
int check_child_fd(const struct check_child *);
/* Takes what it has said until the deadline (0: no waiting); false when it has said everything. */
bool check_child_read(struct check_child *, struct findings *, int64_t deadline);
/* Kills it when it is in a module for too long. About once a second. */
void check_child_look(struct check_child *);
/* Was it this one that waitpid(2) told of? */
bool check_child_reaped(struct check_child *, pid_t, int status);
void check_child_end(struct check_child **); /* kills it when it still runs; accepts NULL */

/* The findings as log lines: "warning: …", "fatal: …". */
void check_print(const struct findings *);

#endif
