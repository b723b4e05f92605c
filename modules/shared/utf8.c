/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/utf8.h"

#include <stdint.h>

/* First bytes, how many follow, and the bounds of the second one (RFC 3629, section 4). */
static const struct {
	uint8_t first, last, more, low, high;
} forms[] = {
	{ 0x00, 0x7f, 0, 0, 0 },       { 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf }, { 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf },
	{ 0xf0, 0xf0, 3, 0x90, 0xbf }, { 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
};
enum { FORMS = sizeof forms / sizeof *forms };

/* The length of the character at p, 0: none. */
static size_t character(const uint8_t *p, size_t len)
{
	size_t form = 0;
	while (form < FORMS && p[0] > forms[form].last)
		form++;
	if (form == FORMS || p[0] < forms[form].first || len <= forms[form].more)
		return 0;
	if (forms[form].more > 0 && (p[1] < forms[form].low || p[1] > forms[form].high))
		return 0;
	for (size_t i = 2; i <= forms[form].more; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return forms[form].more + 1u;
}

bool utf8_well_formed(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	while (len > 0) {
		size_t n = character(p, len);
		if (n == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}
