/* SPDX-License-Identifier: Apache-2.0
 * How much mail that is tried again may be under way while new mail comes.
 *
 * A flush can keep all processors busy for hours, and then every step of a new message waits for one. How
 * long it waits is what the kernel counts for this thread, which sleeps and wakes as the others on a
 * message's way do. While that is much, mail that is tried again is given less at a time; while it is little,
 * more. When no new mail comes there is no limit. */
#ifndef QMGR_PACE_H
#define QMGR_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_LEAST = 8, PACE_MOST = 1 << 20 };

struct pace {
	int fd;                  /* the kernel's counts; -1: it has none, and there is no limit */
	uint32_t window;         /* so many at a time */
	uint64_t wait_ns, turns; /* as they were … */
	int64_t looked;          /* … then (clock_mono) */
	int64_t fresh;           /* clock_mono of the last new message */
};

void pace_init(struct pace *);
void pace_close(struct pace *);
void pace_fresh(struct pace *, int64_t now); /* a new message has come */
bool pace_is_fresh(const struct pace *, int64_t now); /* not long ago */
/* Looks at the counts, now and then. For the beginning of each turn in which something is tried again. */
void pace_turn(struct pace *, int64_t now);
/* How many may be under way now: between PACE_LEAST and PACE_MOST. */
uint32_t pace_limit(const struct pace *, int64_t now);
/* So long this thread has waited for a processor, so often it has been given one since the last time. */
void pace_adapt(struct pace *, uint64_t wait_ns, uint64_t turns);

#endif
