/* SPDX-License-Identifier: Apache-2.0
 * Listening sockets. They are the master's, one per address, and live as long as a generation uses them: a
 * reload keeps those whose address stays, so that no client is refused meanwhile. */
#ifndef PROCESS_LISTEN_H
#define PROCESS_LISTEN_H

#include <stddef.h>

#include "base/why.h"
#include "config/config.h"

struct listener {
	struct listener *next;
	char *name; /* "127.0.0.1:25", "[::1]:25", a path */
	bool is_path;
	int fd;         /* non-blocking */
	unsigned users; /* duties */
};

struct listener_set { /* of one duty */
	struct listener **items;
	size_t count;
};

/* Adds the sockets of a master.cf line of type inet or unix. `registry` is the list of all. With patience
 * (clock_mono()) an address that is still in use is tried again until then. On failure the set is as it was.
 */
bool listen_service(struct listener **registry, struct listener_set *, const struct service *,
		    int64_t patience, struct ost_why *);
/* Adds a unix socket for ipc links. */
bool listen_ipc(struct listener **registry, struct listener_set *, const char *path, unsigned mode,
		struct ost_why *);
/* Gives the set back; sockets that nobody uses any more are closed, their paths removed. */
void listen_release(struct listener **registry, struct listener_set *);

/* The port of a service name: a number, a name of known_tcp_ports or of the system's; 0: unknown. */
unsigned listen_port(const struct cfg_view *, const char *service);

#endif
