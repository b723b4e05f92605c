/* SPDX-License-Identifier: Apache-2.0
 * A table that asks one server: a request goes out, a reply comes back, over connections that the threads
 * share (pool.h). */
#ifndef SHARED_DIALOGUE_H
#define SHARED_DIALOGUE_H

#include "ostler/host.h"
#include "shared/stream.h"

struct dialogue_config {
	const char *host, *port;      /* for host->connect() */
	const char *name;             /* of the server, for the log */
	uint32_t connections;         /* at most */
	int64_t idle_time, life_time; /* as in pool.h */
	/* Reads one reply into ctx. STREAM_OK: a reply, which may say what it will. Otherwise why is filled,
	 * or empty where the state says it all; STREAM_LONG: what comes is no reply. *any: a byte has come.
	 */
	enum stream_state (*read)(void *ctx, struct stream *, int64_t deadline, bool *any, struct ost_why *);
};

struct dialogue;

/* NULL with the reason. */
struct dialogue *dialogue_open(const struct ost_host *, struct ost_instance *, const struct dialogue_config *,
			       struct ost_why *);
void dialogue_close(struct dialogue *); /* NULL: nothing */
/* Sends the request and reads the reply. A connection that the server had closed before is replaced, once.
 * False: try again later, with the reason. */
bool dialogue_ask(struct dialogue *, const void *request, size_t n, void *ctx, int64_t deadline,
		  struct ost_why *);

#endif
