/* SPDX-License-Identifier: Apache-2.0
 * Bytes of mail protocols: classes that do not depend on the locale. */
#ifndef MAIL_ASCII_H
#define MAIL_ASCII_H

#include <stdbool.h>

static inline bool ascii_digit(int c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_alnum(int c)
{
	return ascii_digit(c) || ascii_alpha(c);
}
static inline bool ascii_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
/* Value of a hexadecimal digit, -1 when it is none. */
static inline int ascii_hex(int c)
{
	return ascii_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
/* RFC 5321 atext: what may stand in a local part without quotes, besides dots. */
static inline bool ascii_atext(int c)
{
	switch (c) {
	case '!': case '#': case '$': case '%': case '&': case '\'': case '*': case '+': case '-': case '/': case '=':
	case '?': case '^': case '_': case '`': case '{': case '|': case '}': case '~':
		return true;
	default:
		return ascii_alnum(c);
	}
}

#endif
