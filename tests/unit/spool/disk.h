/* SPDX-License-Identifier: Apache-2.0
 * A disk that forgets: keeps, in memory shared with the parent, what a process wrote and did not sync, so
 * that the parent can take it back as a power cut would. Strict: a file's sync keeps its content and not its
 * name, a folder's sync keeps names. */
#ifndef TEST_SPOOL_DISK_H
#define TEST_SPOOL_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/sys.h"

enum disk_end {
	DISK_KILL, /* the process dies before its nth step; all that it wrote stays */
	DISK_TORN, /* the same, in the middle of the step, if it is a write */
	DISK_CUT,  /* a power cut before the nth step: nothing stays that was not synced */
	DISK_SOME, /* the same, and chance decides about each block and each name */
	DISK_FAIL, /* the nth step fails with EIO, the process goes on to its end; then a power cut as with
		      DISK_SOME */
	DISK_FULL, /* the nth and all later steps that need room fail with ENOSPC, until the end of the
		      process */
	DISK_ENDS
};

struct disk;
struct disk *disk_new(const char *spool); /* shared memory: before the fork */
void disk_free(struct disk **);
/* In the child: the hook and its context. The process ends at step n (from 1) in this way; 0: never. */
void disk_arm(struct disk *, enum disk_end, unsigned n);
int disk_hook(void *ctx, const struct sys_call *);
/* In the parent: what the cut took away. */
void disk_cut(struct disk *, unsigned seed);
unsigned disk_steps(const struct disk *); /* that were taken so far */
bool disk_reached(const struct disk *);   /* the nth step was reached */

#endif
