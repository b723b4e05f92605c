/* SPDX-License-Identifier: Apache-2.0
 * What one configuration file sets: names with their values and where they stand. Filled by one thread, then
 * read by any number without a lock. */
#ifndef CONFIG_DICT_H
#define CONFIG_DICT_H

#include <stddef.h>

#include "base/arena.h"

struct dict;
struct dict_entry {
	const char *name, *value; /* the value as written */
	const char *where;        /* "main.cf: line 12" */
	size_t number;            /* grows with each dict_set() */
};

struct dict *dict_new(struct arena *); /* lives in the arena, with copies of all that is set */
/* A later value takes the place of an earlier one, which is answered (NULL: there was none). */
const char *dict_set(struct dict *, const char *name, const char *value, const char *where);
const struct dict_entry *dict_get(const struct dict *, const char *name); /* dict may be NULL */
/* All entries, sorted by name, or in the order in which they were set last. */
enum dict_order { DICT_BY_NAME, DICT_AS_SET };
size_t dict_list(const struct dict *, enum dict_order, const struct dict_entry *const **list, struct arena *);

#endif
