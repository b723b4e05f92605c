/* SPDX-License-Identifier: Apache-2.0
 * The connections that modules keep through their host (ostler/pool.h), as a process sees them. */
#ifndef MODULE_POOLS_H
#define MODULE_POOLS_H

#include <stdint.h>

/* Closes the connections that were idle too long. Answers when to look again (clock_mono()), CLOCK_NEVER while no module
 * has a pool. Not from inside a module. */
int64_t mod_pools_tidy(void);

#endif
