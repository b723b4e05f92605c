/* SPDX-License-Identifier: Apache-2.0
 * Checksums of the spool: XXH3 with 128 bits. A record's head is keyed with the salt of its home, which a
 * sender of mail never sees, so that nothing inside a message passes for a record. */
#ifndef SPOOL_SUM_H
#define SPOOL_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sum {
	uint64_t lo, hi;
};
struct salt {
	unsigned char bytes[16];
};

/* Lets the library choose its code for this processor, before there are threads. */
void sum_prepare(void);
struct sum sum_bytes(uint64_t seed, const void *p, size_t n);
struct sum sum_keyed(const struct salt *, const void *p, size_t n);
static inline bool sum_equal(struct sum a, struct sum b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

bool salt_draw(struct salt *);         /* getrandom(2); false: errno */
uint32_t salt_id(const struct salt *); /* a short name of the salt that tells nothing of it; never 0 */
static inline bool salt_equal(const struct salt *a, const struct salt *b)
{
	return __builtin_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Piece by piece. */
struct sum_stream;
struct sum_stream *sum_stream_new(uint64_t seed);
void sum_stream_add(struct sum_stream *, const void *p, size_t n);
struct sum sum_stream_end(struct sum_stream **); /* frees it */
/* The sum of two pieces one after the other, as the stream would make it. */
struct sum sum_two(uint64_t seed, const void *p, size_t n, const void *q, size_t m);

#endif
