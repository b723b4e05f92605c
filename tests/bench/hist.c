/* SPDX-License-Identifier: Apache-2.0 */
#include "hist.h"

#define SUB_BITS 5
#define SUB      (1U << SUB_BITS)

/* Values below SUB have a bucket each; above, each power of two is cut into SUB buckets. */
static unsigned bucket_of(uint64_t v)
{
	unsigned shift;

	if (v < SUB)
		return (unsigned)v;
	shift = 63U - (unsigned)__builtin_clzll(v) - SUB_BITS;
	return (shift << SUB_BITS) + (unsigned)(v >> shift);
}

/* The middle of a bucket, as the value that stands for it. */
static uint64_t value_of(unsigned b)
{
	unsigned shift;

	if (b < 2 * SUB)
		return b;
	shift = (b >> SUB_BITS) - 1;
	return ((uint64_t)(b - (shift << SUB_BITS)) << shift) + (UINT64_C(1) << (shift - 1));
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->bucket[bucket_of(ns)]++;
	h->count++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

uint64_t hist_percentile(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)((double)h->count * share);
	uint64_t seen = 0;

	if (want >= h->count)
		return h->max;
	for (unsigned b = 0; b < HIST_BUCKETS; b++) {
		seen += h->bucket[b];
		if (seen > want)
			return value_of(b) < h->max ? value_of(b) : h->max;
	}
	return h->max;
}

static double us(uint64_t ns)
{
	return (double)ns / 1000.0;
}

void hist_print_json(FILE *out, const struct hist *h)
{
	fprintf(out,
		"{\"count\": %llu, \"mean\": %.1f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
		"\"p999\": %.1f, \"max\": %.1f}",
		(unsigned long long)h->count, h->count ? us(h->sum) / (double)h->count : 0.0,
		us(hist_percentile(h, 0.5)), us(hist_percentile(h, 0.9)), us(hist_percentile(h, 0.99)),
		us(hist_percentile(h, 0.999)), us(h->max));
}
