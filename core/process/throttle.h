/* SPDX-License-Identifier: Apache-2.0
 * How soon a process that ended is started again: at once as long as that is rare, then ever later. */
#ifndef PROCESS_THROTTLE_H
#define PROCESS_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle {          /* zeros at first; one per duty */
	int64_t refilled;  /* clock_mono() */
	unsigned spent;    /* starts at once that have been used up */
	unsigned failures; /* in a row */
};

/* A process ended at `now`. was_ready: it had got as far as serving, for lived microseconds. Answers how long
 * to wait before the next start: 0 at once, at most `longest`. */
int64_t throttle_ended(struct throttle *, int64_t now, bool was_ready, int64_t lived, int64_t longest);

#endif
