/* SPDX-License-Identifier: Apache-2.0
 * A process that does all that a spool can, and writes into a ledger what it was told. */
#ifndef TEST_SPOOL_ACTOR_H
#define TEST_SPOOL_ACTOR_H

#include "disk.h"
#include "helper.h"

enum { MESSAGES = 40, RCPTS = 3, SEGMENT = 64 * 1024, SEGMENTS = 3 };

struct message { /* of the ledger: what the process was told */
	uint64_t serial;
	size_t size;
	uint32_t nrcpts;
	bool stored, finished, deleted, deleting;
	enum rcpt_status durable[RCPTS]; /* the states that were acknowledged */
	enum rcpt_status asked[RCPTS];   /* and those asked for last, acknowledged or not */
	char name[40];                   /* its identity */
	uint64_t notice_of;
};
struct ledger {
	struct message messages[MESSAGES];
	size_t n;
	bool finished; /* the process came to its end */
};

/* What a child process runs: everything, or a recovery alone. Answers its exit status. */
int actor_run(const char *path, struct ledger *, struct disk *);
int actor_recover(const char *path, struct ledger *, struct disk *);

#endif
