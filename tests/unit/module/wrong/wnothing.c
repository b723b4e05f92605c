/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

static const struct ost_provide provides[] = { { OST_KIND_END, NULL, NULL } };
static const void *const keep = (const void *)wrong_lookup;
WRONG_MODULE(wnothing, WRONG_HEAD(wnothing), .license = keep ? "Apache-2.0" : "");
