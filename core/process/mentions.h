/* SPDX-License-Identifier: Apache-2.0
 * Which files the configuration names. */
#ifndef PROCESS_MENTIONS_H
#define PROCESS_MENTIONS_H

#include "config/config.h"

/* Does a parameter of main.cf, of a service's -o, or a restriction class name this file, as it is or without the suffix
 * of an index (.db, .lmdb …)? */
bool config_mentions(const struct config *, const char *path);
/* The same for one value: "hash:/etc/x, regexp:/etc/y". */
bool value_mentions(const char *value, const char *path);

#endif
