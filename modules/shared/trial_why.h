/* SPDX-License-Identifier: Apache-2.0
 * host->why() as tests of modules give it: what the core's does. */
#ifndef SHARED_TRIAL_WHY_H
#define SHARED_TRIAL_WHY_H

#include <stdarg.h>
#include <stdio.h>

#include "ostler/module.h"

static bool host_why(struct ost_why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool host_why(struct ost_why *why, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
	return false;
}

#endif
