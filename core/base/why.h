/* SPDX-License-Identifier: Apache-2.0
 * Reasons: a bool result plus a struct ost_why (ostler/module.h) that says in words what went wrong. */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#include <stdbool.h>

#include "ostler/module.h"

/* Writes the reason (why may be NULL) and answers false, so that one can say `return why_set(why, …)`. */
bool why_set(struct ost_why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with ": " and the system's text for errno behind it. */
bool why_errno(struct ost_why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
