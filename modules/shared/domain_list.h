/* SPDX-License-Identifier: Apache-2.0
 * The parameter `domain` of tables that ask servers: of which domains keys are looked up. Items with commas
 * or white space between them: a domain, `type:table` with domains as keys, `/file` with more items; `!` in
 * front turns an item over. The first one that matches decides. */
#ifndef SHARED_DOMAIN_LIST_H
#define SHARED_DOMAIN_LIST_H

#include "ostler/host.h"
#include "shared/expansion.h"

struct domain_list;

/* From open(). *list becomes NULL when the text is empty: every key is looked up. False with the reason. */
bool domain_list_open(const struct ost_host *, struct ost_instance *, const char *text,
		      struct domain_list **list, struct ost_why *);
void domain_list_close(struct domain_list *); /* accepts NULL */
/* OST_FOUND: look the key up. OST_NOTFOUND: do not (a key without @, or without a local part, neither). Else
 * a table failed, and the answer has the reason. Whatever the answer holds then is of no value; it may be NULL. */
enum ost_found domain_list_has(const struct ost_host *, const struct domain_list *,
			       const struct expansion_key *, int64_t deadline, struct ost_answer *);

#endif
