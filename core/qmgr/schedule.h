/* SPDX-License-Identifier: Apache-2.0
 * The messages that wait for a time, earliest first: a heap of entries. */
#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct schedule {
	struct entry **heap; /* an entry knows its place: entry->heap_at - 1 */
	size_t count, size;
};

void schedule_add(struct schedule *, struct entry *, int64_t due); /* clock_mono; it is not in yet */
void schedule_remove(struct schedule *, struct entry *);           /* accepts one that is not in */
struct entry *schedule_first(const struct schedule *);             /* NULL: empty */
struct entry *schedule_any(const struct schedule *); /* whichever is cheapest to remove; NULL: empty */
bool schedule_has(const struct schedule *, const struct entry *);
void schedule_free(struct schedule *);

#endif
