/* SPDX-License-Identifier: Apache-2.0
 * The seal of a process: Landlock for paths, seccomp for system calls that no process of Ostler has a use
 * for. What the kernel does not have is left out (a debug line says so); builds with a sanitizer run without.
 */
#ifndef PROCESS_SANDBOX_H
#define PROCESS_SANDBOX_H

#include <stdbool.h>

#include "base/why.h"

/* 1 in a build whose sanitizer needs what a seal refuses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

struct sandbox {
	unsigned flags;     /* ROLE_* of worker.h */
	const char *spool; /* inside the jail */
	const char *maildrop; /* inside the jail */
	bool jail;     /* it goes into one between guard and seal */
	bool any_path; /* paths are not restricted: an agent that delivers as the one user that it is */
	const char *config; /* the configuration folder, or NULL */
	const char *data;   /* data_directory, or NULL */
	int control, log;   /* descriptors that stay open whatever is done in this process; -1 */
	const char *write;  /* one folder that may be written to (a user's child), or NULL */
};

/* Before the first module is opened: no other program, no other process, no signals, no settings, and nothing is written but
 * where the sealed process may write. Reading stays free, and the way into the jail open. One thread runs. */
bool sandbox_guard(const struct sandbox *, struct ost_why *);
/* For the calling thread and all that it starts. Needs no_new_privs. False only when half a seal would be
 * left. */
bool sandbox_seal(const struct sandbox *, bool guarded, struct ost_why *);

#endif
