/* SPDX-License-Identifier: Apache-2.0
 * Memory that lives as long as one message, session or configuration, and goes in one step.
 * Not locked: one thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_destroy(struct arena **a);   /* accepts NULL, sets NULL */
void arena_reset(struct arena *a);      /* gives all of it back, keeps the first block */
size_t arena_size(const struct arena *a); /* bytes held, for budgets */

__attribute__((returns_nonnull)) void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned to 16 */
__attribute__((returns_nonnull)) char *arena_strdup(struct arena *a, const char *s);
__attribute__((returns_nonnull)) char *arena_strndup(struct arena *a, const char *s, size_t n); /* n bytes exactly */
__attribute__((returns_nonnull)) void *arena_dup(struct arena *a, const void *p, size_t n);
__attribute__((returns_nonnull, format(printf, 2, 3))) char *arena_printf(struct arena *a, const char *fmt, ...);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
