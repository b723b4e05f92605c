/* SPDX-License-Identifier: Apache-2.0
 * Lines of standard input. Before it waits for more, what was printed so far goes out: who types keys sees
 * each answer. */
#ifndef COMMAND_MAP_INPUT_H
#define COMMAND_MAP_INPUT_H

#include <stdbool.h>

#include "base/buf.h"

struct map_input {
	struct buf bytes;
	size_t at; /* what was taken of them */
	bool ended;
};

/* The next line without its newline, terminated; valid until the next call. NULL: there is none. */
char *map_input_line(struct map_input *, size_t *len);
void map_input_free(struct map_input *);

#endif
