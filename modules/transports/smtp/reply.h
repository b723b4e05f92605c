/* SPDX-License-Identifier: Apache-2.0
 * Replies of an SMTP server (RFC 5321 4.2), bounded in lines and bytes. Pure, but for reading lines from a stream. */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "shared/stream.h"

enum { REPLY_LINES_MAX = 1000, REPLY_TEXT_MAX = 1000, REPLY_BYTES_MAX = 64 * 1024 };

struct reply {
	int code;                      /* 200-599 */
	char dsn[12];                  /* "5.1.1"; made from the code when the server gives none that fits */
	char text[REPLY_TEXT_MAX + 1]; /* all lines with their codes, a blank between; cut where it is too long */
};

enum reply_line {
	REPLY_BAD = -1, /* not a reply line */
	REPLY_LAST = 0, /* "250 text" or "250" */
	REPLY_MORE = 1, /* "250-text" */
};

/* Adds one line to a reply that was zeros at first. */
enum reply_line reply_add(struct reply *, const char *line, size_t len);
/* The enhanced status code at the start of what follows the code ("2.1.0 Ok"); false: none, or of another class. */
bool reply_status(const char *text, int code, char dsn[12]);

enum reply_state {
	REPLY_OK = 0,
	REPLY_LOST,
	REPLY_TIMEOUT,
	REPLY_MALFORMED, /* not SMTP, or beyond the bounds */
};

/* Reads one reply. each (may be NULL) sees every line's text behind its code: EHLO keywords. */
typedef void reply_each_fn(void *ctx, const char *text);
enum reply_state reply_read(struct stream *, struct reply *, int64_t deadline, reply_each_fn *each, void *ctx);

#endif
