/* SPDX-License-Identifier: Apache-2.0
 * How a cache is written: cache:{ttl=60s,negative=10s,stale=1h,size=10000}:type:name. */
#ifndef CACHE_SPEC_H
#define CACHE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_spec {
	int64_t ttl;       /* microseconds that a value is good for */
	int64_t negative;  /* the same for "not found" */
	int64_t stale;     /* how much longer a value is used while the table behind fails */
	int64_t size;      /* entries */
	const char *table; /* "type:name", in the text that was parsed */
};

enum { CACHE_SPEC_ERROR = 160 };

/* What is behind "cache:". False with what is wrong with it. */
bool cache_spec_parse(const char *text, struct cache_spec *, char error[CACHE_SPEC_ERROR]);

#endif
