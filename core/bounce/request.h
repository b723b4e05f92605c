/* SPDX-License-Identifier: Apache-2.0
 * M_NOTICE, put together from its parts: what a notice is to say, and about whom. */
#ifndef BOUNCE_REQUEST_H
#define BOUNCE_REQUEST_H

#include "base/arena.h"
#include "bounce/notice.h"
#include "ipc/link.h"

struct notice_rcpt {
	uint32_t index;                              /* in the message's envelope */
	uint32_t status;                             /* enum rcpt_status */
	const char *address;                         /* as it was delivered, or was to be */
	const char *dsn, *reason, *mta, *diagnostic; /* or NULL */
};

struct notice_request {
	struct arena *arena; /* of all that is here */
	uint64_t id, serial;
	uint32_t round;
	enum notice_kind kind;
	const void *ticket;
	size_t ticket_len;
	struct notice_rcpt *rcpts;
	size_t nrcpts, room;
	bool complete; /* no part is missing */
};

enum { NOTICE_RCPTS_MAX = 100000 }; /* per notice; what is beyond is counted but not listed */

/* The id of a message's F_ID; false: it has none. */
bool notice_request_id(const struct ipc_message *, uint64_t *id);
struct notice_request *notice_request_new(void);
void notice_request_free(struct notice_request **);
/* Adds one message. False: it makes no sense. */
bool notice_request_add(struct notice_request *, const struct ipc_message *);

#endif
