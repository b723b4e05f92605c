/* SPDX-License-Identifier: Apache-2.0
 * Parts of sendmail(1) that read: the message, its recipients, pickup's answer. */
#ifndef COMMAND_SENDMAIL_H
#define COMMAND_SENDMAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "pickup/drop.h"

/* Everything up to the end of the input, or a line with a lone dot; line ends become LF. Control of size: false, it is
 * larger than limit (0: none). */
bool sendmail_read_content(int fd, struct buf *, uint64_t limit, bool dot_is_text);
/* Adds the addresses of a list in RFC 5322 form. */
void sendmail_add_list(struct arena *, struct submission *, const char *text, size_t len);
/* Adds the recipients that To, Cc and Bcc name, or their Resent- twins when there are such (RFC 5322 3.6.6). */
void sendmail_header_rcpts(struct arena *, struct submission *, const char *content, size_t len);

struct intake_answer {
	int status;       /* sysexits */
	char reason[200];
};
bool sendmail_read_answer(const char *body, size_t len, struct intake_answer *);

#endif
