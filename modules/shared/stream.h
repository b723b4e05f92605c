/* SPDX-License-Identifier: Apache-2.0
 * A connection of a client module: buffered lines in, bytes out, each with a deadline in host->now() microseconds. One thread
 * at a time. A read or a write is one system call as long as the other side keeps up. */
#ifndef SHARED_STREAM_H
#define SHARED_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stream_state {
	STREAM_OK = 0,
	STREAM_LOST,    /* the other side closed, or the connection broke */
	STREAM_TIMEOUT, /* the deadline passed */
	STREAM_LONG,    /* a line longer than the buffer */
};

enum { STREAM_BUFFER = 4096 };

struct stream {
	int fd; /* -1: closed */
	int64_t (*now)(void);
	size_t at, len; /* unread bytes: in[at] … in[len - 1] */
	char in[STREAM_BUFFER];
};

/* Takes over a connected socket. */
void stream_init(struct stream *, int fd, int64_t (*now)(void));
void stream_close(struct stream *);
/* The next line without its LF or CRLF, in the stream's buffer: terminated, valid until the next call. NUL bytes become '?'. */
enum stream_state stream_line(struct stream *, char **line, size_t *len, int64_t deadline);
/* Exactly n bytes, whatever they are. */
enum stream_state stream_take(struct stream *, void *to, size_t n, int64_t deadline);
/* Writes all. With idle, `limit` is the longest time without progress; else it is the deadline of the whole. */
enum stream_state stream_write(struct stream *, const void *p, size_t n, int64_t limit, bool idle);
static inline bool stream_unread(const struct stream *s)
{
	return s->at < s->len;
}
/* Has the other side closed, or sent what nobody asked for? Looks at the socket, does not wait. */
bool stream_quiet(const struct stream *);

#endif
