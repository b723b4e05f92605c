/* SPDX-License-Identifier: Apache-2.0
 * How a list is written, `domain=d.d.d.d*weight` (postconf(5) of Postfix: reject_rbl_client, postscreen_dnsbl_sites), and how
 * it is asked about an address (RFC 5782). Pure. */
#ifndef DNSBL_ZONE_H
#define DNSBL_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dnsbl_range {
	uint8_t first, last;
};
enum { DNSBL_RANGES_MAX = 16 }; /* of one part of a filter */

struct dnsbl_zone {
	char *text;         /* as it was written, without the weight: for replies. free() it */
	char *domain;       /* points into a copy behind it */
	bool filtered;      /* else each answer in 127.0.0.0/8 counts */
	struct dnsbl_range parts[4][DNSBL_RANGES_MAX];
	size_t counts[4];
	int weight;         /* 1 when none was written */
};

/* False: flaw says what is wrong; nothing is to be freed. */
bool dnsbl_zone_parse(struct dnsbl_zone *, const char *text, bool weighted, char *flaw, size_t size);
void dnsbl_zone_free(struct dnsbl_zone *);

enum dnsbl_match { DNSBL_NO, DNSBL_YES, DNSBL_ODD /* no list answers so: outside of 127.0.0.0/8, and no filter allows it */ };
/* Does an answer ("127.0.0.2") count? */
enum dnsbl_match dnsbl_zone_matches(const struct dnsbl_zone *, const char *address);

enum { DNSBL_QUERY_SIZE = 256 };
/* The name under which the list knows an address or a domain. False: it cannot be asked for. */
bool dnsbl_query_address(const struct dnsbl_zone *, const char *address, char query[DNSBL_QUERY_SIZE]);
bool dnsbl_query_domain(const struct dnsbl_zone *, const char *domain, char query[DNSBL_QUERY_SIZE]);

#endif
