/* SPDX-License-Identifier: Apache-2.0
 * Dates as mail writes them. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include <stddef.h>
#include <stdint.h>

enum { MAIL_DATE_SIZE = 128 };

/* "Wed, 22 Nov 2006 14:30:00 +0100 (CET)": RFC 5322 3.3, local time zone. utc: microseconds. Answers text. */
char *mail_date(char text[MAIL_DATE_SIZE], int64_t utc);

#endif
