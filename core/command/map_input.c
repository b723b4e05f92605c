/* SPDX-License-Identifier: Apache-2.0 */
#include "command/map_input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* More bytes, or the end. */
static void read_more(struct map_input *in)
{
	enum { AT_ONCE = 65536 };
	ssize_t n;
	buf_consume(&in->bytes, in->at);
	in->at = 0;
	buf_reserve(&in->bytes, AT_ONCE);
	fflush(stdout);
	do
		n = read(STDIN_FILENO, in->bytes.data + in->bytes.len, AT_ONCE);
	while (n < 0 && errno == EINTR);
	in->ended = n <= 0;
	in->bytes.len += n > 0 ? (size_t)n : 0;
	in->bytes.data[in->bytes.len] = '\0';
}

char *map_input_line(struct map_input *in, size_t *len)
{
	size_t looked = 0; /* bytes of the line that hold no newline */
	for (;;) {
		char *line = in->bytes.data + in->at;
		size_t left = in->bytes.len - in->at;
		char *newline = left > looked ? memchr(line + looked, '\n', left - looked) : NULL;
		if (newline || (in->ended && left > 0)) {
			*len = newline ? (size_t)(newline - line) : left;
			line[*len] = '\0';
			in->at += *len + (newline != NULL);
			return line;
		}
		if (in->ended)
			return NULL;
		looked = left;
		read_more(in);
	}
}

void map_input_free(struct map_input *in)
{
	buf_free(&in->bytes);
}
