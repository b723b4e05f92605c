/* SPDX-License-Identifier: Apache-2.0
 * For tests of tables that are files of lines: a table of given lines, what it answers, and what the log says about them. */
#ifndef SUPPORT_LINES_H
#define SUPPORT_LINES_H

#include "base/arena.h"
#include "table/table.h"
#include "tests/support/fixture.h"

/* Opens type:FILE with these lines in a file of its own (the n-th call's is `lines<n>`); fails the test when it cannot. */
struct table *lines_table(const struct fixture *, const char *type, const char *lines);
/* Fails the test unless the table answers that; value NULL: not found. */
void lines_expect(struct table *, struct arena *, const char *key, const char *value);
/* Fails the test unless the log has "TYPE map FILE, complaint" for the file that was opened last. */
void lines_complained(const struct fixture *, const char *type, const char *complaint);

#endif
