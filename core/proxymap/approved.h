/* SPDX-License-Identifier: Apache-2.0
 * The tables that proxymap answers for. */
#ifndef PROXYMAP_APPROVED_H
#define PROXYMAP_APPROVED_H

#include "config/view.h"
#include "ipc/link.h"
#include "table/table.h"

struct approved;

/* Opens all that proxy_read_maps names; tables that cannot be opened are logged, and answer "try again".
 * Constant once made. */
struct approved *approved_open(const struct cfg_view *);
void approved_close(struct approved **);
size_t approved_count(const struct approved *);
bool approved_has(const struct approved *,
		  const char *name); /* "hash:/etc/x", with or without proxy: in front */

/* Answers one M_TABLE_ASK over the link; any thread. */
void approved_answer(struct approved *, struct arena *, const void *body, size_t len, struct ipc_link *);
/* Calls each with every table that was opened anew since the last call. One thread's. */
void approved_changed(struct approved *, void (*each)(void *ctx, const char *name), void *ctx);

#endif
