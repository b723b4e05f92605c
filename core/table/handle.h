/* SPDX-License-Identifier: Apache-2.0
 * What handles offer beside table.h, to the other files of this folder and to postmap. */
#ifndef TABLE_HANDLE_H
#define TABLE_HANDLE_H

#include "table/table.h"

/* All entries, until each() answers false. The arena is emptied before each entry. False with the reason: the type cannot
 * be listed, or failed on the way. */
typedef bool table_entry_fn(void *ctx, const char *key, size_t klen, const char *value, size_t vlen);
bool table_walk(struct table *, struct arena *, table_entry_fn *each, void *ctx, struct ost_why *);

bool table_can_walk(const struct table *); /* can the type be listed? */

#endif
