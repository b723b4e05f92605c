/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHARED_UTF8_H
#define SHARED_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Is it UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF)? */
bool utf8_well_formed(const char *text, size_t len);

#endif
