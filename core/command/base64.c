/* SPDX-License-Identifier: Apache-2.0 */
#include "command/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, const void *data, size_t len)
{
	const unsigned char *p = data;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t group = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
				 (left > 2 ? p[i + 2] : 0u);
		buf_putc(out, digits[group >> 18 & 63]);
		buf_putc(out, digits[group >> 12 & 63]);
		buf_putc(out, left > 1 ? digits[group >> 6 & 63] : '=');
		buf_putc(out, left > 2 ? digits[group & 63] : '=');
	}
}

/* One group of four; last: it may be padded. */
static bool decode_group(struct buf *out, const char *text, bool last)
{
	size_t n = last && text[3] == '=' ? (text[2] == '=' ? 2 : 3) : 4;
	uint32_t group = 0;
	for (size_t i = 0; i < n; i++) {
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
		if (!digit)
			return false;
		group |= (uint32_t)(digit - digits) << (18 - 6 * i);
	}
	for (size_t i = 0; i + 1 < n; i++)
		buf_putc(out, (char)(group >> (16 - 8 * i) & 0xff));
	return true;
}

bool base64_decode(struct buf *out, const char *text, size_t len)
{
	if (len % 4)
		return false;
	for (size_t i = 0; i < len; i += 4)
		if (!decode_group(out, text + i, i + 4 == len))
			return false;
	return true;
}
