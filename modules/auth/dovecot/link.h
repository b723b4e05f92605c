/* SPDX-License-Identifier: Apache-2.0
 * One connection to Dovecot's authentication server. Requests of many threads are under way on it at the same time: each has a
 * number, and whichever thread reads a line gives it to the one that it is for. */
#ifndef DOVECOT_LINK_H
#define DOVECOT_LINK_H

#include "auth/dovecot/auth_reply.h"
#include "ostler/host.h"

struct link;

enum { LINK_MECHS = 32, LINK_NAME = 32 };
struct mechanisms {
	size_t count;
	struct {
		char name[LINK_NAME];
		uint32_t properties; /* OST_AUTH_* */
	} list[LINK_MECHS];
};

struct link_reply { /* OK, CONT or FAIL, and the line that its texts point into */
	struct auth_reply reply;
	char *line; /* free() */
};

/* Takes over a connected socket and shakes hands. Has one owner. NULL with the reason. */
struct link *link_new(const struct ost_host *, int fd, struct mechanisms *, int64_t deadline, struct ost_why *);
void link_ref(struct link *);
void link_unref(struct link *); /* the last one closes it; NULL: nothing */
/* Can nothing come of it any more? *failed: the server did not answer, or with rubbish, which why tells. */
bool link_dead(struct link *, bool *failed, struct ost_why *);
uint32_t link_next_id(struct link *);
/* Sends a line (its LF included) about request `id` and waits for what the server says of that. False with the reason; *lost: the
 * connection was closed before an answer came. One that others are answered on outlives a request that is not: Dovecot pauses up
 * to 15 seconds before it refuses those who have guessed often. */
bool link_ask(struct link *, uint32_t id, const char *line, size_t len, int64_t deadline, struct link_reply *, bool *lost,
	      struct ost_why *);
void link_tell(struct link *, const char *line, size_t len, int64_t deadline); /* without an answer */

#endif
