/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/clock.h"
#include "deliver/delivery.h"

enum { TWO_DIGITS = 100, MICRO_DIGITS = 6 };

void log_seconds(struct buf *out, int64_t microseconds, int digits)
{
	if (microseconds < 0)
		microseconds = 0;
	/* The unit in which the value is shown: no finer than `digits` decimals, and no finer than two significant ones. */
	int64_t unit = 1;
	for (int i = digits; i < MICRO_DIGITS; i++)
		unit *= 10;
	while (microseconds / unit >= TWO_DIGITS && unit < CLOCK_SECOND)
		unit *= 10;
	int64_t shown = (microseconds + unit / 2) / unit * unit;
	int64_t whole = shown / CLOCK_SECOND, part = shown % CLOCK_SECOND;
	buf_printf(out, "%lld", (long long)whole);
	if (part == 0)
		return;
	char text[16];
	int n = snprintf(text, sizeof text, "%06lld", (long long)part);
	while (n > 0 && text[n - 1] == '0')
		n--;
	buf_printf(out, ".%.*s", n, text);
}
