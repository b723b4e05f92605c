/* SPDX-License-Identifier: Apache-2.0 */
#include "stamp.h"

#include <stdio.h>
#include <string.h>

#define CRC_POLYNOMIAL UINT32_C(0xedb88320)

static uint32_t crc_table[256];

void sum_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = (c & 1) ? (c >> 1) ^ CRC_POLYNOMIAL : c >> 1;
		crc_table[i] = c;
	}
}

void sum_add(struct sum *s, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint32_t c = ~s->crc;

	s->len += n;
	for (; n > 0; n--)
		c = crc_table[(c ^ *p++) & 0xff] ^ (c >> 8);
	s->crc = ~c;
}

size_t stamp_format(const struct stamp *s, char *out, size_t size)
{
	int n;

	if (s->has_sum)
		n = snprintf(out, size, STAMP_HEADER "%s %llu %08x %llu\r\n", s->id,
			     (unsigned long long)s->ns, (unsigned)s->sum.crc, (unsigned long long)s->sum.len);
	else
		n = snprintf(out, size, STAMP_HEADER "%s %llu - -\r\n", s->id, (unsigned long long)s->ns);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

bool stamp_parse(const char *line, size_t len, struct stamp *out)
{
	const size_t prefix = sizeof STAMP_HEADER - 1;
	char text[160];
	unsigned long long ns;
	unsigned long long sum_len;
	unsigned crc;
	int fields;

	if (len < prefix || len - prefix >= sizeof text || memcmp(line, STAMP_HEADER, prefix) != 0)
		return false;
	memcpy(text, line + prefix, len - prefix);
	text[len - prefix] = '\0';
	*out = (struct stamp){ .has_sum = false };
	fields = sscanf(text, "%39s %20llu %8x %20llu", out->id, &ns, &crc, &sum_len);
	if (fields < 2)
		return false;
	out->ns = ns;
	if (fields == 4) {
		out->has_sum = true;
		out->sum = (struct sum){ .crc = crc, .len = sum_len };
	}
	return true;
}
