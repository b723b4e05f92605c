/* SPDX-License-Identifier: Apache-2.0
 * A histogram of times whose buckets are 3 % wide: constant memory, no sorting. */
#ifndef OST_BENCH_HIST_H
#define OST_BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

#define HIST_BUCKETS 1920

struct hist {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);

/* The time in ns below which this share (0 to 1) of the samples lies; 0 when there are none. */
uint64_t hist_percentile(const struct hist *h, double share);

/* Prints a JSON object: count, and mean, percentiles and maximum in microseconds. */
void hist_print_json(FILE *out, const struct hist *h);

#endif
