/* SPDX-License-Identifier: Apache-2.0
 * Lists of addresses in RFC 5322 form: right-hand sides of alias tables, To: headers for sendmail -t. */
#ifndef MAIL_ADDRLIST_H
#define MAIL_ADDRLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct addrlist {
	const char **list; /* internal form, in the arena */
	size_t count;
	bool truncated;    /* there were more than max */
};

/* "a@b, Name <c@d> (comment), group: e@f, g;": at most max addresses; empty items are skipped. Linear in len. */
struct addrlist addrlist_parse(struct arena *, const char *text, size_t len, size_t max);

#endif
