/* SPDX-License-Identifier: Apache-2.0
 * A whole queue manager in one process: real spool and keeper, while resolver, bounce, agents and commands
 * are played by the test over socket pairs. */
#ifndef TEST_QMGR_STAGE_H
#define TEST_QMGR_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "qmgr/qmgr.h"
#include "tests/support/fixture.h"

enum { ORDERS_MAX = 2000, ORDER_RCPTS = 600 };

/* An M_DELIVER that an agent has received. */
struct order {
	uint64_t id, serial;
	char nexthop[64], address[64]; /* address: of the first recipient */
	uint32_t rcpts[ORDER_RCPTS], nrcpts;
	char *ticket;
	size_t ticket_len;
	bool done;
};

struct player { /* an agent */
	struct ipc_link *link;
	struct spool_results *results;
	int pid;
	struct order *orders;
	size_t norders;
	size_t most; /* orders in hand at once, so far */
};

/* An M_NOTICE that bounce has received. */
struct asked_notice {
	uint64_t id, serial, kind, round;
	size_t nresults;
};

struct stage {
	struct fixture fix;
	char *path;
	struct spool *spool;
	struct spool_writer *writer;
	struct buf hints; /* of what has been stored and not been hinted yet */
	struct event_base *base;
	struct event *ticker;
	struct qmgr *qmgr;
	struct ipc_link *resolver, *bounce;
	bool no_bounce; /* bounce cannot be reached */
	bool no_resolver, resolver_wanted; /* the resolver does not come up; a link to it was asked for */
	struct asked_notice notices[50];
	size_t nnotices;
	char wanted[64]; /* the service that qmgr wanted last */
	struct player agents[4];
	size_t nagents;
};

/* Made and removed for each test. more: further lines of main.cf. */
struct stage *stage_open(const char *more);
void stage_close(struct stage *);
void stage_start_qmgr(struct stage *, const char *living_agents); /* done by stage_open(), with none */
void stage_stop_qmgr(struct stage *);

/* Stores a message; recipients end with NULL. Answers its serial. */
uint64_t stage_store(struct stage *, const char *sender, ...) __attribute__((sentinel));
uint64_t stage_store_many(struct stage *, const char *sender, const char *format,
			  unsigned n); /* format: "u%u@smtp.x" */
/* With another envelope: flags and times are the caller's. */
uint64_t stage_store_envelope(struct stage *, struct spool_envelope *);

/* An agent says hello; pid 0: one that does not exist. flights: serials of what it has in hand, ends with 0,
 * or NULL. */
struct player *stage_agent(struct stage *, const char *service, unsigned limit, int pid,
			   const uint64_t *flights);
void player_report(struct player *, struct order *, enum rcpt_status, const char *text, unsigned flags);
void player_record(struct player *, const struct order *, enum rcpt_status); /* durable, but not told */
void player_gone(struct player *, struct order *);
void player_die(struct player *);
struct order *player_order_for(struct player *, uint64_t serial); /* one that is not done; NULL */
size_t player_open(const struct player *);                        /* orders in hand */

void stage_noticed(struct stage *, size_t notice, bool good);

/* Lets everything happen that can: until nothing moves any more. */
void stage_settle(struct stage *);
/* Until cond() is true; the test fails after some seconds. */
void stage_until(struct stage *, bool (*cond)(struct stage *));
struct entry *stage_entry(struct stage *, uint64_t serial); /* NULL: left */
bool stage_empty(struct stage *);                           /* no message is known any more */

#endif
