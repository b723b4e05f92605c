/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sanitize.h"

#include <stdint.h>
#include <string.h>

size_t utf8_char(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	/* first byte low, high; second byte low, high; length: the table of RFC 3629, section 4 */
	static const struct {
		unsigned char lo, hi, lo2, hi2, n;
	} forms[] = {
		{ 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	if (len == 0)
		return 0;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (p[0] < forms[i].lo || p[0] > forms[i].hi)
			continue;
		size_t n = forms[i].n;
		if (n > len || (n > 1 && (p[1] < forms[i].lo2 || p[1] > forms[i].hi2)))
			return 0;
		for (size_t k = 2; k < n; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return n;
	}
	return 0;
}

/* Bytes of a word at once: those above ASCII, below space, and DEL get their top bit set. Whether any is; which one may
 * come out wrong behind the first. */
static uint64_t suspects(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t del = word ^ (ones * 0x7f);
	return (word | ((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & tops;
}

/* How many bytes from s on are printable ASCII. */
static size_t printable(const char *s, size_t len)
{
	size_t n = 0;
	for (uint64_t word; n + sizeof word <= len; n += sizeof word) {
		memcpy(&word, s + n, sizeof word);
		if (suspects(word))
			break;
	}
	while (n < len && s[n] >= 0x20 && s[n] < 0x7f)
		n++;
	return n;
}

bool utf8_valid(const char *s, size_t len)
{
	while (len > 0) {
		size_t n = printable(s, len);
		if (n == 0)
			n = utf8_char(s, len);
		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

/* U+0080..U+009F: control characters too, to some terminals. */
static bool c1_control(const char *s, size_t n)
{
	return n == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0;
}

/* Bytes to copy from s as they are, room bytes at most; 0: one byte becomes '?'. A character that does not fit: more than
 * room. */
static size_t clean_prefix(const char *s, size_t len, size_t room, enum sanitize_for what)
{
	size_t n = printable(s, len < room ? len : room);
	if (n > 0 || what == SANITIZE_REPLY || (unsigned char)*s < 0x80)
		return n;
	n = utf8_char(s, len);
	return c1_control(s, n) ? 0 : n;
}

void sanitize(struct buf *out, const char *text, size_t len, size_t max, enum sanitize_for what)
{
	while (len > 0 && max > 0) {
		size_t n = clean_prefix(text, len, max, what);
		if (n > max)
			break;
		buf_add(out, n ? text : "?", n ? n : 1);
		n = n ? n : 1;
		text += n;
		len -= n;
		max -= n;
	}
}

char *sanitize_into(char *dst, size_t size, const char *text, size_t len, enum sanitize_for what)
{
	size_t used = 0;
	while (len > 0 && used + 1 < size) {
		size_t n = clean_prefix(text, len, size - used - 1, what);
		if (used + n + 1 > size)
			break;
		if (n)
			memcpy(dst + used, text, n);
		else
			dst[used] = '?';
		n = n ? n : 1;
		used += n;
		text += n;
		len -= n;
	}
	if (size)
		dst[used] = '\0';
	return dst;
}
