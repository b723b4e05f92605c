/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/wireform.h: content as SMTP's DATA carries it (RFC 5321 4.5.2), and back to LF line ends. Code, not
 * an interface: it is compiled into who includes it. Since 1.3.
 */
#ifndef OSTLER_WIREFORM_H
#define OSTLER_WIREFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Wire form to LF line ends, piece by piece. *in_line: the state between pieces; false at the beginning.
 * last: nothing follows; otherwise a CR at the end stays unused, as its LF may follow: it comes again, in
 * front of the next piece. out has room for n bytes and may be p. Answers the bytes put there; *used: those
 * taken. */
static inline size_t ost_wire_decode(bool *in_line, const char *p, size_t n, bool last, char *out,
				     size_t *used)
{
	const char *start = p, *end = p + n;
	char *to = out;
	if (n > 0 && !last && end[-1] == '\r')
		end--;
	while (p < end) {
		const char *lf = (const char *)memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf ? lf : end;
		if (!*in_line && *p == '.')
			p++;
		size_t part = (size_t)(stop - p);
		if (lf && part > 0 && stop[-1] == '\r')
			part--;
		memmove(to, p, part);
		to += part;
		if (lf)
			*to++ = '\n';
		*in_line = !lf;
		p = lf ? lf + 1 : end;
	}
	*used = (size_t)(end - start);
	return (size_t)(to - out);
}

#endif
