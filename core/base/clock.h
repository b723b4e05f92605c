/* SPDX-License-Identifier: Apache-2.0
 * Time. Deadlines and timers use the monotonic clock; what is stored uses UTC. All in microseconds. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_SECOND INT64_C(1000000)
#define CLOCK_NEVER  INT64_MAX

int64_t clock_mono(void); /* never goes back; unrelated to the date */
int64_t clock_utc(void);  /* since 1970 */
/* Milliseconds until a clock_mono() deadline, for poll(2): -1 for CLOCK_NEVER, 0 when it has passed. */
int clock_poll_ms(int64_t deadline);

#endif
