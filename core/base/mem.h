/* SPDX-License-Identifier: Apache-2.0
 * Memory that does not fail: a refused allocation ends the process with a log line.
 * Free with free(). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

__attribute__((malloc, returns_nonnull)) void *mem_alloc(size_t size);
__attribute__((malloc, returns_nonnull)) void *mem_zalloc(size_t size);
__attribute__((returns_nonnull)) void *mem_realloc(void *p, size_t size);
/* n items of size bytes, checked for overflow. */
__attribute__((returns_nonnull)) void *mem_realloc_array(void *p, size_t n, size_t size);
__attribute__((malloc, returns_nonnull)) char *mem_strdup(const char *s);
__attribute__((malloc, returns_nonnull)) char *mem_strndup(const char *s, size_t n);
__attribute__((malloc, returns_nonnull)) void *mem_dup(const void *p, size_t n);
__attribute__((malloc, returns_nonnull, format(printf, 1, 2))) char *mem_printf(const char *fmt, ...);

/* For a process that takes and frees memory of a message's size all the time: what is freed at the end of the heap is kept, up to
 * 2 MiB of each of malloc()'s arenas, instead of being given back to the kernel, which would fill new pages with zeros. */
void mem_keep_freed(void);

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
