/* SPDX-License-Identifier: Apache-2.0
 * Making an index the way postmap does, for tests. */
#ifndef CONTRACT_INDEX_H
#define CONTRACT_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include "ostler/host.h"

/* Entries are written as "key=value", the list ends with NULL. The index takes the old one's place by a rename. Answers how
 * many duplicates the module complained about, -1 when it failed. */
int index_build(const struct ost_table_ops *, const char *path, const char *const *entries, unsigned flags);

#endif
