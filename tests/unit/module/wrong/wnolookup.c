/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

static const struct ost_table_ops ops = { .ops = { .size = sizeof ops } };
static const struct ost_provide provides[] = { { OST_KIND_TABLE, "wnolookup", &ops.ops }, { OST_KIND_END, NULL, NULL } };
static void *const keep = (void *)wrong_lookup;
WRONG_MODULE(wnolookup, WRONG_HEAD(wnolookup), .unload = keep ? NULL : NULL);
