/* SPDX-License-Identifier: Apache-2.0
 * One next hop of one transport: what waits for it, how much it takes at once, and whether it is up. */
#ifndef QMGR_DESTINATION_H
#define QMGR_DESTINATION_H

#include <event2/event.h>
#include <sys/queue.h>

#include <uthash.h>

#include "qmgr/concurrency.h"
#include "qmgr/message.h"

struct transport;

struct destination {
	unsigned magic;
	bool ready[MAIL_CLASSES], idle; /* which lists of the transport it is in */
	bool dead;                      /* until the timer: what comes for it is deferred at once */
	bool paused;                    /* rate delay, until the timer */
	UT_hash_handle hh;
	char *key; /* nexthop, or user@nexthop where deliveries take one recipient */
	char *nexthop;
	struct transport *transport;
	struct concurrency concurrency;
	uint32_t busy;                      /* deliveries under way */
	struct job_list todo[MAIL_CLASSES]; /* each job has recipients; the first is next */
	struct job *gathering; /* the job that recipients being resolved right now are put into */
	struct event *timer;   /* NULL until one is needed */
	char dsn[12];
	char reason[400];
	TAILQ_ENTRY(destination) ready_link[MAIL_CLASSES], idle_link;
};
TAILQ_HEAD(destination_list, destination);

struct destination *destination_get(struct qmgr *, struct transport *, const char *key, const char *nexthop);
/* Puts it into the lists where it belongs now. To be called after every change of todo, busy, dead, paused.
 */
void destination_place(struct qmgr *, struct destination *);
/* A delivery has come back: it worked as far as the destination is concerned, or not. */
void destination_worked(struct qmgr *, struct destination *);
void destination_failed(struct qmgr *, struct destination *, const char *dsn, const char *reason);
/* Ends a death or pause now. */
void destination_revive(struct qmgr *, struct destination *);
/* After a delivery has been handed out: waits for the rate delay, if there is one. */
void destination_pause(struct qmgr *, struct destination *);
/* Forgets idle destinations, the oldest first, but for this many. */
void destinations_trim(struct qmgr *, struct transport *, uint32_t keep);
void destination_destroy(struct qmgr *,
			 struct destination **); /* nothing waits for it, nothing is under way */

#endif
