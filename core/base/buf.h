/* SPDX-License-Identifier: Apache-2.0
 * A growable byte buffer. Its text is always followed by a NUL that does not count, so buf_str() is a C string. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL until something is added */
	size_t len, cap;
};
#define BUF_INIT { 0 }

void buf_free(struct buf *b);           /* and ready for use again */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_truncate(struct buf *b, size_t len);      /* len <= b->len */
void buf_consume(struct buf *b, size_t n);         /* drops the first n bytes */
char *buf_steal(struct buf *b, size_t *len);       /* the caller frees it; b is empty then; never NULL */

static inline void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}
static inline const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

#endif
