/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/text_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 256 << 20 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

void text_lines_start(struct text_lines *l, char *text, size_t len)
{
	text[len] = '\0';
	*l = (struct text_lines){ .at = text, .end = text + len, .next_line = 1 };
}

/* The physical line at `at`: its length without the newline. */
static size_t physical(const struct text_lines *l)
{
	const char *newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
	return newline ? (size_t)(newline - l->at) : (size_t)(l->end - l->at);
}

static void step(struct text_lines *l, size_t len)
{
	l->at += len + (l->at + len < l->end);
	l->next_line++;
}

/* Blank, or a comment: skipped wherever it stands, between continuation lines too. */
static bool is_skipped(const char *line, size_t len)
{
	size_t i = 0;
	while (i < len && is_space(line[i]))
		i++;
	return i == len || line[i] == '#';
}

char *text_lines_next(struct text_lines *l, size_t *len)
{
	char *start = NULL;
	size_t used = 0;
	while (l->at < l->end) {
		size_t n = physical(l);
		bool skip = is_skipped(l->at, n);
		if (start && !skip && !is_space(*l->at))
			break;
		if (!skip) {
			if (!start) {
				start = l->at;
				l->line = l->next_line;
				l->orphan = is_space(*start);
			}
			memmove(start + used, l->at, n);
			used += n;
		}
		step(l, n);
	}
	if (!start)
		return NULL;
	while (used > 0 && is_space(start[used - 1]))
		used--;
	/* The byte behind is a newline, or one that was moved: never the start of the next line. */
	start[used] = '\0';
	*len = used;
	return start;
}

char *text_read_file(int fd, size_t *len)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	if (st.st_size > FILE_BYTES) {
		errno = EFBIG;
		return NULL;
	}
	size_t size = (size_t)st.st_size;
	char *text = malloc(size + 1);
	*len = 0;
	while (text && *len < size) {
		ssize_t n = pread(fd, text + *len, size - *len, (off_t)*len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return NULL;
		}
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return text;
}
