/* SPDX-License-Identifier: Apache-2.0
 * Base64 (RFC 4648 4), for values that are files. */
#ifndef COMMAND_BASE64_H
#define COMMAND_BASE64_H

#include <stdbool.h>

#include "base/buf.h"

void base64_encode(struct buf *out, const void *data, size_t len);
/* Nothing but whole groups, padded. False: out has what came before the flaw. */
bool base64_decode(struct buf *out, const char *text, size_t len);

#endif
