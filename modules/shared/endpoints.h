/* SPDX-License-Identifier: Apache-2.0
 * Lists of servers in .cf files: `inet:host:port`, `inet:[address]:port`, `unix:/path`, with white space or
 * commas between them. `inet:`, `unix:` and the port may be left out. */
#ifndef SHARED_ENDPOINTS_H
#define SHARED_ENDPOINTS_H

#include "ostler/host.h"

struct endpoint {
	const char *name; /* for the log, as it was written */
	const char *host; /* without brackets; NULL: a UNIX socket */
	const char *path;
	int port; /* 0: none was named, and there is no default */
};
struct endpoints {
	struct endpoint *list;
	size_t count;
	char *text; /* what the names point into */
};

#define ENDPOINTS_BETWEEN ", \t\r\n" /* what stands between them */
#define ENDPOINTS_FORMS                                                                                      \
	"inet:host:port, inet:[address]:port or unix:/path" /* for texts that say what is wrong */
/* One of them; text is taken apart, and it and the name must stay as long as it does. False: it makes no
 * sense. */
bool endpoint_parse(struct endpoint *, const char *name, char *text, int default_port);
/* False: flaw says which one makes no sense, or that there is none. */
bool endpoints_parse(struct endpoints *, const char *parameter, const char *text, int default_port,
		     char *flaw, size_t size);
/* A connected descriptor, or -1 with the reason. Addresses of a name are tried one after the other. */
int endpoint_connect(const struct ost_host *, const struct endpoint *, int64_t deadline, struct ost_why *);
void endpoints_free(struct endpoints *);

#endif
