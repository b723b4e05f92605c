/* SPDX-License-Identifier: Apache-2.0
 * Wire form: any bytes as content with LF line ends, there and back in two pieces; and as what a client
 * sends, in which the plain lines are found fast as by the portable way, and are the wire form of what they
 * decode to. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/wireform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* There and back, cut at a place. */
static void try_content(const char *p, size_t n, size_t cut)
{
	struct wire_tally t = { 0 };
	char *wire = malloc(2 * n + 1), *back = malloc(2 * n + 1);
	size_t len = wire_encode(&t, p, cut, wire), used, more;
	len += wire_encode(&t, p + cut, n - cut, wire + len);
	assert(t.lf_size == n && len >= n && len <= 2 * n);
	size_t first = cut < len ? cut : len;
	bool in_line = false;
	size_t out = wire_decode(&in_line, wire, first, first == len, back, &used);
	assert(used <= first && used + 1 >= first);
	out += wire_decode(&in_line, wire + used, len - used, true, back + out, &more);
	assert(used + more == len && out == n && memcmp(back, p, n) == 0);
	free(wire);
	free(back);
}

static void try_lines(const char *p, size_t n)
{
	struct wire_tally fast = { 0 }, slow = { 0 }, again = { 0 };
	size_t plain = wire_plain_lines(&fast, p, n), used;
	assert(plain <= n && plain == wire_plain_lines_portable(&slow, p, n));
	assert(memcmp(&fast, &slow, sizeof fast) == 0);
	assert(plain == 0 || (p[plain - 1] == '\n' && p[0] != '.'));
	char *lf = malloc(plain + 1), *wire = malloc(2 * plain + 1);
	bool in_line = false;
	size_t len = wire_decode(&in_line, p, plain, true, lf, &used);
	assert(len == fast.lf_size && !in_line && !memchr(lf, '\r', len));
	assert(wire_encode(&again, lf, len, wire) == plain && memcmp(wire, p, plain) == 0);
	assert(again.longest == fast.longest || again.longest < 64);
	free(lf);
	free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const char *p = (const char *)data + 1;
	try_content(p, size - 1, size > 1 ? data[0] % size : 0);
	try_lines(p, size - 1);
	return 0;
}
