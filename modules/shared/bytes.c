/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/bytes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}

void bytes_reset(struct bytes *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

void bytes_reserve(struct bytes *b, size_t more)
{
	if (b->failed || more < b->cap - b->len)
		return;
	if (more > SIZE_MAX / 4 || b->cap > SIZE_MAX / 4) {
		b->failed = true;
		return;
	}
	size_t room = b->cap ? b->cap * 2 : 256;
	while (room <= b->len + more)
		room *= 2;
	char *data = realloc(b->data, room);
	b->failed = !data;
	if (data) {
		b->data = data;
		b->cap = room;
	}
}

void bytes_add(struct bytes *b, const void *p, size_t n)
{
	bytes_reserve(b, n);
	if (b->failed)
		return;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void bytes_puts(struct bytes *b, const char *s)
{
	bytes_add(b, s, strlen(s));
}
