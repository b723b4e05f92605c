/* SPDX-License-Identifier: Apache-2.0
 * Logical lines of Postfix's configuration files: comments and empty lines are skipped wherever they stand, a
 * line that starts with white space continues the one before. */
#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct lines {
	const char *at, *end; /* what is not read yet */
	int line;             /* number of the physical line at `at`, from 1 */
	struct buf text;      /* the current logical line */
};
struct logical_line {
	const char *text; /* joined, no newline, no white space at the end; valid until the next call */
	int line;         /* where it starts */
	bool orphan;      /* it starts with white space, but there is no line that it could continue */
};

void lines_open(struct lines *, const char *text, size_t len); /* text must outlive the reading */
bool lines_next(struct lines *, struct logical_line *);
void lines_close(struct lines *);

#endif
