/* SPDX-License-Identifier: Apache-2.0
 * Logical lines of lookup table files: empty lines and comments are skipped, a line that starts with white space continues
 * the one before. */
#ifndef SHARED_TEXT_LINES_H
#define SHARED_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct text_lines {
	char *at, *end; /* what is not read yet */
	int next_line;  /* number of the physical line at `at`, from 1 */
	int line;       /* where the logical line starts that was read last */
	bool orphan;    /* it starts with white space, but there is no line that it could continue */
};

/* Reads the text, which is changed on the way: a logical line is put together in place. text[len] must be there and is
 * overwritten. */
void text_lines_start(struct text_lines *, char *text, size_t len);
/* The next logical line, terminated, without its newlines and without white space at the end; NULL: no more. */
char *text_lines_next(struct text_lines *, size_t *len);

/* The whole of a file in memory that the caller frees; NULL: errno tells. EFBIG: more than 256 MiB. The descriptor's
 * offset is neither used nor moved. */
char *text_read_file(int fd, size_t *len);

#endif
