/* SPDX-License-Identifier: Apache-2.0
 * Networks as mynetworks writes them: 127.0.0.0/8, [::1]/128, 10.1.2.3. */
#ifndef TABLE_NETWORK_H
#define TABLE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"

struct ip { /* an address in network byte order */
	int family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
};
struct network {
	struct ip ip;
	unsigned bits; /* of the prefix */
};

/* A numeric address; an IPv6 one may carry "IPv6:" in front and %scope behind. */
bool ip_parse(const char *text, struct ip *);
/* Is the pattern meant as a network at all (and not as a host name)? */
bool network_like(const char *pattern);
/* False with Postfix's words for what is wrong with it. */
bool network_parse(const char *pattern, struct network *, struct ost_why *);
bool network_contains(const struct network *, const struct ip *);

#endif
