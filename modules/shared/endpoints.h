/* SPDX-License-Identifier: Apache-2.0
 * Lists of servers in .cf files: `inet:host:port`, `inet:[address]:port`, `unix:/path`, with white space or
 * commas between them. */
#ifndef SHARED_ENDPOINTS_H
#define SHARED_ENDPOINTS_H

#include "ostler/host.h"

struct endpoint {
	const char *name; /* for the log, as it was written */
	const char *host; /* without brackets; NULL: a UNIX socket */
	const char *path;
	int port;
};
struct endpoints {
	struct endpoint *list;
	size_t count;
	char *text; /* what the names point into */
};

/* "inet:" may be left out, and so may the port. False: flaw says which one makes no sense, or that there is
 * none. */
bool endpoints_parse(struct endpoints *, const char *parameter, const char *text, int default_port,
		     char *flaw, size_t size);
/* A connected descriptor, or -1 with the reason. Addresses of a name are tried one after the other. */
int endpoint_connect(const struct ost_host *, const struct endpoint *, int64_t deadline, struct ost_why *);
void endpoints_free(struct endpoints *);

#endif
