/* SPDX-License-Identifier: Apache-2.0
 * Serials as the queue ids that people and log tools see. A serial is first mixed (reversibly), so that ids
 * that follow each other look different and do not tell a client how much mail passes here. */
#include <stdio.h>
#include <string.h>

#include "spool/message.h"

/* The long form: Postfix has six base-52 digits or more of seconds, four of microseconds, 'z', and base-51
 * digits of an inode. Ours has the mixed serial in the same shape. The digits are Postfix's: no vowels, no
 * words. */
static const char digits52[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
enum { SHORT_BITS = 40, SHORT_DIGITS = 10, WIDE_DIGITS = 16, LONG_HEAD = 10, LONG_TAIL = 4 };
#define SHORT_MASK ((UINT64_C(1) << SHORT_BITS) - 1)
#define MIX                                                                                                  \
	UINT64_C(0x9e3779b97f4a7c15) /* odd: multiplying by it has an inverse modulo every power of two      \
				      */

/* The inverse of an odd number modulo 2^64. */
static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;
	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

/* One to one on numbers of `bits` bits (40 or 64). */
static uint64_t mix(uint64_t v, unsigned bits)
{
	uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	v = v * MIX & mask;
	v ^= v >> bits / 2;
	v = v * MIX & mask;
	return v ^ v >> bits / 2;
}

/* And back: x ^ x >> half is its own inverse. */
static uint64_t unmix(uint64_t v, unsigned bits)
{
	uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, back = inverse(MIX);
	v ^= v >> bits / 2;
	v = v * back & mask;
	v ^= v >> bits / 2;
	return v * back & mask;
}

/* Writes exactly n digits of a base. */
static void put_digits(char *at, int n, unsigned base, uint64_t v)
{
	for (int i = n - 1; i >= 0; i--) {
		at[i] = digits52[v % base];
		v /= base;
	}
}

/* Reads digits of a base; false: something else, or more than 64 bits. */
static bool get_digits(const char *at, size_t n, unsigned base, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < n; i++) {
		const char *d = memchr(digits52, at[i], base);
		if (!d || __builtin_mul_overflow(*v, base, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(d - digits52), v))
			return false;
	}
	return true;
}

/* 52^10 is more than 2^56: the upper 56 bits stand before the 'z', the lower 8 behind it, with two more
 * digits that make the tail as long as an inode's. */
static void long_text(char *text, uint64_t serial)
{
	uint64_t v = mix(serial, 64);
	put_digits(text, LONG_HEAD, 52, v >> 8);
	text[LONG_HEAD] = 'z';
	put_digits(text + LONG_HEAD + 1, LONG_TAIL, 51, v & 0xff);
	text[LONG_HEAD + 1 + LONG_TAIL] = '\0';
}

char *queue_id_text(char text[QUEUE_ID_SIZE], uint64_t serial, bool long_form)
{
	if (long_form)
		long_text(text, serial);
	else if (serial <= SHORT_MASK)
		snprintf(text, QUEUE_ID_SIZE, "%0*llX", SHORT_DIGITS,
			 (unsigned long long)mix(serial, SHORT_BITS));
	else
		snprintf(text, QUEUE_ID_SIZE, "%0*llX", WIDE_DIGITS, (unsigned long long)mix(serial, 64));
	return text;
}

/* The short form: 10 digits are 40 bits, 16 digits are 64. */
static bool parse_short(const char *text, size_t len, uint64_t *serial)
{
	uint64_t v = 0;
	for (size_t i = 0; i < len; i++) {
		static const char hex[] = "0123456789ABCDEF";
		const char *d = memchr(hex, text[i], sizeof hex - 1);
		if (!d)
			return false;
		v = v << 4 | (uint64_t)(d - hex);
	}
	*serial = unmix(v, len == SHORT_DIGITS ? SHORT_BITS : 64);
	return len == SHORT_DIGITS || *serial > SHORT_MASK;
}

bool queue_id_parse(const char *text, uint64_t *serial)
{
	size_t len = strnlen(text, QUEUE_ID_SIZE);
	uint64_t head, tail;
	if (len == SHORT_DIGITS || len == WIDE_DIGITS)
		return parse_short(text, len, serial) && *serial != 0;
	if (len != LONG_HEAD + 1 + LONG_TAIL || text[LONG_HEAD] != 'z' ||
	    !get_digits(text, LONG_HEAD, 52, &head) ||
	    !get_digits(text + LONG_HEAD + 1, LONG_TAIL, 51, &tail) || head >> 56 || tail > 0xff)
		return false;
	*serial = unmix(head << 8 | tail, 64);
	return *serial != 0;
}
