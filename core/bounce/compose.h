/* SPDX-License-Identifier: Apache-2.0
 * The text of a notice: RFC 3462 multipart/report with an explanation, the delivery status of RFC 3464, and
 * the message or its headers. Pure: bytes in, bytes out. */
#ifndef BOUNCE_COMPOSE_H
#define BOUNCE_COMPOSE_H

#include "base/buf.h"
#include "bounce/request.h"

struct notice_settings {
	const char *myhostname, *myorigin, *mail_name;
	const char *double_bounce;                                 /* whole address */
	const char *bounce_copies, *delay_copies, *double_bounces; /* *_notice_recipient, whole addresses */
	int64_t size_limit;                                        /* bounce_size_limit */
	int64_t lifetime;                                          /* maximal_queue_lifetime */
	bool copy_bounces, copy_delays;                            /* notify_classes */
	bool long_queue_ids;
};

struct notice_text {
	const struct notice_settings *settings;
	const struct notice_request *request;
	const struct spool_envelope *env; /* of the message that the notice is about */
	const char *queue_id;             /* of that message */
	const char *own_id;               /* of the notice */
	const char *to;                   /* internal form */
	int64_t now;                      /* UTC */
	bool postmaster;                  /* for the postmaster, not the sender */
	bool headers_only, eight_bit;     /* of what is returned */
	char boundary[160], message_id[256];
};

/* Fills in boundary and message_id. */
void compose_prepare(struct notice_text *, uint64_t random);
/* All that stands before the returned message; what stands behind it. Lines end in LF. */
void compose_head(struct buf *, const struct notice_text *);
void compose_tail(struct buf *, const struct notice_text *);

#endif
