/* SPDX-License-Identifier: Apache-2.0
 * What the core's callers of modules need beside mod_enter() and mod_leave(). */
#ifndef MODULE_ENTER_H
#define MODULE_ENTER_H

#include "base/arena.h"
#include "module/module.h"

enum { MOD_DEPTH = 10 }; /* how deep modules may call modules through the host; callers ask mod_depth() first */

unsigned mod_depth(void); /* of the calling thread */

/* Goes into the instance that *where points to at that moment; it stays until mod_leave(), even when another is put there
 * meanwhile. NULL: *where is NULL, and there is nothing to leave. */
struct mod_instance *mod_enter_shared(struct mod_instance *_Atomic *where, const char *entry, int64_t deadline);
bool mod_inside(const struct mod_instance *); /* is a thread in it? Meaningful once no new one can come */

/* Memory of the calling thread at its present depth, emptied: for values that modules get from the host. */
struct arena *mod_thread_arena(void);
void mod_threads_shutdown(void); /* gives back what the calling thread holds */

#endif
