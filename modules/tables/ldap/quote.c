/* SPDX-License-Identifier: Apache-2.0
 * Keys in filters and names. Both notations have a form for any byte: all but those that are harmless
 * everywhere get it. */
#include <string.h>

#include "tables/ldap/directory.h"

static bool is_plain(char c, const char *more)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(more, c));
}

static void quote(struct text_buf *out, const char *text, size_t len, const char *plain)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		char hex[3] = { '\\', digits[c >> 4], digits[c & 15] };
		if (is_plain(text[i], plain))
			text_buf_add(out, &text[i], 1);
		else
			text_buf_add(out, hex, sizeof hex);
	}
}

void directory_quote_for_filter(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	(void)ctx;
	quote(out, text, len, "@.-_+ :/,%'");
}

void directory_quote_for_dn(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	(void)ctx;
	quote(out, text, len, "@.-_:/%'");
}

/* How long the character is that starts with this byte, and what its second byte must be at least and at
 * most; 0: none starts so. */
static size_t character(unsigned char first, unsigned char *low, unsigned char *high)
{
	static const struct {
		unsigned char from, to, low, high;
		size_t len;
	} kinds[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (first < kinds[i].from || first > kinds[i].to)
			continue;
		*low = kinds[i].low;
		*high = kinds[i].high;
		return kinds[i].len;
	}
	return 0;
}

bool directory_quote_is_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	while (p < end) {
		unsigned char low, high;
		size_t n = character(*p, &low, &high);
		if (n == 0 || n > (size_t)(end - p) || (n > 1 && (p[1] < low || p[1] > high)))
			return false;
		for (size_t i = 2; i < n; i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
		p += n;
	}
	return true;
}
