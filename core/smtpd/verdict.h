/* SPDX-License-Identifier: Apache-2.0
 * What a run of restrictions has come to. */
#ifndef SMTPD_VERDICT_H
#define SMTPD_VERDICT_H

#include <stdbool.h>

#include "base/buf.h"

enum outcome { OUTCOME_DUNNO = 0, OUTCOME_PERMIT, OUTCOME_REJECT };

struct postponed { /* defer_if_permit, defer_if_reject: the first one counts */
	bool active;
	struct buf text; /* "450 4.7.1 …" */
};

struct verdict {
	struct buf reply;          /* after OUTCOME_REJECT: "554 5.7.1 <…>: …", without a line end */
	bool replied;              /* a module has called host->reply() */
	bool discard;              /* permit, but throw the message away */
	struct postponed if_permit, if_reject;
	unsigned warn_depth;       /* inside warn_if_reject */
	unsigned depth;            /* nested classes and access-table restrictions */
	const char *name, *kind;   /* of the object that is checked: "<a@b>", "Sender address" */
};

#endif
