/* SPDX-License-Identifier: Apache-2.0
 * Names of the administrator's own, and whether something uses them, by the rules of Postfix's postconf:
 * every value of main.cf counts, that of a name that nothing uses too. (`ostler check` is stricter: usage.h.)
 */
#ifndef CONFIG_USERPARAMS_H
#define CONFIG_USERPARAMS_H

#include "config/config.h"

struct userparams;

struct userparams *userparams_new(const struct config *, struct arena *); /* lives in the arena */
/* Is the name one that main.cf sets and something uses? */
bool userparams_has(const struct userparams *, const char *name);

#endif
