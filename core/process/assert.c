/* SPDX-License-Identifier: Apache-2.0
 * Failed assertions go to the log: a daemon has no standard error that somebody reads. */
#include <assert.h>

#include "base/log.h"

/* libc's function behind assert(3); the program's own one is used in its place. */
_Noreturn void __assert_fail(const char *text, const char *file, unsigned line, const char *function)
{
	log_panic("%s:%u: %s: assertion failed: %s", file, line, function, text);
}
