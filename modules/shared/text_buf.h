/* SPDX-License-Identifier: Apache-2.0
 * Bytes that grow: for queries and answers that are put together. A text that grew beyond its bounds, or for
 * which there was no memory, is spoilt and stays so: ask once, at the end. */
#ifndef SHARED_TEXT_BUF_H
#define SHARED_TEXT_BUF_H

#include <stdbool.h>
#include <stddef.h>

enum { TEXT_BUF_MOST = 16 << 20 }; /* bytes */

struct text_buf {   /* starts as { 0 } */
	char *text; /* NULL: nothing was added yet. Else terminated, behind len */
	size_t len, room;
	bool spoilt;
};

/* Room for so many bytes more, which may then be written behind len. False: the text is spoilt. */
bool text_buf_reserve(struct text_buf *, size_t more);
void text_buf_add(struct text_buf *, const char *text, size_t len);
void text_buf_puts(struct text_buf *, const char *text);
void text_buf_clear(struct text_buf *); /* keeps the room, forgets that it is spoilt */
void text_buf_free(struct text_buf *);
static inline const char *text_buf_text(const struct text_buf *b)
{
	return b->text ? b->text : "";
}

#endif
