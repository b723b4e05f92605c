/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/header.h"

#include <string.h>
#include <strings.h>

#include "mail/ascii.h"

enum { ADDR = HEADER_HAS_ADDRESSES, SEND = ADDR | HEADER_IS_SENDER, RECIP = ADDR | HEADER_IS_RECIPIENT,
       RESENT = HEADER_IS_RESENT };

static const struct {
	const char *name;
	unsigned flags;
} headers[HEADER_COUNT] = {
	[HEADER_APPARENTLY_TO] = { "Apparently-To", RECIP },
	[HEADER_BCC] = { "Bcc", RECIP },
	[HEADER_CC] = { "Cc", RECIP },
	[HEADER_CONTENT_LENGTH] = { "Content-Length", 0 },
	[HEADER_CONTENT_TYPE] = { "Content-Type", 0 },
	[HEADER_DATE] = { "Date", 0 },
	[HEADER_DELIVERED_TO] = { "Delivered-To", 0 },
	[HEADER_DISPOSITION_NOTIFICATION_TO] = { "Disposition-Notification-To", SEND },
	[HEADER_ERRORS_TO] = { "Errors-To", SEND },
	[HEADER_FROM] = { "From", SEND },
	[HEADER_MAIL_FOLLOWUP_TO] = { "Mail-Followup-To", SEND },
	[HEADER_MESSAGE_ID] = { "Message-Id", 0 },
	[HEADER_MIME_VERSION] = { "MIME-Version", 0 },
	[HEADER_RECEIVED] = { "Received", 0 },
	[HEADER_REPLY_TO] = { "Reply-To", SEND },
	[HEADER_RESENT_BCC] = { "Resent-Bcc", RECIP | RESENT },
	[HEADER_RESENT_CC] = { "Resent-Cc", RECIP | RESENT },
	[HEADER_RESENT_DATE] = { "Resent-Date", RESENT },
	[HEADER_RESENT_FROM] = { "Resent-From", SEND | RESENT },
	[HEADER_RESENT_MESSAGE_ID] = { "Resent-Message-Id", RESENT },
	[HEADER_RESENT_REPLY_TO] = { "Resent-Reply-To", SEND | RESENT },
	[HEADER_RESENT_SENDER] = { "Resent-Sender", SEND | RESENT },
	[HEADER_RESENT_TO] = { "Resent-To", RECIP | RESENT },
	[HEADER_RETURN_PATH] = { "Return-Path", SEND },
	[HEADER_RETURN_RECEIPT_TO] = { "Return-Receipt-To", SEND },
	[HEADER_SENDER] = { "Sender", SEND },
	[HEADER_SUBJECT] = { "Subject", 0 },
	[HEADER_TO] = { "To", RECIP },
};

size_t header_name_len(const char *line, size_t len)
{
	size_t n = 0;
	while (n < len && line[n] > 0x20 && line[n] < 0x7f && line[n] != ':')
		n++;
	size_t end = n;
	while (end < len && (line[end] == ' ' || line[end] == '\t'))
		end++;
	return n > 0 && end < len && line[end] == ':' ? n : 0;
}

enum header_id header_find(const char *name, size_t len)
{
	for (int id = 1; id < HEADER_COUNT; id++)
		if (ascii_lower(headers[id].name[0]) == ascii_lower(name[0]) && strlen(headers[id].name) == len &&
		    strncasecmp(headers[id].name, name, len) == 0)
			return (enum header_id)id;
	return HEADER_OTHER;
}

unsigned header_flags(enum header_id id)
{
	return headers[id].flags;
}

const char *header_name(enum header_id id)
{
	return headers[id].name;
}

const char *header_body(const char *header, size_t len, size_t *body_len)
{
	const char *colon = memchr(header, ':', len), *end = header + len;
	const char *body = colon ? colon + 1 : end;
	while (body < end && ascii_space((unsigned char)*body))
		body++;
	*body_len = (size_t)(end - body);
	return body;
}

bool header_message_id(const char *body, size_t len, const char **id, size_t *id_len)
{
	const char *start = memchr(body, '<', len);
	const char *end = start ? memchr(start, '>', len - (size_t)(start - body)) : NULL;
	if (!end)
		return false;
	for (const char *p = start; p < end; p++)
		if (ascii_space((unsigned char)*p))
			return false;
	*id = start;
	*id_len = (size_t)(end - start) + 1;
	return true;
}
