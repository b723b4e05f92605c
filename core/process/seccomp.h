/* SPDX-License-Identifier: Apache-2.0
 * System calls that a sealed process does not get: a list of what is dangerous, not of what is used, so that
 * a new libc or module does not break on it. Refused calls answer EPERM. */
#ifndef PROCESS_SECCOMP_H
#define PROCESS_SECCOMP_H

#include "process/sandbox.h"

enum seccomp_part {
	SECCOMP_WHOLE,
	SECCOMP_GUARD, /* all but what a process still needs that goes into its jail */
	SECCOMP_REST,  /* what the guard left */
};
bool seccomp_seal(const struct sandbox *, enum seccomp_part, struct ost_why *);

#endif
