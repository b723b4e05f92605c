/* SPDX-License-Identifier: Apache-2.0
 * Counts that all workers share, per client address or login: one column per process in shared memory. A
 * process writes its own column and reads all. Nothing is locked: each slot is one atomic word. The master
 * zeroes the column of a process that died, so that no count outlives who made it.
 *
 * A column is a hash table of a fixed size, keyed by a hash with a random seed; only the hash is stored. When
 * the places of a key are all taken by others the count is not kept (counters_add answers false). */
#ifndef PROCESS_COUNTERS_H
#define PROCESS_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COUNTER_COLUMNS = 256 };

enum counter_kind {
	COUNTER_CONNECTIONS = 1, /* per client address: smtpd_client_connection_count_limit */
	COUNTER_SESSIONS_OF_LOGIN,
};

/* ---- a process: its own mapping ------------------------------------------------------------------------------ */
void counters_attach(void *page, unsigned column);
/* Adds to the key's count in this process's column; below zero is zero. True when it is counted (without a
 * page: never). */
bool counters_add(enum counter_kind, const char *key, int delta);
/* The sum over all processes. */
unsigned counters_sum(enum counter_kind, const char *key);
/* What `ostler status` shows of this process. */
void counters_busy(int active, int parked);

/* ---- the master ---------------------------------------------------------------------------------------------- */
size_t counters_bytes(void);
void counters_init(void *page); /* of zeros */
void counters_clear(void *page, unsigned column);
void counters_busy_of(const void *page, unsigned column, int *active, int *parked);

#endif
