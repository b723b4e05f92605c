/* SPDX-License-Identifier: Apache-2.0
 * A module's typed parameters: from main.cf, or from a table's own file, into the struct that the module declared. */
#ifndef MODULE_PARAMS_H
#define MODULE_PARAMS_H

#include "base/arena.h"
#include "config/view.h"
#include "module/module.h"

/* Where the texts come from: the expanded value of a parameter, in the arena, or NULL when it is not set. */
typedef const char *params_source_fn(void *ctx, struct arena *, const char *name);

/* Makes the config struct in the arena: value or default, checked; then the module's config_check(). NULL with the reason,
 * which names the parameter. Lists of tables are opened with the view. */
const void *params_fill(const struct ost_ops *, const struct cfg_view *, params_source_fn *, void *ctx, struct arena *,
			struct ost_why *);

#endif
