/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/dsn.h"

#include <stdio.h>
#include <string.h>

#include "mail/ascii.h"

/* One to three digits without a leading zero of a longer number; how many, 0: none. */
static size_t digits(const char *s)
{
	size_t n = 0;
	while (n < 4 && ascii_digit((unsigned char)s[n]))
		n++;
	return n > 3 || (n > 1 && s[0] == '0') ? 0 : n;
}

size_t dsn_valid(const char *text)
{
	if ((text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.')
		return 0;
	size_t subject = digits(text + 2);
	if (!subject || text[2 + subject] != '.')
		return 0;
	size_t detail = digits(text + 3 + subject);
	size_t end = 3 + subject + detail;
	if (!detail || (text[end] && !ascii_space((unsigned char)text[end])))
		return 0;
	return end;
}

const char *dsn_split(char dsn[DSN_SIZE], const char *defval, const char *text)
{
	size_t n = dsn_valid(text);
	snprintf(dsn, DSN_SIZE, "%.*s", n ? (int)n : DSN_SIZE - 1, n ? text : defval);
	text += n;
	while (n && ascii_space((unsigned char)*text))
		text++;
	return text;
}

void dsn_set_class(char dsn[DSN_SIZE], char digit)
{
	if (dsn[0])
		dsn[0] = digit;
}
