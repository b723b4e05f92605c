/* SPDX-License-Identifier: Apache-2.0
 * A magic number in every struct that passes behind a pointer, checked at each entry. For our own bugs only. */
#ifndef BASE_MAGIC_H
#define BASE_MAGIC_H

#include <assert.h>
#ifdef NDEBUG
#error "assertions stay in: do not define NDEBUG"
#endif

/* The struct has `unsigned magic` as its first member. */
#define CHECK_MAGIC(p, m)                                                                                            \
	do {                                                                                                         \
		assert((p) != NULL);                                                                                 \
		assert((p)->magic == (m));                                                                           \
	} while (0)

#endif
