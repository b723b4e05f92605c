/* SPDX-License-Identifier: Apache-2.0
 * Bytes that grow, for modules: memory may fail there, and one look at the end tells whether it did. */
#ifndef SHARED_BYTES_H
#define SHARED_BYTES_H

#include <stdbool.h>
#include <stddef.h>

struct bytes {
	char *data; /* NULL until something is added; what is there is followed by a NUL that does not count
		     */
	size_t len, cap;
	bool failed; /* memory was refused at some time: the content is not whole */
};

void bytes_free(struct bytes *);
void bytes_reset(struct bytes *); /* empty, memory kept, not failed */
void bytes_reserve(struct bytes *, size_t more);
void bytes_add(struct bytes *, const void *, size_t);
void bytes_puts(struct bytes *, const char *);

#endif
