/* SPDX-License-Identifier: Apache-2.0
 * What every table that asks a server must do when the server goes away, or does not answer. */
#ifndef SUPPORT_OUTAGE_H
#define SUPPORT_OUTAGE_H

#include "base/arena.h"
#include "table/table.h"
#include "tests/support/server.h"

/* Fifty threads look the key up while the server is killed and started again, three times: there is no other
 * answer than the right one and "try again", meanwhile nothing but "try again" in the end, and within 5
 * seconds after a start nothing but the right one. value NULL: not found. */
void outage_restarts(struct table *, struct server *, const char *key, const char *value);
/* A lookup that waits for a server without an answer: "try again", not before half the time has passed and
 * not long after it. */
void outage_silent(struct table *, const char *key, int64_t time);

#endif
