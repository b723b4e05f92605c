/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transports/smtp/smtp.h"

enum { SPARE_MAX = 64 * 1024, CHUNK = 16 * 1024 };

/* Room for n more bytes and a NUL. Memory that is not there ends the process, as in the core. */
static void reserve(struct text *t, size_t n)
{
	if (t->cap - t->len > n)
		return;
	size_t cap = t->cap ? t->cap : 1024;
	while (cap - t->len <= n)
		cap *= 2;
	char *data = realloc(t->data, cap);
	if (!data)
		abort();
	t->data = data;
	t->cap = cap;
}

void text_reserve_wire(struct text *t, size_t n)
{
	if (n > CHUNK)
		reserve(t, n + n / 32 + 2 * CHUNK);
}

void text_add(struct text *t, const void *p, size_t n)
{
	reserve(t, n);
	memcpy(t->data + t->len, p, n);
	t->len += n;
	t->data[t->len] = '\0';
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
	char space[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(space, sizeof space, fmt, ap);
	va_end(ap);
	if (n > 0)
		text_add(t, space, (size_t)n < sizeof space ? (size_t)n : sizeof space - 1);
}

void text_free(struct text *t)
{
	free(t->data);
	*t = (struct text){ .len = 0 };
}

struct text text_take(struct session *s)
{
	for (int i = 0; i < SPARE_TEXTS; i++) {
		struct text t = s->spare[i];
		s->spare[i] = (struct text){ .len = 0 };
		if (t.data)
			return t;
	}
	return (struct text){ .len = 0 };
}

void text_give(struct session *s, struct text *t)
{
	t->len = 0;
	for (int i = 0; i < SPARE_TEXTS && t->cap <= SPARE_MAX; i++)
		if (!s->spare[i].data) {
			s->spare[i] = *t;
			return;
		}
	text_free(t);
}

/* ---- content on the wire --------------------------------------------------------------------------------------------- */

/* A piece of one line, without CR and LF; broken where it grows too long. */
static void put_piece(struct wire *w, struct text *out, const char *p, size_t n)
{
	if (n > 0 && w->column == 0 && *p == '.')
		text_add(out, ".", 1);
	while (w->line_limit > 0 && w->column + n > w->line_limit) {
		size_t part = w->line_limit - w->column;
		text_add(out, p, part);
		text_add(out, "\r\n ", 3);
		p += part;
		n -= part;
		w->column = 1;
	}
	text_add(out, p, n);
	w->column += n;
}

/* A piece of a line in which CR may be: each becomes a blank unless the line ends with it. */
static void put_with_cr(struct wire *w, struct text *out, const char *p, size_t n)
{
	while (n > 0) {
		const char *cr = memchr(p, '\r', n);
		size_t part = cr ? (size_t)(cr - p) : n;
		if (w->cr)
			put_piece(w, out, " ", 1);
		w->cr = cr != NULL;
		put_piece(w, out, p, part);
		p += part + w->cr;
		n -= part + w->cr;
	}
}

/* One line, or what there is of it. */
static void put_line(struct wire *w, struct text *out, const char *p, size_t n, bool ends)
{
	put_with_cr(w, out, p, n);
	if (!ends)
		return;
	text_add(out, "\r\n", 2);
	w->column = 0;
	w->cr = false; /* CR LF in the content: one line end */
}

/* The same for the many lines that are neither long nor have a CR; up to the first that is not so. Answers how many bytes it
 * has taken; n is at most CHUNK. */
static size_t put_plain(struct wire *w, struct text *out, const char *p, size_t n)
{
	const char *from = p, *end = p + n;
	reserve(out, 2 * n + 2);
	char *to = out->data + out->len;
	while (from < end) {
		const char *lf = memchr(from, '\n', (size_t)(end - from));
		size_t part = lf ? (size_t)(lf - from) : (size_t)(end - from);
		if (w->line_limit > 0 && w->column + part > w->line_limit)
			break;
		if (part > 0 && w->column == 0 && *from == '.')
			*to++ = '.';
		memcpy(to, from, part);
		to += part;
		from += part;
		w->column += part;
		if (lf) {
			*to++ = '\r';
			*to++ = '\n';
			from++;
			w->column = 0;
		}
	}
	out->len = (size_t)(to - out->data);
	*to = '\0';
	return (size_t)(from - p);
}

void wire_put(struct wire *w, struct text *out, const char *p, size_t n)
{
	while (n > 0) {
		size_t part = n < CHUNK ? n : CHUNK, taken = 0;
		if (!w->cr && !memchr(p, '\r', part))
			taken = put_plain(w, out, p, part);
		if (taken < part) { /* a line that needs a closer look */
			const char *lf = memchr(p + taken, '\n', part - taken);
			size_t line = lf ? (size_t)(lf - p) - taken : part - taken;
			put_line(w, out, p + taken, line, lf != NULL);
			taken += line + (lf != NULL);
		}
		p += taken;
		n -= taken;
	}
}

void wire_end(struct wire *w, struct text *out)
{
	if (w->column > 0 || w->cr)
		text_add(out, "\r\n", 2);
	text_add(out, ".\r\n", 3);
	w->column = 0;
	w->cr = false;
}
