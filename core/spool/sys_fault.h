/* SPDX-License-Identifier: Apache-2.0
 * Steps that fail on request, for whole processes under test. Compiled in by --enable-fault-injection alone;
 * other builds know neither the variable nor this file.
 *
 * OST_SPOOL_FAULT="STEP:N:ACTION": from the Nth such step on (N+ for all later ones too, N for that one
 * alone). STEP: create write sync folder rename link unlink truncate any. ACTION: die, torn (a write), delay,
 * or EIO ENOSPC EDQUOT. */
#ifndef SPOOL_SYS_FAULT_H
#define SPOOL_SYS_FAULT_H

#include "spool/sys.h"

/* Reads the variable: a hook for this process, or none. False: it makes no sense. */
bool sys_fault_from_environment(struct sys *);
void sys_fault_free(struct sys *);

#endif
