/* SPDX-License-Identifier: Apache-2.0
 * A fetched message whose content is in a file, in wire form: for fetch.c and stored.c. */
#ifndef SPOOL_STORED_H
#define SPOOL_STORED_H

#include "mail/wireform.h"
#include "spool/file.h"

/* The descriptor stays the caller's. verified: the content has its sum. */
struct stored_wire *stored_wire_new(const struct file_view *, bool verified);
void stored_wire_free(struct stored_wire **); /* accepts NULL */

#endif
