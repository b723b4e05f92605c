/* SPDX-License-Identifier: Apache-2.0
 * The configuration that served last, kept in memory beyond the death of a master: guardian and masters share
 * it, masters alone look into it. */
#ifndef PROCESS_KEEPSAKE_H
#define PROCESS_KEEPSAKE_H

int keepsake_new(void); /* an empty one; -1: no memory, and the others do nothing */
/* Keeps a copy of this snapshot in place of what was there. */
void keepsake_put(int keepsake, int snapshot);
/* A snapshot for config_from_snapshot(), the caller's to close; -1: there is none. */
int keepsake_get(int keepsake);

#endif
