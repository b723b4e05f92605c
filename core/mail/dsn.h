/* SPDX-License-Identifier: Apache-2.0
 * Enhanced status codes (RFC 3463): "x.y.z" in front of reply texts and access-table actions. */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stdbool.h>
#include <stddef.h>

enum { DSN_SIZE = 12 }; /* "5.999.999" and its NUL fit */

/* Length of the code that text starts with (class 2, 4 or 5, followed by white space or the end); 0: none. */
size_t dsn_valid(const char *text);
/* Splits "5.1.1 text": dsn gets the code (or defval when there is none), the answer points at the text. */
const char *dsn_split(char dsn[DSN_SIZE], const char *defval, const char *text);
/* The code with another class: "5.7.1" as '4' is "4.7.1". */
void dsn_set_class(char dsn[DSN_SIZE], char digit);

#endif
