/* SPDX-License-Identifier: Apache-2.0
 * pgsql: what libpq is told with the addresses of its hosts. By itself it looks names up as long as
 * resolv.conf says, without a look at the clock; so they are looked up before, in time, and it gets numbers
 * (hostaddr) beside the names, with which certificates and password files are compared. */
#ifndef PGSQL_ADDRESSES_H
#define PGSQL_ADDRESSES_H

#include "connect.h"
#include "shared/text_buf.h"

struct pgsql_numeric {
	const char *name[PGSQL_WORDS_MAX + 3],
		*value[PGSQL_WORDS_MAX + 3]; /* those of the target, and hostaddr */
	struct text_buf host, address, port; /* lists with commas; an empty address is libpq's to find */
	size_t items;                        /* of each of them */
};

/* False with the reason: no host of the target has an address, or none that was found in time. Call
 * pgsql_numeric_free() in any case. */
bool pgsql_numeric_make(struct pgsql_numeric *, const struct pgsql *, const struct pgsql_target *,
			int64_t deadline, struct ost_why *);
void pgsql_numeric_free(struct pgsql_numeric *);

#endif
