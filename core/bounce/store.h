/* SPDX-License-Identifier: Apache-2.0
 * Makes the notices that a request asks for and stores them in the spool. */
#ifndef BOUNCE_STORE_H
#define BOUNCE_STORE_H

#include "bounce/compose.h"
#include "config/view.h"
#include "spool/spool.h"

/* Reads the parameters into *s; strings live in the arena. */
void notice_settings_read(struct notice_settings *s, struct arena *, const struct cfg_view *);
/* Whom an address stands for by virtual_alias_maps; false: cannot be told now. */
typedef bool notice_expand_fn(void *ctx, struct arena *, const char *address, const char ***list,
			      size_t *count);
/* True: all are on stable storage, or there is nothing to make; false: try again later. */
bool notice_store(struct spool *, struct spool_writer *, const struct notice_settings *,
		  const struct notice_request *, notice_expand_fn *, void *ctx);

#endif
