/* SPDX-License-Identifier: Apache-2.0
 * The header line by which the sink knows a message again, and the checksum of the body that it carries.
 *
 * 	X-Bench: ID NS CRC LEN
 *
 * NS is CLOCK_MONOTONIC when the text was sent. CRC (8 hex digits, as zlib's crc32) and LEN are of the body
 * as a mailbox file holds it: lines that end in LF, no dot-stuffing. "-" in place of both: the body is not
 * checked. */
#ifndef OST_BENCH_STAMP_H
#define OST_BENCH_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_HEADER "X-Bench: "
#define STAMP_ID_MAX 40

struct sum {
	uint32_t crc;
	uint64_t len;
};

struct stamp {
	char id[STAMP_ID_MAX];
	uint64_t ns;
	bool has_sum;
	struct sum sum;
};

/* Once before the first sum_add. */
void sum_init(void);

/* Takes more bytes into a sum that began as { 0 }. */
void sum_add(struct sum *s, const void *bytes, size_t n);

/* Writes the header line with its CRLF; returns its length, or 0 when size is too small. */
size_t stamp_format(const struct stamp *s, char *out, size_t size);

/* Reads a header line of len bytes without its line end; false when it is not a stamp. */
bool stamp_parse(const char *line, size_t len, struct stamp *out);

#endif
