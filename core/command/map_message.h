/* SPDX-License-Identifier: Apache-2.0
 * postmap -h, -b and -m: a message on standard input whose headers and body lines are looked up, as
 * header_checks and body_checks would do. */
#ifndef COMMAND_MAP_MESSAGE_H
#define COMMAND_MAP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "command/map_input.h"

#define MAP_HEADERS                                                                                          \
	0x1u /* -h: headers of the message; with MAP_MIME those of its parts and of messages in it, too */
#define MAP_BODY 0x2u /* -b: what follows the headers; with MAP_MIME without the headers in it */
#define MAP_MIME 0x4u /* -m */

/* Calls ask() for each key: a header with all its lines, or a line of the body. */
typedef void map_message_fn(void *ctx, const char *key, size_t len);
void map_message_each(struct map_input *, unsigned what, map_message_fn *ask, void *ctx);

#endif
