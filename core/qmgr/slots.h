/* SPDX-License-Identifier: Apache-2.0
 * Numbers for pointers, which a peer gives back: a number that was never given, or whose pointer has been
 * taken out, finds nothing. One thread. */
#ifndef QMGR_SLOTS_H
#define QMGR_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slots {
	struct slot *list;
	uint32_t size, used, free; /* free: the first empty one + 1; 0: none */
};
#define SLOTS_INIT                                                                                           \
	{                                                                                                    \
		0                                                                                            \
	}

uint64_t slots_add(struct slots *, void *p);             /* p is not NULL; answers a number, never 0 */
void *slots_find(const struct slots *, uint64_t number); /* NULL: nothing there */
void *slots_take(struct slots *, uint64_t number);       /* the same, and forgets it */
/* Goes through all: *number is 0 at first and gets the next one's number. What was returned may be taken out.
 */
void *slots_next(const struct slots *, uint64_t *number);
void slots_free(struct slots *);

#endif
