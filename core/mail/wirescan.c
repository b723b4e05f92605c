/* SPDX-License-Identifier: Apache-2.0
 * The plain lines of a piece of a message: what a client sends is mostly lines that end in CRLF and hold
 * nothing special, and these are told from the others 64 bytes at a time. Each byte of a block has its bit in
 * three masks: is it a CR, an LF, a dot? What is wrong with the block follows from the masks, shifted by one:
 * an LF that no CR stands before, a CR that no LF follows, a dot behind an LF. Where nothing is, only the
 * block's first and last line end matter: lines within it are shorter than 64 bytes. */
#include "mail/wireform.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 64 };

struct masks { /* bit i: of byte i */
	uint64_t cr, lf, dot;
};

struct scan {                        /* between blocks */
	uint64_t after_cr, after_lf; /* 1: the byte before this block is one */
	size_t lines, over;          /* whole lines so far, and where the last one ends */
	uint64_t longest;
};

/* One block, of which the bits in `valid` exist, that stands at `at`. False: the plain lines end in it. */
static inline __attribute__((always_inline)) bool take_block(struct scan *s, struct masks m, uint64_t valid,
							     size_t at)
{
	uint64_t behind_cr = m.cr << 1 | s->after_cr, behind_lf = m.lf << 1 | s->after_lf;
	uint64_t wrong = ((m.lf ^ behind_cr) | (m.dot & behind_lf)) & valid;
	uint64_t ends = m.lf & valid;
	if (wrong)
		ends &= (wrong & -wrong) - 1; /* what stands before the first of them */
	if (ends) {
		size_t first = at + (size_t)__builtin_ctzll(ends) - 1; /* the CR */
		if (first - s->over > s->longest)
			s->longest = first - s->over;
		s->over = at + BLOCK - (size_t)__builtin_clzll(ends);
		s->lines += (size_t)__builtin_popcountll(ends);
	}
	s->after_cr = m.cr >> (BLOCK - 1);
	s->after_lf = m.lf >> (BLOCK - 1);
	return !wrong;
}

typedef struct masks masks_fn(const char *p);

/* All blocks; the last one, which may be short, from a copy. */
static inline __attribute__((always_inline)) size_t scan_lines(struct wire_tally *t, const char *p, size_t n,
							       masks_fn *masks)
{
	struct scan s = { .after_lf = 1, .longest = t->longest };
	size_t at = 0;
	bool plain = true;
	for (; plain && n - at >= BLOCK; at += BLOCK)
		plain = take_block(&s, masks(p + at), UINT64_MAX, at);
	if (plain && at < n) {
		char rest[BLOCK] = { 0 };
		memcpy(rest, p + at, n - at);
		take_block(&s, masks(rest), ((uint64_t)1 << (n - at)) - 1, at);
	}
	t->longest = s.longest;
	t->lf_size += s.over - s.lines;
	return s.over;
}

/* ---- the masks ----------------------------------------------------------------------------------------------------------- */

static inline struct masks portable_masks(const char *p)
{
	struct masks m = { 0 };
	for (unsigned i = 0; i < BLOCK; i++) {
		m.cr |= (uint64_t)(p[i] == '\r') << i;
		m.lf |= (uint64_t)(p[i] == '\n') << i;
		m.dot |= (uint64_t)(p[i] == '.') << i;
	}
	return m;
}

size_t wire_plain_lines_portable(struct wire_tally *t, const char *p, size_t n)
{
	return scan_lines(t, p, n, portable_masks);
}

#if defined(__x86_64__)
static inline uint64_t sse2_mask(const __m128i v[4], char c)
{
	const __m128i all = _mm_set1_epi8(c);
	uint64_t m = 0;
	for (int i = 3; i >= 0; i--)
		m = m << 16 | (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], all));
	return m;
}

static inline struct masks sse2_masks(const char *p)
{
	__m128i v[4];
	memcpy(v, p, sizeof v);
	return (struct masks){ sse2_mask(v, '\r'), sse2_mask(v, '\n'), sse2_mask(v, '.') };
}

__attribute__((target("avx2"))) static inline uint64_t avx2_mask(__m256i low, __m256i high, char c)
{
	const __m256i all = _mm256_set1_epi8(c);
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, all)) |
	       (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, all)) << 32;
}

__attribute__((target("avx2"))) static inline struct masks avx2_masks(const char *p)
{
	__m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + BLOCK / 2));
	return (struct masks){ avx2_mask(low, high, '\r'), avx2_mask(low, high, '\n'),
			       avx2_mask(low, high, '.') };
}

__attribute__((target("avx512bw,bmi"))) static inline struct masks avx512_masks(const char *p)
{
	__m512i v = _mm512_loadu_si512(p);
	return (struct masks){ _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\r')), _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n')),
			       _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('.')) };
}

__attribute__((target("avx512bw,bmi"))) static size_t avx512_lines(struct wire_tally *t, const char *p, size_t n)
{
	return scan_lines(t, p, n, avx512_masks);
}

__attribute__((target("avx2"))) static size_t avx2_lines(struct wire_tally *t, const char *p, size_t n)
{
	return scan_lines(t, p, n, avx2_masks);
}

static size_t sse2_lines(struct wire_tally *t, const char *p, size_t n)
{
	return scan_lines(t, p, n, sse2_masks);
}

size_t wire_plain_lines(struct wire_tally *t, const char *p, size_t n)
{
	if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi"))
		return avx512_lines(t, p, n);
	return __builtin_cpu_supports("avx2") ? avx2_lines(t, p, n) : sse2_lines(t, p, n);
}
#else
size_t wire_plain_lines(struct wire_tally *t, const char *p, size_t n)
{
	return wire_plain_lines_portable(t, p, n);
}
#endif
