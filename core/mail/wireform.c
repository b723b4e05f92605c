/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/wireform.h"

#include <string.h>

#include "ostler/wireform.h"

/* A line, or what there is of it, has become n bytes longer. */
static void lengthen(struct wire_tally *t, size_t n)
{
	t->column += n;
	if (t->column > t->longest)
		t->longest = t->column;
}

size_t wire_encode(struct wire_tally *t, const char *p, size_t n, char *out)
{
	const char *end = p + n;
	char *to = out;
	t->lf_size += n;
	t->stray_cr = t->stray_cr || (n > 0 && memchr(p, '\r', n));
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t part = lf ? (size_t)(lf - p) : (size_t)(end - p);
		if (t->column == 0 && *p == '.') {
			*to++ = '.';
			lengthen(t, 1);
		}
		memcpy(to, p, part);
		lengthen(t, part);
		to += part;
		p += part;
		if (lf) {
			*to++ = '\r';
			*to++ = '\n';
			p++;
			t->column = 0;
		}
	}
	return (size_t)(to - out);
}

size_t wire_decode(bool *in_line, const char *p, size_t n, bool last, char *out, size_t *used)
{
	return ost_wire_decode(in_line, p, n, last, out, used);
}
