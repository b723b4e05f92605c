/* SPDX-License-Identifier: Apache-2.0
 * Which addresses are this mail system's own: inet_interfaces and proxy_interfaces. */
#ifndef NET_SELF_H
#define NET_SELF_H

#include <stdbool.h>

#include "config/view.h"

struct self;

/* Looks at the interfaces now; names in the lists are looked up by the system's ways. Never NULL. */
struct self *self_new(const struct cfg_view *);
void self_destroy(struct self **);
/* A numeric address; own: it is in the lists. */
bool self_owns(const struct self *, const char *address);
/* Addresses that lead to this machine wherever they are used: loopback, and the unspecified one. */
bool self_is_loopback(const char *address);

#endif
