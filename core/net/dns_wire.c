/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/dns.h"

enum { LABEL_MAX = 63, NAME_MAX_BYTES = 255 };

static bool host_byte(uint8_t c)
{
	return c < 0x80 && (isalnum(c) || c == '-' || c == '_' || c == '/');
}

bool dns_wire_name(const uint8_t *data, size_t len, char text[256])
{
	size_t at = 0, used = 0;
	if (len > NAME_MAX_BYTES)
		return false;
	while (at < len && data[at] != 0) {
		size_t label = data[at++];
		if (label > LABEL_MAX || at + label >= len)
			return false;
		if (used > 0)
			text[used++] = '.';
		for (size_t i = 0; i < label; i++) {
			if (!host_byte(data[at + i]))
				return false;
			text[used++] = (char)data[at + i];
		}
		at += label;
	}
	text[used] = '\0';
	return at < len && at + 1 == len;
}

const char *dns_wire_text(struct arena *a, const uint8_t *data, size_t len)
{
	struct buf text = BUF_INIT;
	size_t at = 0;
	while (at < len) {
		size_t n = data[at++];
		if (n > len - at) {
			buf_free(&text);
			return NULL;
		}
		if (text.len + n <= DNS_TEXT_MAX)
			buf_add(&text, data + at, n);
		at += n;
	}
	const char *joined = len > 0 ? arena_strndup(a, buf_str(&text), text.len) : NULL;
	buf_free(&text);
	return joined;
}

/* One "nameserver ADDRESS[@PORT]" line; false: another line. */
static bool parse_line(const char *line, size_t len, char server[DNS_SERVER_SIZE])
{
	static const char word[] = "nameserver";
	size_t at = sizeof word - 1;
	if (len <= at || memcmp(line, word, at) != 0 || (line[at] != ' ' && line[at] != '\t'))
		return false;
	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	size_t n = strcspn(line + at, " \t\r\n#;");
	if (n > len - at)
		n = len - at;
	if (n == 0 || n >= DNS_SERVER_SIZE)
		return false;
	memcpy(server, line + at, n);
	server[n] = '\0';
	return true;
}

size_t dns_parse_resolv(const char *text, char servers[DNS_SERVERS_MAX][DNS_SERVER_SIZE])
{
	size_t n = 0;
	while (*text && n < DNS_SERVERS_MAX) {
		size_t len = strcspn(text, "\n");
		n += parse_line(text, len, servers[n]);
		text += len + (text[len] == '\n');
	}
	return n;
}
