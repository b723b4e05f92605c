/* SPDX-License-Identifier: Apache-2.0
 * Content with LF line ends and in wire form: there and back, in pieces, and which lines are plain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/wireform.h"

enum { TEXT = 6000 };

static unsigned seed = 1;

static unsigned draw(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % below;
}

/* Text in which what matters is frequent, or, now and then, rare. */
static size_t random_text(char *p, bool mostly_plain)
{
	static const char *const odd[] = { "\n",     "\r",     ".",    "\r\n",  "\n.", "\r\n.",
					   "\r\n..", "\r\r\n", "\n\r", "\r.\n", "" };
	size_t n = 0, want = draw(TEXT - 400);
	while (n < want) {
		unsigned run = draw(mostly_plain ? 160 : 20);
		memset(p + n, 'a' + (int)(run % 26), run);
		n += run;
		const char *token =
			mostly_plain && draw(30) > 0 ? "\r\n" : odd[draw(sizeof odd / sizeof *odd)];
		memcpy(p + n, token, strlen(token));
		n += strlen(token);
	}
	return n;
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Encodes in pieces. */
static size_t encode(struct wire_tally *t, const char *p, size_t n, char *out)
{
	size_t len = 0;
	for (size_t part; n > 0; p += part, n -= part) {
		part = min(n, 1 + draw(50));
		len += wire_encode(t, p, part, out + len);
	}
	return len;
}

static void known_forms(void **state)
{
	(void)state;
	static const struct {
		const char *lf, *wire;
		size_t longest;
		bool stray_cr;
	} cases[] = {
		{ "", "", 0, false },
		{ "\n", "\r\n", 0, false },
		{ "a\n", "a\r\n", 1, false },
		{ "a\nbc", "a\r\nbc", 2, false },
		{ ".\n", "..\r\n", 2, false },
		{ "..a\n.b\n", "...a\r\n..b\r\n", 4, false },
		{ "a.\n", "a.\r\n", 2, false },
		{ "a\r\n", "a\r\r\n", 2, true },
		{ "\r\n.\r", "\r\r\n..\r", 3, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char wire[64], lf[64];
		struct wire_tally t = { 0 };
		bool in_line = false;
		size_t used, n = wire_encode(&t, cases[i].lf, strlen(cases[i].lf), wire);
		assert_int_equal(n, strlen(cases[i].wire));
		assert_memory_equal(wire, cases[i].wire, n);
		assert_int_equal(t.longest, cases[i].longest);
		assert_int_equal(t.lf_size, strlen(cases[i].lf));
		assert_int_equal(t.stray_cr, cases[i].stray_cr);
		assert_int_equal(wire_decode(&in_line, wire, n, true, lf, &used), strlen(cases[i].lf));
		assert_int_equal(used, n);
		assert_memory_equal(lf, cases[i].lf, strlen(cases[i].lf));
	}
}

static void there_and_back_in_pieces(void **state)
{
	(void)state;
	static char lf[TEXT], wire[2 * TEXT], whole[2 * TEXT], back[TEXT + 64];
	for (int round = 0; round < 2000; round++) {
		size_t n = random_text(lf, round % 2), used;
		struct wire_tally one = { 0 }, many = { 0 };
		size_t len = encode(&many, lf, n, wire);
		assert_int_equal(wire_encode(&one, lf, n, whole), len);
		assert_memory_equal(whole, wire, len);
		assert_memory_equal(&one, &many, sizeof one);
		bool in_line = false;
		assert_int_equal(wire_decode(&in_line, wire, len, true, back, &used), n);
		assert_memory_equal(back, lf, n);
		size_t total = 0;
		in_line = false;
		for (size_t at = 0; at < len; at += used) {
			size_t part = min(len - at, 2 + draw(60));
			total +=
				wire_decode(&in_line, wire + at, part, at + part == len, back + total, &used);
			assert_true(used > 0 && used <= part);
		}
		assert_int_equal(total, n);
		assert_memory_equal(back, lf, n);
		in_line = false; /* within the same memory */
		assert_int_equal(wire_decode(&in_line, wire, len, true, wire, &used), n);
		assert_memory_equal(wire, lf, n);
	}
}

/* By the definition, line by line. */
static size_t plain_by_definition(struct wire_tally *t, const char *p, size_t n)
{
	size_t at = 0;
	for (;;) {
		size_t end = at;
		while (end < n && p[end] != '\r' && p[end] != '\n')
			end++;
		if (end + 1 >= n || p[end] != '\r' || p[end + 1] != '\n' || p[at] == '.')
			return at;
		if (end - at > t->longest)
			t->longest = end - at;
		t->lf_size += end - at + 1;
		at = end + 2;
	}
}

/* Equal where lines of 64 bytes and more are concerned. */
static void assert_same_tally(const struct wire_tally *got, const struct wire_tally *want)
{
	assert_int_equal(got->lf_size, want->lf_size);
	assert_int_equal(got->column, 0);
	if (want->longest >= 64)
		assert_int_equal(got->longest, want->longest);
	else
		assert_true(got->longest <= want->longest);
}

static void plain_lines_are_found(void **state)
{
	(void)state;
	static char space[TEXT + 64];
	size_t some = 0;
	for (int round = 0; round < 20000; round++) {
		char *p = space + draw(64); /* at any place */
		size_t n = random_text(p, round % 8 != 0);
		struct wire_tally want = { 0 }, fast = { 0 }, portable = { 0 };
		size_t len = plain_by_definition(&want, p, n);
		assert_int_equal(wire_plain_lines(&fast, p, n), len);
		assert_int_equal(wire_plain_lines_portable(&portable, p, n), len);
		assert_same_tally(&fast, &want);
		assert_memory_equal(&fast, &portable, sizeof fast);
		some += len > 500;
	}
	assert_true(some > 1000);
}

/* Each odd byte at each place of some blocks. */
static void the_first_odd_byte_is_found(void **state)
{
	(void)state;
	static const char bytes[] = "\r\n.";
	for (size_t line = 1; line < 150; line += 7)
		for (size_t at = 0; at < 200; at++)
			for (size_t b = 0; b < sizeof bytes - 1; b++) {
				char text[256];
				for (size_t i = 0; i < sizeof text; i++)
					text[i] = i % (line + 2) == line       ? '\r'
						  : i % (line + 2) == line + 1 ? '\n'
									       : 'x';
				text[at] = bytes[b];
				for (size_t n = 190; n < sizeof text; n += 13) {
					struct wire_tally want = { 0 }, got = { 0 };
					size_t len = plain_by_definition(&want, text, n);
					assert_int_equal(wire_plain_lines(&got, text, n), len);
					assert_same_tally(&got, &want);
				}
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_forms),
		cmocka_unit_test(there_and_back_in_pieces),
		cmocka_unit_test(plain_lines_are_found),
		cmocka_unit_test(the_first_odd_byte_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
