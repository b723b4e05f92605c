/* SPDX-License-Identifier: Apache-2.0 */
#include "tables/socketmap/socketmap_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *socketmap_request(const char *name, const char *key, size_t klen, size_t *n)
{
	enum { NUMBER = 24, COLON_BLANK_COMMA_NUL = 4 };
	size_t name_len = strlen(name), size = NUMBER + name_len + klen + COLON_BLANK_COMMA_NUL;
	char *out = malloc(size);
	if (!out)
		return NULL;
	int head = snprintf(out, size, "%zu:%s ", name_len + 1 + klen, name);
	memcpy(out + head, key, klen);
	out[(size_t)head + klen] = ',';
	*n = (size_t)head + klen + 1;
	return out;
}

/* The length and the colon. STREAM_LONG: no netstring, or longer than max. */
static enum stream_state read_length(const struct ost_host *host, struct stream *s, int64_t max,
				     int64_t deadline, size_t *len, bool *any, struct ost_why *why)
{
	int64_t number = 0;
	bool digits = false;
	for (;;) {
		char c;
		enum stream_state state = stream_bytes(s, &c, 1, deadline);
		if (state != STREAM_OK)
			return state;
		*any = true;
		if (c == ':' && digits)
			break;
		if (c < '0' || c > '9') {
			host->why(why, "input format error");
			return STREAM_LONG;
		}
		digits = true;
		number = number * 10 + (c - '0');
		if (number > max) {
			host->why(why, "input exceeds size limit");
			return STREAM_LONG;
		}
	}
	*len = (size_t)number;
	return STREAM_OK;
}

enum stream_state socketmap_read(const struct ost_host *host, struct stream *s, int64_t max, int64_t deadline,
				 char **text, size_t *len, bool *any, struct ost_why *why)
{
	enum stream_state state = read_length(host, s, max, deadline, len, any, why);
	if (state != STREAM_OK)
		return state;
	char *room = malloc(*len + 1); /* and the comma */
	if (!room) {
		host->why(why, "out of memory");
		return STREAM_LONG;
	}
	state = stream_bytes(s, room, *len + 1, deadline);
	if (state == STREAM_OK && room[*len] != ',') {
		host->why(why, "input format error");
		state = STREAM_LONG;
	}
	if (state != STREAM_OK) {
		free(room);
		return state;
	}
	room[*len] = '\0';
	*text = room;
	return STREAM_OK;
}

enum socketmap_reply socketmap_parse(char *text, size_t len, const char **status, const char **value,
				     size_t *vlen)
{
	static const struct {
		const char *word;
		enum socketmap_reply reply;
	} words[] = {
		{ "OK", SOCKETMAP_FOUND },       { "NOTFOUND", SOCKETMAP_NOT_FOUND },
		{ "TEMP", SOCKETMAP_TRY_AGAIN }, { "TIMEOUT", SOCKETMAP_TRY_AGAIN },
		{ "PERM", SOCKETMAP_BROKEN },
	};
	char *blank = memchr(text, ' ', len);
	*status = text;
	*value = blank ? blank + 1 : text + len;
	*vlen = (size_t)(text + len - *value);
	if (blank)
		*blank = '\0';
	if (memchr(*value, '\0', *vlen))
		return SOCKETMAP_UNKNOWN;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(text, words[i].word) == 0 &&
		    strlen(text) == (size_t)((blank ? blank : text + len) - text))
			return words[i].reply;
	return SOCKETMAP_UNKNOWN;
}
