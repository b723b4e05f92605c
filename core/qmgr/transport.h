/* SPDX-License-Identifier: Apache-2.0
 * A transport: the service of that name in master.cf, its agents, and the destinations that it delivers to.
 * Destinations with work take turns. */
#ifndef QMGR_TRANSPORT_H
#define QMGR_TRANSPORT_H

#include <sys/queue.h>

#include <uthash.h>

#include "qmgr/destination.h"
#include "qmgr/settings.h"

struct agent;
TAILQ_HEAD(agent_list, agent);
TAILQ_HEAD(transport_list, transport);

struct transport {
	unsigned magic;
	struct qmgr *qmgr;
	UT_hash_handle hh;
	char *name;
	struct transport_settings settings;
	struct destination *destinations;            /* uthash, by key */
	struct destination_list ready[MAIL_CLASSES]; /* may be given a delivery now; the first is next */
	struct destination_list idle; /* nothing to do; kept for what they have earned, the oldest first */
	uint32_t nidle;
	struct agent_list agents;
	uint32_t flying[MAIL_CLASSES]; /* deliveries under way, of q->transports.flying */
	uint8_t turn;                  /* the class that is next, when both have work */
	unsigned barred;  /* living agents of a former qmgr whose word is awaited: nothing is handed out */
	bool unavailable; /* no such service, or it does not come up: recipients are deferred */
	char reason[160];
	int64_t available_at;            /* clock_mono: when to try again */
	int64_t wanted_since, wanted_at; /* clock_mono: agents were asked for; 0: not */
	int64_t pause_until;             /* transport_rate_delay */
	bool dirty;
	TAILQ_ENTRY(transport) dirty_link;
};

struct transports {
	uint32_t flying[MAIL_CLASSES]; /* of all of them */
	struct transport *table;       /* uthash, by name */
	struct transport_list dirty;   /* to be run at the end of this turn */
};

struct transport *transport_get(struct qmgr *, const char *name);
/* Something has changed: work has come, an agent is free, a wait is over. */
void transport_touch(struct qmgr *, struct transport *);
/* The end of a turn: hands out what can be handed out. */
void transports_run(struct qmgr *);
/* Every few seconds: unavailable ones may be tried again; agents that do not come are given up. */
void transports_tick(struct qmgr *);
/* postqueue -f: everything may be tried at once. */
void transports_revive(struct qmgr *);
void transports_init(struct qmgr *);
void transports_destroy(struct qmgr *);

#endif
