/* SPDX-License-Identifier: Apache-2.0
 * The first 128 bytes of a message file: for file.c and file_read.c. */
#ifndef SPOOL_FILE_WIRE_H
#define SPOOL_FILE_WIRE_H

#include "spool/file.h"

void file_header_put(char at[FILE_HEADER], uint64_t serial, const struct salt *);

enum file_header_verdict { FILE_HEADER_GOOD, FILE_HEADER_NONE, FILE_HEADER_LATER };
enum file_header_verdict file_header_get(const char at[FILE_HEADER], uint64_t *serial, struct salt *);

#endif
