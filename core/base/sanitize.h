/* SPDX-License-Identifier: Apache-2.0
 * The one function that every text from outside passes before it reaches a log line, a reply, a notice or a queue
 * record's reason. */
#ifndef BASE_SANITIZE_H
#define BASE_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum sanitize_for {
	SANITIZE_LOG,   /* control bytes and bytes that are not UTF-8 become '?'; valid UTF-8 stays */
	SANITIZE_REPLY, /* also everything above ASCII becomes '?' */
};

/* Appends at most max bytes of the cleaned text to out. A character is never cut in two. */
void sanitize(struct buf *out, const char *text, size_t len, size_t max, enum sanitize_for);
/* The same into a fixed array of size bytes, always terminated; answers dst. */
char *sanitize_into(char *dst, size_t size, const char *text, size_t len, enum sanitize_for);
/* Length of the UTF-8 character at s (1-4; RFC 3629: no surrogates, no overlong forms), 0 when it is none. */
size_t utf8_char(const char *s, size_t len);
bool utf8_valid(const char *s, size_t len);

#endif
