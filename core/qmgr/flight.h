/* SPDX-License-Identifier: Apache-2.0
 * What agents that outlived a former qmgr have in hand.
 *
 * At its start qmgr learns from the master which agents live. Until each of a transport's agents has said
 * hello, with what it has in flight, or has died, and the result logs have been read again after that,
 * nothing is handed out for that transport. A message that such an agent has in flight is not made active
 * until it has landed. */
#ifndef QMGR_FLIGHT_H
#define QMGR_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uthash.h>

#include "ipc/link.h"

struct qmgr;
struct entry;
struct flight;
struct survivor;

TAILQ_HEAD(survivor_list, survivor);
struct flights {
	struct flight *table;          /* uthash, by serial: in the air, or landed and not read yet */
	struct survivor_list expected; /* living agents that have not said hello yet */
	struct survivor_list settling; /* those that have, or have died, until the logs are read */
};

/* The master's list, "name pid" a line. Before anything is handed out. */
void flight_expect(struct qmgr *, const char *names_and_pids);
/* Flights in an agent's hello. */
void flight_listed(struct qmgr *, int pid, const struct ipc_message *hello);
void flight_reported(struct qmgr *, int pid); /* its hello is complete */
/* A result of a delivery that this qmgr has not handed out. more: others of the same delivery follow. */
void flight_landed(struct qmgr *, int pid, uint64_t serial, bool more);
void flight_died(struct qmgr *, int pid);
bool flight_holds(struct qmgr *, const struct entry *); /* may not become active yet */
void flight_tick(struct qmgr *);
void flight_init(struct qmgr *);
void flight_destroy(struct qmgr *);

#endif
