/* SPDX-License-Identifier: Apache-2.0
 * Content in its two forms. LF form: lines end in LF, and that is all. Wire form: as it goes through SMTP's
 * DATA (RFC 5321 4.5.2), each LF as CRLF and one dot more in front of a line that begins with one; without
 * the final dot. Every content has exactly one wire form, which leads back to it. */
#ifndef MAIL_WIREFORM_H
#define MAIL_WIREFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a writer of wire form has met: the state between pieces, and what a sender wants to know of the whole.
 * {0}: nothing. */
struct wire_tally {
	size_t column;    /* bytes of the line that is not over */
	uint64_t longest; /* no line is longer, without its line end; lines below 64 bytes need not count */
	uint64_t lf_size; /* of the same in LF form */
	bool stray_cr;    /* there is a CR in the LF form */
};

/* Puts n bytes in LF form into out, which has room for 2 * n; answers how many they are in wire form. */
size_t wire_encode(struct wire_tally *, const char *p, size_t n, char *out);

/* Bytes in wire form from p on, which begins a line, up to the first line that is not plain: that has no CRLF
 * (yet), or another CR or LF, or begins with a dot. Answers how many, all whole lines; *tally counts them. */
size_t wire_plain_lines(struct wire_tally *, const char *p, size_t n);
/* The same in plain C, for processors without vectors, and to compare with. */
size_t wire_plain_lines_portable(struct wire_tally *, const char *p, size_t n);

/* Back to LF form. *in_line: the state between pieces; false at the beginning. last: nothing follows;
 * otherwise a CR at the end stays unused, as its LF may follow. out has room for n and may be p. Answers the
 * bytes put there, *used those taken. */
size_t wire_decode(bool *in_line, const char *p, size_t n, bool last, char *out, size_t *used);

#endif
