/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/smtp/reply.h"

#include <stdio.h>
#include <string.h>

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

bool reply_status(const char *text, int code, char dsn[12])
{
	size_t at = 1;
	if (text[0] != '0' + code / 100)
		return false;
	for (int part = 0; part < 2; part++) {
		size_t digits = text[at] == '.' ? strspn(text + at + 1, "0123456789") : 0;
		if (digits < 1 || digits > 3)
			return false;
		at += 1 + digits;
	}
	if (text[at] != '\0' && text[at] != ' ')
		return false;
	snprintf(dsn, 12, "%.*s", (int)at, text);
	return true;
}

/* Appends what fits. */
static void append(struct reply *r, const char *line, size_t len)
{
	size_t used = strlen(r->text), room = REPLY_TEXT_MAX - used;
	if (used > 0 && room > 0) {
		r->text[used++] = ' ';
		room--;
	}
	if (len > room)
		len = room;
	memcpy(r->text + used, line, len);
	r->text[used + len] = '\0';
}

enum reply_line reply_add(struct reply *r, const char *line, size_t len)
{
	if (len < 3 || !digit(line[0]) || !digit(line[1]) || !digit(line[2]))
		return REPLY_BAD;
	char after = len > 3 ? line[3] : ' ';
	if (line[0] < '2' || line[0] > '5' || (after != ' ' && after != '-' && after != '\t'))
		return REPLY_BAD;
	r->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	append(r, line, len);
	if (after == '-')
		return REPLY_MORE;
	if (len <= 4 || !reply_status(line + 4, r->code, r->dsn))
		memcpy(r->dsn, line[0] == '2' || line[0] == '3' ? "2.0.0" : line[0] == '4' ? "4.0.0" : "5.0.0", sizeof "2.0.0");
	return REPLY_LAST;
}

enum reply_state reply_read(struct stream *s, struct reply *r, int64_t deadline, reply_each_fn *each, void *ctx)
{
	size_t bytes = 0;
	*r = (struct reply){ .code = 0 };
	for (int lines = 0; lines < REPLY_LINES_MAX && bytes <= REPLY_BYTES_MAX; lines++) {
		char *line;
		size_t len;
		switch (stream_line(s, &line, &len, deadline)) {
		case STREAM_OK:
			break;
		case STREAM_TIMEOUT:
			return REPLY_TIMEOUT;
		case STREAM_LOST:
			return REPLY_LOST;
		case STREAM_LONG:
			return REPLY_MALFORMED;
		}
		bytes += len;
		enum reply_line kind = reply_add(r, line, len);
		if (kind == REPLY_BAD)
			return REPLY_MALFORMED;
		if (each)
			each(ctx, len > 4 ? line + 4 : "");
		if (kind == REPLY_LAST)
			return REPLY_OK;
	}
	return REPLY_MALFORMED;
}
