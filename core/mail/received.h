/* SPDX-License-Identifier: Apache-2.0
 * The header lines that say where a message came from and what it is called. All end in LF. */
#ifndef MAIL_RECEIVED_H
#define MAIL_RECEIVED_H

#include <stdint.h>

#include "base/buf.h"

struct received {
	const char *helo;      /* what the client called itself; NULL: its name */
	const char *name, *address; /* of the client: "unknown", "192.0.2.1" or "IPv6:…" form as for the log */
	const char *by;        /* myhostname */
	const char *mail_name;
	const char *protocol;  /* SMTP, ESMTP, ESMTPS */
	const char *tls;       /* lines behind the first, without the last line end; NULL: none */
	const char *login;     /* of the client; NULL: not said */
	const char *queue_id;
	const char *recipient; /* internal form, when there is exactly one; else NULL */
	int64_t when;          /* UTC microseconds */
};
/* RFC 5321 4.4: mail that came by SMTP. */
void received_smtp(struct buf *out, const struct received *);
/* Mail of a local user; helo, name, address and protocol are not used. */
void received_local(struct buf *out, const struct received *, unsigned uid);
/* "<20061122143000.QUEUEID@myhostname>" */
void message_id_make(struct buf *out, int64_t when, const char *queue_id, const char *hostname);

#endif
