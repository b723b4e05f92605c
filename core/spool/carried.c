/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "spool/home.h"

/* Tickets pass between processes of one machine and build: they are the struct. */
void ticket_put(struct buf *b, const struct ticket *t)
{
	buf_add(b, t, sizeof *t);
}

bool ticket_get(const void *p, size_t n, struct ticket *t)
{
	if (n != sizeof *t)
		return false;
	memcpy(t, p, n);
	return (t->home == TICKET_JOURNAL && t->length >= RECORD_HEAD) || t->home == TICKET_FILE;
}
