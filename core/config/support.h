/* SPDX-License-Identifier: Apache-2.0
 * What it means that a known parameter is set and does nothing: reasons.def, harmless.def. */
#ifndef CONFIG_SUPPORT_H
#define CONFIG_SUPPORT_H

#include <stdbool.h>

/* Why the name has no effect, to go on after "has no effect here because "; NULL: no reason is written down.
 */
const char *support_reason(const char *name);
/* Does this value of a parameter that protects ask for no protection? */
bool support_harmless(const char *name, const char *value);
/* For tests: the i-th pattern of reasons.def, NULL behind the last one; and whether it fits a name. */
const char *support_pattern(unsigned i);
bool support_fits(const char *pattern, const char *name);

#endif
