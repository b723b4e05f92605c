/* SPDX-License-Identifier: Apache-2.0
 * How often clients did something within anvil_rate_time_unit, over all workers: anvil(8)'s rates. One table in the memory
 * that the workers share, each slot one atomic word, no lock. Unlike counters (counters.h) these outlive the process that
 * counted: what a client did it has done. A window begins with a client's first event and is over one unit later.
 *
 * Of a key a hash is stored. When the places of a new key are all taken, the lowest count among them gives way: a client
 * that comes often is not forgotten for those that come once. */
#ifndef PROCESS_RATES_H
#define PROCESS_RATES_H

#include <stdatomic.h>
#include <stdint.h>

enum { RATE_BUCKETS = 16384, RATE_SLOTS = 8 };
enum { RATE_UNIT_MOST = 5 * 24 * 3600 }; /* seconds: the time in a slot comes round after 12 days */

enum rate_kind { RATE_CONNECTIONS = 1, RATE_MESSAGES, RATE_RECIPIENTS };

struct rate_table { /* of zeros: empty */
	_Alignas(64) _Atomic uint64_t slots[RATE_BUCKETS][RATE_SLOTS];
};

/* Once, at the start of a process, before its threads. seed: the same in all processes. */
void rates_attach(struct rate_table *, uint64_t seed);
/* Counts one event and answers how many the key has had in its window, this one included. now, unit: seconds, now of
 * the monotonic clock. Without a table: 0. */
unsigned rates_count(enum rate_kind, const char *key, int64_t now, int64_t unit);

#endif
