/* SPDX-License-Identifier: Apache-2.0
 * One delivery: a message, one destination, some recipients. It is made from qmgr's M_DELIVER, runs in a thread of the crew,
 * and ends when its results are durable and reported. */
#ifndef DELIVER_DELIVERY_H
#define DELIVER_DELIVERY_H

#include "base/arena.h"
#include "deliver/agent.h"
#include "ostler/transport.h"
#include "spool/spool.h"

/* What a recipient's delivery came to; strings are sanitized and belong to the delivery's arena. */
struct outcome {
	bool reported;
	enum ost_delivered status;
	const char *dsn, *text, *relay, *mta, *diagnostic; /* the last three may be NULL */
	uint32_t flags;                                    /* OST_REPORT_* */
	uint32_t uses;                                     /* of the connection */
};

struct delivery {
	struct ost_delivery pub; /* first: what the module sees */
	unsigned magic;
	struct agent *agent;
	struct arena *arena;
	uint64_t id, serial; /* id: qmgr's own */
	const void *ticket;
	size_t ticket_len;
	uint8_t crew; /* CREW_*: whose thread it is for */
	bool patient; /* its results may wait a little for others */
	uint32_t *index;                /* of pub.rcpts, in the envelope */
	struct ost_delivery_rcpt *rcpts; /* pub.rcpts, to be filled in */
	struct outcome *outcomes;
	struct spool_stored stored; /* .arena is NULL until it was fetched */
	/* Times: UTC for what the log shows of other processes, clock_mono() for what happens here. */
	int64_t active_since, taken_utc, taken, connected, finished;
	struct delivery *next, *prev; /* in the agent's list of flights, under its lock */
	struct round *round;          /* the call of deliver() that it is in; NULL: in none */
	struct delivery *round_next;  /* the delivering thread's */
	struct delivery *finished_next; /* in the clerk's list, under its lock */
};

/* Parses a body of M_DELIVER; NULL with the reason when it is not well-formed. The bytes are copied. */
struct delivery *delivery_parse(struct agent *, const void *body, size_t len, struct ost_why *);
void delivery_destroy(struct delivery **);
/* Fetches it and has the module deliver it, and those that the module takes along. Consumes it (perhaps after this has
 * returned): the clerk records and reports. */
void delivery_run(struct delivery *);
/* For the module, inside deliver(): one more delivery to the same next hop that waits for a thread; NULL: none. */
struct delivery *delivery_next(struct delivery *);
/* For the module: this one is over, the call of deliver() goes on with others. Consumes it. */
void delivery_finish(struct delivery *);

/* ---- report.c: the module's reports, and their way to the log, the spool and qmgr ------------------------------- */
void report_recipient(struct delivery *, uint32_t rcpt, const struct ost_report *);
/* The same answer for all that have none yet. */
void report_rest(struct delivery *, enum ost_delivered, const char *dsn, const char *text);
void report_log(const struct delivery *);
/* What is to be kept of it, at most one for each recipient; answers how many. The texts are the delivery's. */
size_t report_results(const struct delivery *, struct spool_result *);
/* It is durable: M_DELIVERED, and the end of the delivery. */
void report_recorded(struct delivery *, const void *receipt, size_t len);
/* The ticket led nowhere: the message is gone. */
void report_gone(struct delivery *);

/* ---- flights.c: what is in flight, for a qmgr that starts anew ---------------------------------------------------- */
struct flights *flights_new(void);
void flights_destroy(struct flights **);
void flights_add(struct flights *, struct delivery *);
void flights_remove(struct flights *, struct delivery *);
size_t flights_count(struct flights *);
/* Says hello: service, limit and all that is in flight, in as many messages as it takes. False: the link is dead. */
bool flights_hello(struct flights *, struct ipc_link *, const char *service, size_t limit);

/* ---- logline.c --------------------------------------------------------------------------------------------------- */
/* Seconds as Postfix's log has them: two significant digits, at most `digits` behind the point, no zeros at the end. */
void log_seconds(struct buf *out, int64_t microseconds, int digits);

#endif
