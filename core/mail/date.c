/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/date.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* Writes the stamp for one second. English names whatever the locale says. */
static void format(char text[MAIL_DATE_SIZE], time_t when)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm;
	localtime_r(&when, &tm);
	long minutes = labs(tm.tm_gmtoff / 60);
	snprintf(text, MAIL_DATE_SIZE, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld (%.20s)", days[tm.tm_wday], tm.tm_mday,
		 months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_gmtoff < 0 ? '-' : '+',
		 minutes / 60, minutes % 60, tm.tm_zone);
}

char *mail_date(char text[MAIL_DATE_SIZE], int64_t utc)
{
	/* localtime_r takes a lock: one conversion per thread and second is enough. */
	static _Thread_local time_t last = -1;
	static _Thread_local char cached[MAIL_DATE_SIZE];
	time_t when = (time_t)(utc / CLOCK_SECOND);
	if (when != last) {
		format(cached, when);
		last = when;
	}
	return memcpy(text, cached, MAIL_DATE_SIZE);
}
