/* SPDX-License-Identifier: Apache-2.0
 * Tables that are made of tables: type:{ type:name, { type:name with spaces } }. */
#ifndef SHARED_MEMBERS_H
#define SHARED_MEMBERS_H

#include "ostler/host.h"

struct members { /* constant once open */
	const struct ost_host *host;
	size_t count;
	struct ost_table *list[]; /* the core's */
};

/* Opens what the instance's name lists; NULL with the reason, in Postfix's words. free() ends it. Sets the
 * instance's flags from its members': patterns if the first one is, unsafe if any is, immediate if all are.
 */
struct members *members_open(const struct ost_host *, struct ost_instance *, const char *type,
			     struct ost_why *);
/* Asks one table with a key that may have capitals: a table of patterns is asked with it as it is, all others
 * with its letters in lower case. */
enum ost_found member_ask(const struct ost_host *, struct ost_table *, const struct ost_query *,
			  struct ost_answer *);

#endif
