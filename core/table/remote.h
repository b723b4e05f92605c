/* SPDX-License-Identifier: Apache-2.0
 * Tables that another process is asked for: the side of who asks (protocol.h: M_TABLE_ASK). For handle.c. */
#ifndef TABLE_REMOTE_H
#define TABLE_REMOTE_H

#include "table/table.h"

/* Called on the receiving thread: the other process has opened the table anew. */
typedef void remote_changed_fn(const char *name);

void remote_init(table_connect_fn *, void *ctx, remote_changed_fn *);
bool remote_used(void); /* has remote_init() been called? */
bool remote_runs(void); /* and remote_run()? */
/* From now on a thread receives, and makes a new link when the old one has ended; before, the caller's does.
 */
bool remote_run(struct ost_why *);
void remote_end(void);

/* key NULL: for the flags alone; OST_FOUND: they are known. *denied: the other process does not answer for
 * this table. Several threads at once; no longer than until the deadline, but for a first connection before
 * remote_run(). */
struct remote_answer {
	unsigned flags; /* when result is none of a failure */
	bool denied;
};
enum ost_found remote_ask(const char *name, struct arena *, const char *key, size_t klen, int64_t deadline,
			  struct lookup *, struct remote_answer *);

#endif
