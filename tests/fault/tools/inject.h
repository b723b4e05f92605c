/* SPDX-License-Identifier: Apache-2.0
 * What inject.c and its two helpers share: the calls that are watched, and one call as it was seen. */
#ifndef FAULT_INJECT_H
#define FAULT_INJECT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct call { /* a system call of a process that is watched */
	const char *name;
	char path[PATH_MAX]; /* what it changes: the file of a descriptor, a new name, a name that goes */
	char role[128];      /* of the process: what follows --worker, or the program's name */
	uint64_t at;         /* offset or length, where the call has one */
};

/* Is this one of the calls that change a disk? Fills name, path and at; opening without O_CREAT is none. */
bool call_describe(struct call *, pid_t tid, uint64_t number, const uint64_t args[6]);

/* The role of the process, from its command line. */
void call_role(struct call *, pid_t tid);

/* At the stop before a call: it is not done. At the stop behind it: this is its answer. */
void call_skip(pid_t tid);
void call_answer(pid_t tid, long value);

#endif
