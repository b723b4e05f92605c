/* SPDX-License-Identifier: Apache-2.0
 * The line to the queue manager: hints that a message has been stored. Best effort: qmgr finds every message without
 * them, only later. A thread keeps the link up and tells a new queue manager where this process has written. */
#ifndef PROCESS_HINTS_H
#define PROCESS_HINTS_H

#include <stddef.h>

#include "process/worker.h"
#include "spool/spool.h"

struct hints;

struct hints *hints_new(struct worker *);
spool_hint_fn hints_send; /* ctx: struct hints */
/* Starts the thread, after the seal. */
void hints_start(struct hints *, struct spool_writer *);
/* At the process's end: the thread stops within a second. */
void hints_stop(struct hints **);

#endif
