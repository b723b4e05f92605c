/* SPDX-License-Identifier: Apache-2.0
 * Which names the values of a configuration use: by $name, or as restriction classes. */
#ifndef CONFIG_USAGE_H
#define CONFIG_USAGE_H

#include <stdbool.h>

#include "config/config.h"

struct usage;

/* Lives in the arena. A name counts as used when a parameter that the core or `known` (may be NULL) has, or
 * another used name, refers to it, in main.cf or in an -o of master.cf, or in a default. */
struct usage *usage_new(const struct config *, bool (*known)(void *ctx, const char *name), void *ctx,
			struct arena *);
bool usage_has(const struct usage *, const char *name);

#endif
