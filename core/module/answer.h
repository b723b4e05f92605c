/* SPDX-License-Identifier: Apache-2.0
 * What a table's lookup() fills through the host: a value in the asking side's arena. */
#ifndef MODULE_ANSWER_H
#define MODULE_ANSWER_H

#include "base/arena.h"
#include "base/why.h"

struct ost_answer {
	struct arena *arena; /* the caller's; values are copied into it */
	const char *value;   /* NULL until host->answer() */
	size_t len;
	struct ost_why *why; /* the caller's */
};

#endif
