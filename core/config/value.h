/* SPDX-License-Identifier: Apache-2.0
 * Values: from expanded text to numbers, with Postfix's units and words for what is wrong. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/param.h"

/* Reads a value of the parameter's type and checks its bounds: INT and SIZE as they are, BOOL 0 or 1, TIME in
 * microseconds. `unit` is the unit of a time without one. Not for STR and RAW. */
bool value_parse(const struct param *, char unit, const char *text, int64_t *value, struct ost_why *);
/* The unit of a parameter's times: the last letter of its default; 's' when that says none. */
char value_unit(const char *defval);
/* The same for any type without bounds, for parameters that are not in the table. */
bool value_parse_type(enum cfg_type, char unit, const char *text, int64_t *value, struct ost_why *);

#endif
