/* SPDX-License-Identifier: Apache-2.0
 * What the keeper writes into a result log of its own, beside results. */
#ifndef SPOOL_RESULTS_H
#define SPOOL_RESULTS_H

#include "spool/append.h"
#include "spool/envelope.h"
#include "spool/home.h"

/* These copies in the journal do not count any more. Durable when it returns true. */
bool results_append_voids(struct spool_results *, const struct spool_void *, size_t n, struct buf *receipt,
			  struct ost_why *);

#endif
