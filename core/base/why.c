/* SPDX-License-Identifier: Apache-2.0 */
#include "base/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool why_set(struct ost_why *why, const char *fmt, ...)
{
	if (why) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(why->text, sizeof why->text, fmt, ap);
		va_end(ap);
	}
	return false;
}

bool why_errno(struct ost_why *why, const char *fmt, ...)
{
	int error = errno;
	if (why) {
		va_list ap;
		char text[128];
		va_start(ap, fmt);
		vsnprintf(why->text, sizeof why->text, fmt, ap);
		va_end(ap);
		size_t used = strlen(why->text);
		snprintf(why->text + used, sizeof why->text - used, ": %s", strerror_r(error, text, sizeof text));
	}
	errno = error;
	return false;
}
