/* SPDX-License-Identifier: Apache-2.0
 * A server without a process: one thread, sessions over socket pairs, a spool in a scratch folder. */
#ifndef SMTPD_STAGE_H
#define SMTPD_STAGE_H

#include "smtpd/session.h"
#include "spool/home.h"
#include "tests/support/fixture.h"

struct stage {
	struct fixture fix;
	struct server *server;
	char spool_path[128];
	size_t hints; /* messages that the spool has told of */
	struct ticket last; /* the last one */
};

/* Ends the test program when the configuration cannot be served. */
void stage_open(struct stage *, const char *main_cf);
/* What stage_open() does once the configuration is there; of a stage of zeros. */
void stage_serve(struct stage *);
void stage_close(struct stage *);

struct client {
	int fd;
	struct stage *stage;
	char text[65536]; /* what client_read() has read */
};
/* Connects and reads the greeting. */
struct client *client_new(struct stage *);
void client_free(struct client **);
/* Sends, lets the server work until it waits, and answers all that it said. */
const char *client_say(struct client *, const char *text);
const char *client_send(struct client *, const void *p, size_t n);
/* Lets the server work until nothing is left to do. */
void stage_run(struct stage *);

#endif
