/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

/* As an older version of the interface had it: everything behind lookup() is not there. What follows in memory is no
 * part of it, and must not be called. */
static const struct {
	char older[offsetof(struct ost_table_ops, update)];
} unused_size_of_the_older_one;

static const struct ost_table_ops ops = {
	.ops = { .size = sizeof unused_size_of_the_older_one },
	.lookup = wrong_lookup,
	.walk = (void *)0x1, /* "memory behind it" */
};
static const struct ost_provide provides[] = { { OST_KIND_TABLE, "wsmall", &ops.ops }, { OST_KIND_END, NULL, NULL } };
WRONG_MODULE(wsmall, WRONG_HEAD(wsmall));
