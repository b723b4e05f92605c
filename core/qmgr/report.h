/* SPDX-License-Identifier: Apache-2.0
 * M_DELIVERED and M_NOTICE speak of recipients in the same way: the fields of one F_RESULT group. */
#ifndef QMGR_REPORT_H
#define QMGR_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tlv.h"

enum { REPORT_TEXT_MAX = 1000 };

struct report {
	uint64_t rcpt, status, flags;
	bool has_rcpt, has_status;
	const char *dsn, *reason, *mta, *diagnostic; /* NULL: not given; in text */
	char text[4][REPORT_TEXT_MAX];
};

/* False: not a result. */
bool report_read(struct report *, const struct tlv *group);

#endif
