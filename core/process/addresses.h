/* SPDX-License-Identifier: Apache-2.0
 * The addresses that inet_interfaces, or the host part of a master.cf line, means. */
#ifndef PROCESS_ADDRESSES_H
#define PROCESS_ADDRESSES_H

#include <stddef.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/why.h"

struct listen_address {
	char text[64]; /* numeric; an IPv6 address without brackets */
	struct sockaddr_storage sa;
	socklen_t len;
};

/* "all", "loopback-only", host names, addresses ([::1] or ::1), separated; limited to the families of
 * inet_protocols ("all", "ipv4", "ipv6") that this system has. Each address once, in order, in the arena. */
bool addresses_of(struct arena *, const char *interfaces, const char *protocols, struct listen_address **list,
		  size_t *n, struct ost_why *);

#endif
