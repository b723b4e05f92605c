/* SPDX-License-Identifier: Apache-2.0
 * How many deliveries at once a destination has earned. Each that works raises the number by the positive
 * feedback, each that fails for the destination's sake lowers it by the negative one; a number of failed
 * rounds in a row (a cohort: as many deliveries as run at once) make it dead. Pure arithmetic. */
#ifndef QMGR_CONCURRENCY_H
#define QMGR_CONCURRENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "qmgr/settings.h"

struct concurrency {
	double window;           /* deliveries at once; at least 1 */
	double success, failure; /* feedback that has not moved the window yet */
	double failed_cohorts;
};

void concurrency_init(struct concurrency *, const struct transport_settings *);
/* busy: deliveries under way, this one included. An unused window does not grow. */
void concurrency_success(struct concurrency *, const struct transport_settings *, uint32_t busy);
/* True: the destination is dead now. */
bool concurrency_failure(struct concurrency *, const struct transport_settings *);
/* After the rest of a dead destination: one delivery may try. */
void concurrency_revive(struct concurrency *);

#endif
