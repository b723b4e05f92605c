/* SPDX-License-Identifier: Apache-2.0
 * The queue manager's state, and one turn of its loop. Single-threaded; nothing here waits for a disk or a
 * peer. role.c puts it into a process. */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include <event2/event.h>

#include "config/config.h"
#include "qmgr/agent.h"
#include "qmgr/entry.h"
#include "qmgr/flight.h"
#include "qmgr/notice.h"
#include "qmgr/pace.h"
#include "qmgr/peer.h"
#include "qmgr/resolve_client.h"
#include "qmgr/schedule.h"
#include "qmgr/settings.h"
#include "qmgr/slots.h"
#include "qmgr/transport.h"
#include "spool/keeper.h"

#define QMGR_MAGIC 0x93670001u

/* What the process around qmgr does for it. */
struct qmgr_host {
	void *ctx;
	/* Asks for a link to "resolve" or "bounce"; qmgr_linked() answers, perhaps much later. */
	void (*connect)(void *ctx, const char *role);
	void (*want)(void *ctx, const char *service);        /* start an agent of this master.cf line */
	bool (*has_service)(void *ctx, const char *service); /* is there such a line? */
};

/* Who waits for an answer of the keeper: the token that was given to it. Embedded in the asker's struct. */
struct answer {
	void (*loaded)(struct qmgr *, struct answer *, uint64_t serial, const struct spool_envelope *);
	void (*updated)(struct qmgr *, struct answer *, uint64_t serial, bool ok);
	void (*reread)(struct qmgr *, struct answer *);
};

struct qmgr {
	unsigned magic;
	const struct cfg_view *view;
	struct arena *arena; /* of the settings */
	struct qmgr_settings settings;
	struct qmgr_host host;
	struct event_base *base;
	struct keeper *keeper;

	struct entry *entries;                 /* uthash, by serial */
	struct entry_list lists[ENTRY_STATES]; /* [ENTRY_INCOMING]: new mail */
	struct entry_list retried;             /* INCOMING with ENTRY_RETRIED */
	bool retried_turn;
	struct pace pace;    /* of what is tried again, while new mail comes */
	uint64_t retried_in; /* LOADING or ACTIVE with ENTRY_RETRIED */
	struct schedule schedule;
	struct schedule flushing; /* DEFERRED too: what a flush has not come to yet */
	bool flush_again;         /* asked for meanwhile */
	uint64_t counts[ENTRY_STATES];
	bool scanned;              /* recovery has been through the spool */
	int64_t recipients;        /* in memory */
	struct message_list stuck; /* a step about it failed: the next tick tries again */
	struct answer load_answer, save_answer, delete_answer; /* of active messages (spool_events.c) */

	struct slots deliveries; /* struct delivery, by F_ID of M_DELIVER */
	struct transports transports;
	struct agents agents;
	struct flights flights;
	struct resolve_client resolve;
	struct notice_client notices;
	struct peers peers;
	unsigned commands; /* links of postqueue and postsuper */
	struct buf scratch; /* for the body of the message that is being made */
};

struct qmgr *qmgr_new(const struct cfg_view *, struct event_base *, const struct qmgr_host *);
/* Opens the keeper on this spool and starts recovery; false: another qmgr has it. Recovery is the first thing
 * that the keeper is asked for: what it reads before would not count for it. */
bool qmgr_open_spool(struct qmgr *, struct spool *, struct ost_why *);
void qmgr_destroy(struct qmgr **);

/* A link that was asked for; NULL: there is none now. */
void qmgr_linked(struct qmgr *, const char *role, struct ipc_link *);
/* Tries again what is stuck. */
void qmgr_retry(struct qmgr *);

/* After each round of events: admits, schedules, sends what the round has collected. True: call again at
 * once. */
bool qmgr_turn(struct qmgr *);
/* Every few seconds: retries what is stuck, reconnects. */
void qmgr_tick(struct qmgr *);

#endif
