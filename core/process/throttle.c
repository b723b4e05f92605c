/* SPDX-License-Identifier: Apache-2.0 */
#include "process/throttle.h"

#include "base/clock.h"

enum {
	AT_ONCE = 10,       /* starts without a pause … */
	REFILL_SECONDS = 2, /* … of which one comes back in this time */
	WELL_SECONDS = 60,  /* who served for so long has no failures behind it */
	DOUBLINGS = 12,
};

int64_t throttle_ended(struct throttle *t, int64_t now, bool was_ready, int64_t lived, int64_t longest)
{
	int64_t back = (now - t->refilled) / (REFILL_SECONDS * CLOCK_SECOND);
	t->spent = back >= (int64_t)t->spent ? 0 : t->spent - (unsigned)back;
	t->refilled = t->spent == 0 ? now : t->refilled + back * REFILL_SECONDS * CLOCK_SECOND;
	if (was_ready && lived >= WELL_SECONDS * CLOCK_SECOND)
		t->failures = 0;
	if (was_ready && t->spent < AT_ONCE) {
		t->spent++;
		return 0;
	}
	int64_t wait = CLOCK_SECOND << (t->failures < DOUBLINGS ? t->failures : DOUBLINGS);
	t->failures++;
	return wait < longest ? wait : longest;
}
