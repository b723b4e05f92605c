/* SPDX-License-Identifier: Apache-2.0
 * Host names by the system's ways (hosts file, name service, DNS: getaddrinfo), with a deadline that
 * getaddrinfo() does not have, and connections to them. For modules: host->addresses() and host->connect().
 */
#ifndef NET_LOOKUP_H
#define NET_LOOKUP_H

#include <stddef.h>

#include "config/view.h"
#include "ostler/host.h"

/* The numeric addresses of a host, those of inet_protocols alone, in the order to try; at most max, at least
 * one when it answers true. A numeric address, in brackets or not, is its own answer. Works in a sealed
 * process. */
bool net_addresses(const struct cfg_view *, const char *host, struct ost_address *list, size_t max,
		   size_t *count, int64_t deadline, struct ost_why *);
/* A stream to "host" and "port" (a number or a name of services(5)), or to a socket of the file system when
 * host starts with a slash. All addresses are tried, each with its share of the time. A non-blocking
 * descriptor, or -1. */
int net_connect(const struct cfg_view *, const char *host, const char *port, int64_t deadline,
		struct ost_why *);

#endif
