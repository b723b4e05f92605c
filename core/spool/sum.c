/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "spool/sum.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h>
#endif

struct sum_stream {
	XXH3_state_t *state;
};

/* The library's 128 bits as ours. */
static struct sum from(XXH128_hash_t h)
{
	return (struct sum){ .lo = h.low64, .hi = h.high64 };
}

void sum_prepare(void)
{
	(void)sum_bytes(0, "", 0);
}

struct sum sum_bytes(uint64_t seed, const void *p, size_t n)
{
	return from(XXH3_128bits_withSeed(n ? p : "", n, seed));
}

struct sum sum_keyed(const struct salt *salt, const void *p, size_t n)
{
	uint64_t half[2];
	__builtin_memcpy(half, salt->bytes, sizeof half);
	half[0] = le64toh(half[0]);
	half[1] = le64toh(half[1]);
	struct sum first = from(XXH3_128bits_withSeed(p, n, half[0]));
	uint64_t mixed[4] = { first.lo, first.hi, half[1], n };
	return from(XXH3_128bits_withSeed(mixed, sizeof mixed, half[1] ^ (half[0] << 1 | half[0] >> 63)));
}

bool salt_draw(struct salt *salt)
{
	ssize_t n = getrandom(salt->bytes, sizeof salt->bytes, 0);
	return n == (ssize_t)sizeof salt->bytes;
}

uint32_t salt_id(const struct salt *salt)
{
	uint32_t id = (uint32_t)XXH3_64bits_withSeed(salt->bytes, sizeof salt->bytes, 0x6f73746c6572ULL);
	return id ? id : 1;
}

struct sum_stream *sum_stream_new(uint64_t seed)
{
	struct sum_stream *s = MEM_NEW(struct sum_stream);
	s->state = XXH3_createState();
	if (!s->state)
		log_fatal("out of memory");
	XXH3_128bits_reset_withSeed(s->state, seed);
	return s;
}

void sum_stream_add(struct sum_stream *s, const void *p, size_t n)
{
	if (n)
		XXH3_128bits_update(s->state, p, n);
}

struct sum sum_stream_end(struct sum_stream **sp)
{
	struct sum sum = from(XXH3_128bits_digest((*sp)->state));
	XXH3_freeState((*sp)->state);
	free(*sp);
	*sp = NULL;
	return sum;
}

struct sum sum_two(uint64_t seed, const void *p, size_t n, const void *q, size_t m)
{
	if (m == 0)
		return sum_bytes(seed, p, n);
	XXH3_state_t state;
	XXH3_INITSTATE(&state);
	XXH3_128bits_reset_withSeed(&state, seed);
	if (n)
		XXH3_128bits_update(&state, p, n);
	XXH3_128bits_update(&state, q, m);
	return from(XXH3_128bits_digest(&state));
}
