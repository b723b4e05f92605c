/* SPDX-License-Identifier: Apache-2.0
 * The parameter `domain` of tables that ask a database: a list of names, of files that hold such lists, and
 * of tables
 * ("example.com, !example.org, /etc/domains, hash:/etc/more"). The first that matches decides. */
#ifndef SHARED_DOMAINLIST_H
#define SHARED_DOMAINLIST_H

#include "ostler/host.h"

struct domainlist;

/* From open() alone. *list is NULL when the text is empty. False with the reason. */
bool domainlist_open(const struct ost_host *, struct ost_instance *, const char *text,
		     struct domainlist **list, struct ost_why *);
void domainlist_free(struct domainlist *); /* accepts NULL */
/* OST_FOUND: in the list. A table that fails is passed on, with its reason in the answer. */
enum ost_found domainlist_match(const struct ost_host *, const struct domainlist *, const char *domain,
				size_t len, int64_t deadline, struct ost_answer *);

#endif
