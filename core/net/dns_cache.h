/* SPDX-License-Identifier: Apache-2.0
 * Answers of the resolver, kept for as long as they are good. Bounded; the oldest goes first. Locked inside. */
#ifndef NET_DNS_CACHE_H
#define NET_DNS_CACHE_H

#include "net/dns.h"

struct dns_cache;

struct dns_cache *dns_cache_new(void);
void dns_cache_destroy(struct dns_cache **);
/* True: known; the answer is copied into the arena. */
bool dns_cache_find(struct dns_cache *, struct arena *, const char *name, enum dns_type, struct dns_answer *,
		    enum dns_outcome *, struct ost_why *);
/* ttl in seconds; it is cut to an hour, and to a minute for what was not found. */
void dns_cache_add(struct dns_cache *, const char *name, enum dns_type, const struct dns_answer *, enum dns_outcome,
		   const struct ost_why *, int ttl);

#endif
