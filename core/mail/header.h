/* SPDX-License-Identifier: Apache-2.0
 * Message headers (RFC 5322 2.2): which line starts one, what it is called, and what the core knows of it. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

enum header_id {
	HEADER_OTHER = 0,
	HEADER_APPARENTLY_TO, HEADER_BCC, HEADER_CC, HEADER_CONTENT_LENGTH, HEADER_CONTENT_TYPE, HEADER_DATE,
	HEADER_DELIVERED_TO, HEADER_DISPOSITION_NOTIFICATION_TO, HEADER_ERRORS_TO, HEADER_FROM, HEADER_MAIL_FOLLOWUP_TO,
	HEADER_MESSAGE_ID, HEADER_MIME_VERSION, HEADER_RECEIVED, HEADER_REPLY_TO, HEADER_RESENT_BCC, HEADER_RESENT_CC,
	HEADER_RESENT_DATE, HEADER_RESENT_FROM, HEADER_RESENT_MESSAGE_ID, HEADER_RESENT_REPLY_TO, HEADER_RESENT_SENDER,
	HEADER_RESENT_TO, HEADER_RETURN_PATH, HEADER_RETURN_RECEIPT_TO, HEADER_SENDER, HEADER_SUBJECT, HEADER_TO,
	HEADER_COUNT,
};

enum { /* bits */
	HEADER_IS_SENDER = 1, HEADER_IS_RECIPIENT = 2, HEADER_IS_RESENT = 4, HEADER_HAS_ADDRESSES = 8,
};

/* Length of the name when the line starts a header ("Name:", white space may stand before the colon); 0: it does not. */
size_t header_name_len(const char *line, size_t len);
enum header_id header_find(const char *name, size_t len);
unsigned header_flags(enum header_id);
const char *header_name(enum header_id); /* as it is written; NULL for HEADER_OTHER */
/* The text behind the colon, leading white space skipped. */
const char *header_body(const char *header, size_t len, size_t *body_len);
/* The first <…> of a Message-ID header's body, without white space inside; false: there is none. */
bool header_message_id(const char *body, size_t len, const char **id, size_t *id_len);

#endif
