/* SPDX-License-Identifier: Apache-2.0
 * When a message is tried again, and when it has been tried long enough. Pure functions; UTC microseconds. */
#ifndef QMGR_BACKOFF_H
#define QMGR_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "qmgr/settings.h"

/* The next try of a message that was deferred now: as far away as the message is old, within the back-off
 * times. */
int64_t backoff_next_try(const struct qmgr_settings *, int64_t arrival, int64_t now);
/* How long to wait for a stored next_try: never longer than maximal_backoff, whatever the clock has been set
 * to. */
int64_t backoff_wait(const struct qmgr_settings *, int64_t next_try, int64_t now);
/* Is a stored next_try due? One that lies further away than any back-off comes from a clock that has been set
 * back. */
bool backoff_due(const struct qmgr_settings *, int64_t next_try, int64_t now);
/* Has the message's time passed? Its recipients fail when they have been tried at least once. */
bool backoff_expired(const struct qmgr_settings *, bool null_sender, int64_t arrival, int64_t now);

#endif
