/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/text_buf.h"

#include <stdlib.h>
#include <string.h>

static bool grow(struct text_buf *b, size_t need)
{
	size_t room = b->room ? b->room : 256;
	while (room < need)
		room *= 2;
	char *text = realloc(b->text, room);
	if (!text)
		return false;
	b->text = text;
	b->room = room;
	return true;
}

bool text_buf_reserve(struct text_buf *b, size_t more)
{
	bool fits = more < TEXT_BUF_MOST && b->len + more < TEXT_BUF_MOST;
	b->spoilt = b->spoilt || !fits || (b->len + more >= b->room && !grow(b, b->len + more + 1));
	return !b->spoilt;
}

void text_buf_add(struct text_buf *b, const char *text, size_t len)
{
	if (!text_buf_reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->text + b->len, text, len);
	b->len += len;
	b->text[b->len] = '\0';
}

void text_buf_puts(struct text_buf *b, const char *text)
{
	text_buf_add(b, text, strlen(text));
}

void text_buf_clear(struct text_buf *b)
{
	b->len = 0;
	b->spoilt = false;
	if (b->text)
		b->text[0] = '\0';
}

void text_buf_free(struct text_buf *b)
{
	free(b->text);
	*b = (struct text_buf){ 0 };
}
