/* SPDX-License-Identifier: Apache-2.0 */
#include "tables/tcp/tcp_reply.h"

#include <string.h>

static bool is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

size_t tcp_request(char out[TCP_LINE_MAX], const char *key, size_t klen)
{
	static const char digits[] = "0123456789ABCDEF", verb[] = "get ";
	size_t n = sizeof verb - 1;
	memcpy(out, verb, n);
	for (size_t i = 0; i < klen; i++) {
		unsigned char c = (unsigned char)key[i];
		if (n + 3 >= TCP_LINE_MAX) /* with room for the newline */
			return 0;
		if (is_plain(c)) {
			out[n++] = key[i];
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 0xf];
	}
	out[n++] = '\n';
	return n;
}

/* The value of a hexadecimal digit; -1: it is none. */
static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; false: a % without two digits, or a NUL. */
static bool decode(char *text, size_t len, size_t *to)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			int high = len - i > 2 ? digit_value(text[i + 1]) : -1;
			int low = len - i > 2 ? digit_value(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0')
			return false;
		text[n++] = c;
	}
	text[n] = '\0';
	*to = n;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

enum tcp_reply tcp_parse_reply(char *line, size_t len, const char **value, size_t *vlen)
{
	static const enum tcp_reply by_class[] = {
		TCP_BAD_CODE,  TCP_BAD_CODE, TCP_FOUND,    TCP_BAD_CODE, TCP_TRY_AGAIN,
		TCP_NOT_FOUND, TCP_BAD_CODE, TCP_BAD_CODE, TCP_BAD_CODE, TCP_BAD_CODE,
	};
	enum { CODE = 4 }; /* three digits and a blank */
	bool coded = len >= CODE && is_digit(line[0]) && is_digit(line[1]) && is_digit(line[2]) &&
		     memchr(" \t\r\v\f", line[3], 5);
	if (!coded || !decode(line + CODE, len - CODE, vlen))
		return TCP_MALFORMED;
	*value = line + CODE;
	return by_class[line[0] - '0'];
}
