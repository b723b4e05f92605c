/* SPDX-License-Identifier: Apache-2.0
 * A host for tests of transports: what they report is noted, tables are lists in the test, steps as a user are done at once,
 * in a folder of the test. */
#ifndef SHARED_TRIAL_H
#define SHARED_TRIAL_H

#include "ostler/host.h"

enum { TRIAL_RCPTS = 16 };

struct trial_entry { /* of a table: ends with key NULL. value NULL: the table fails for this key */
	const char *key, *value;
};
struct ost_tables { /* what modules hold */
	const struct trial_entry *entries;
};

struct trial_told {
	int times;
	enum ost_delivered status;
	char dsn[16], text[700], relay[64];
};

/* One delivery, and what came of it. */
struct trial {
	struct ost_delivery d; /* first */
	struct ost_delivery_rcpt rcpts[TRIAL_RCPTS];
	struct trial_told told[TRIAL_RCPTS];
	const char *content;
	bool in_memory;                  /* content() has it; else content_read() and a descriptor */
	bool in_wire_form;               /* the descriptor has it so */
	const char *service;             /* instance_name() */
	const struct ost_transport_ops *ops;
	const void *config;
	const char *home;                /* for steps as a user */
	char users[256];                 /* names of OST_USER_NAMED jobs, with a blank behind each */
	char forwarded[1024];            /* "sender: rcpt rcpt | prepend" */
	bool forward_fails, sync_fails, folder_sync_fails;
	struct trial *waiting;           /* host->next(): what waits behind this one, a list */
	struct trial *began;             /* with which the call of deliver() that took this one began; NULL: none took it */
	bool finished;                   /* host->finish() was called */
};

extern const struct ost_host trial_host;

/* A delivery of `content` to recipients (NULL at the end), whose original address is "orig@example.org". */
void trial_start(struct trial *, const char *content, const char *const *rcpts);
void trial_deliver(struct trial *, void *self);

#endif
