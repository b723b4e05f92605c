/* SPDX-License-Identifier: Apache-2.0
 * Connections to the outside, with a deadline. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include <stdint.h>

#include "base/why.h"

/* TCP to a numeric address; bind: a local address of the same family, or NULL. Answers a non-blocking descriptor, or -1 with
 * the system's reason alone ("Connection refused"). */
int net_tcp_connect(const char *address, uint16_t port, const char *bind, int64_t deadline, struct ost_why *);
/* A stream socket of the file system; otherwise the same. */
int net_unix_connect(const char *path, int64_t deadline, struct ost_why *);

#endif
