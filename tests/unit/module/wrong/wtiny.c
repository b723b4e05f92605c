/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

/* Too small to hold what every table has. */
static const struct ost_table_ops ops = { .ops = { .size = sizeof(struct ost_ops) }, .lookup = wrong_lookup };
static const struct ost_provide provides[] = { { OST_KIND_TABLE, "wtiny", &ops.ops }, { OST_KIND_END, NULL, NULL } };
WRONG_MODULE(wtiny, WRONG_HEAD(wtiny));
