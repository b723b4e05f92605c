/* SPDX-License-Identifier: Apache-2.0
 * $name expansion of Postfix 3.x: $name ${name} $(name) ${name?text} ${name:text} ${name?{a}:{b}} ${{a} ==
 * {b} ? {x} : {y}} with == != < <= > >= and the compatibility level's <level, <=level, ==level, !=level,
 * >=level, >level; $$ is a dollar. */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/why.h"

enum {
	EXPAND_DEPTH = 100,       /* how deep names may nest */
	EXPAND_BYTES = 1 << 20,   /* how long a result may become */
	EXPAND_STEPS = 100 * 1000 /* how many names one expansion may look up */
};

/* The unexpanded value of a name; NULL: there is no such name (it counts as empty). */
typedef const char *expand_lookup_fn(void *ctx, const char *name);

/* Appends the expanded text to out. `name` is the parameter that the text belongs to, so that a reference to
 * itself is found at once; may be NULL. On failure out holds a part of the result. */
bool expand(struct buf *out, const char *name, const char *text, expand_lookup_fn *, void *ctx,
	    struct ost_why *);

/* Compares two compatibility levels ("3.6", "2"): <0, 0, >0 in *order; false when one is not a level. */
bool expand_compare_levels(const char *a, const char *b, int *order);

#endif
