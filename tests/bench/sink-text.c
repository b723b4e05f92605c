/* SPDX-License-Identifier: Apache-2.0
 * Finds the end of a message, the stamp in its header, and the sum of its body when the stamp carries one. */
#define _GNU_SOURCE 1
#include "sink.h"

#include <string.h>

enum { END_BLOCK = 256 };

void sink_text_start(struct sink_text *t)
{
	t->in_headers = true;
	t->stamped = false;
	t->at_line_start = true;
	t->stamp = (struct stamp){ .id = "-" };
	t->sum = (struct sum){ .crc = 0 };
	t->bytes = 0;
}

/* One header line with its CRLF; the empty one ends the headers. */
static void take_header(struct sink_text *t, const char *line, size_t n)
{
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (n == 0)
		t->in_headers = false;
	else if (!t->stamped && line[0] == 'X')
		t->stamped = stamp_parse(line, n, &t->stamp);
}

/* A piece of a body line, or all of it. */
static void take_body(struct sink_text *t, const char *line, size_t n, bool from_start)
{
	if (from_start && line[0] == '.') {
		line++;
		n--;
	}
	if (n >= 2 && line[n - 2] == '\r' && line[n - 1] == '\n') {
		sum_add(&t->sum, line, n - 2);
		sum_add(&t->sum, "\n", 1);
	} else {
		sum_add(&t->sum, line, n);
	}
}

static void take_lines(struct sink_text *t, const char *bytes, size_t n)
{
	t->bytes += n;
	while (n > 0 && (t->in_headers || t->stamp.has_sum)) {
		const char *nl = memchr(bytes, '\n', n);
		size_t line = nl ? (size_t)(nl - bytes) + 1 : n;

		if (t->in_headers)
			take_header(t, bytes, line);
		else
			take_body(t, bytes, line, t->at_line_start);
		t->at_line_start = nl != NULL;
		bytes += line;
		n -= line;
	}
}

/* The length of the part of the text that ends with the last CRLF in it. */
static size_t whole_lines(const char *bytes, size_t n)
{
	while (n > 0) {
		const char *nl = memrchr(bytes, '\n', n);

		if (!nl)
			return 0;
		n = (size_t)(nl - bytes);
		if (n > 0 && bytes[n - 1] == '\r')
			return n + 1;
	}
	return 0;
}

/* Where the final dot stands ("\r\n.\r\n"), or NULL. Most of a large text is passed over in blocks, which the compiler looks
 * at many bytes at a time. */
static const char *find_end(const char *bytes, size_t n)
{
	const char *at = bytes;

	for (; n - (size_t)(at - bytes) >= END_BLOCK + 2; at += END_BLOCK) {
		unsigned char found = 0;

		for (size_t i = 0; i < END_BLOCK; i++)
			found |= (unsigned char)((at[i] == '\n') & (at[i + 1] == '.') & (at[i + 2] == '\r'));
		if (found) {
			const char *from = at > bytes ? at - 1 : at;
			size_t left = n - (size_t)(from - bytes);
			const char *end = memmem(from, left < END_BLOCK + 5 ? left : END_BLOCK + 5, "\r\n.\r\n", 5);

			if (end)
				return end;
		}
	}
	if (at > bytes)
		at--;
	return memmem(at, n - (size_t)(at - bytes), "\r\n.\r\n", 5);
}

size_t sink_text_take(struct sink_text *t, const char *bytes, size_t n, bool *done)
{
	const char *end;
	size_t lines;

	*done = false;
	if (t->at_line_start && n >= 3 && memcmp(bytes, ".\r\n", 3) == 0) {
		*done = true;
		return 3;
	}
	end = find_end(bytes, n);
	if (end) {
		take_lines(t, bytes, (size_t)(end - bytes) + 2);
		*done = true;
		return (size_t)(end - bytes) + 5;
	}
	lines = whole_lines(bytes, n);
	if (lines == 0 && n >= SINK_IN_SIZE / 2)
		lines = n - 4; /* a line without end; a part of the final dot stays */
	take_lines(t, bytes, lines);
	if (lines > 0)
		t->at_line_start = bytes[lines - 1] == '\n';
	return lines;
}

const char *sink_text_verdict(const struct sink_text *t)
{
	if (!t->stamp.has_sum)
		return "plain";
	if (t->sum.crc == t->stamp.sum.crc && t->sum.len == t->stamp.sum.len)
		return "ok";
	return "bad";
}
