/* SPDX-License-Identifier: Apache-2.0
 * The eye on a process that runs modules: the page in which its threads note where they are, read by who started it (the
 * master, or the broker for a user's child). The page is the word of a process that is not trusted; reading it is safe. */
#ifndef PROCESS_WATCHDOG_H
#define PROCESS_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"
#include "ipc/link.h"

struct watchdog;

/* A new page, given to the process over its control link. NULL: out of resources. */
struct watchdog *watchdog_new(struct ipc_link *);
void watchdog_free(struct watchdog **); /* NULL is fine */

/* "killed by signal 11 in module hash, lookup", "killed by signal 6, last in module …", "exit status 1"; status as from waitpid(2). Answers whether the process
 * ended inside a module. The watchdog may be NULL: a process without modules. */
bool watchdog_end(const struct watchdog *, int status, char *text, size_t size);

/* Looks once: is a thread in one call for more than twice the time that it was given, or has it used up `loop_time`
 * microseconds of a processor in it? True with "hangs in module hash, lookup" or "loops in …"; that thread gets the lowest
 * priority, so that others do not wait for it. To be called about once a second; cheap while nothing burns time. */
bool watchdog_look(struct watchdog *, pid_t, int64_t now, int64_t loop_time, struct ost_why *);

#endif
