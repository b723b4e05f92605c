/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel wakes a waiting call this often, so that a deadline costs no system call of its own until it is near. */
static const int64_t tick = 1000000;

void stream_init(struct stream *s, int fd, int64_t (*now)(void))
{
	struct timeval tv = { .tv_sec = tick / 1000000 };
	int flags = fcntl(fd, F_GETFL);
	s->fd = fd;
	s->now = now;
	s->at = s->len = 0;
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

void stream_close(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Before a call that waits at most a tick: near the deadline waits precisely instead. STREAM_OK: go on with *flags. */
static enum stream_state near_deadline(struct stream *s, short events, int64_t deadline, int *flags)
{
	int64_t left = deadline - s->now();
	struct pollfd p = { .fd = s->fd, .events = events };
	*flags = 0;
	if (left >= tick)
		return STREAM_OK;
	*flags = MSG_DONTWAIT;
	int n = poll(&p, 1, left > 0 ? (int)((left + 999) / 1000) : 0);
	return n == 0 ? STREAM_TIMEOUT : STREAM_OK;
}

static enum stream_state fill(struct stream *s, int64_t deadline)
{
	if (s->at > 0) {
		memmove(s->in, s->in + s->at, s->len - s->at);
		s->len -= s->at;
		s->at = 0;
	}
	if (s->len == sizeof s->in)
		return STREAM_LONG;
	for (;;) {
		int flags;
		enum stream_state state = near_deadline(s, POLLIN, deadline, &flags);
		if (state != STREAM_OK)
			return state;
		ssize_t n = recv(s->fd, s->in + s->len, sizeof s->in - s->len, flags);
		if (n > 0) {
			s->len += (size_t)n;
			return STREAM_OK;
		}
		if (n == 0 || (errno != EINTR && errno != EAGAIN))
			return STREAM_LOST;
	}
}

enum stream_state stream_line(struct stream *s, char **line, size_t *len, int64_t deadline)
{
	size_t seen = 0;
	for (;;) {
		char *start = s->in + s->at;
		char *end = memchr(start + seen, '\n', s->len - s->at - seen);
		if (end) {
			s->at = (size_t)(end + 1 - s->in);
			while (end > start && end[-1] == '\r')
				end--;
			*end = '\0';
			*line = start;
			*len = (size_t)(end - start);
			for (char *p = start; (p = memchr(p, '\0', (size_t)(end - p)));)
				*p = '?';
			return STREAM_OK;
		}
		seen = s->len - s->at;
		enum stream_state state = fill(s, deadline);
		if (state != STREAM_OK)
			return state;
	}
}

enum stream_state stream_take(struct stream *s, void *to, size_t n, int64_t deadline)
{
	char *at = to;
	for (;;) {
		size_t have = s->len - s->at, part = have < n ? have : n;
		memcpy(at, s->in + s->at, part);
		s->at += part;
		at += part;
		n -= part;
		if (n == 0)
			return STREAM_OK;
		enum stream_state state = fill(s, deadline);
		if (state != STREAM_OK)
			return state;
	}
}

enum stream_state stream_write(struct stream *s, const void *p, size_t n, int64_t limit, bool idle)
{
	const char *from = p;
	int64_t deadline = idle ? s->now() + limit : limit;
	while (n > 0) {
		int flags;
		enum stream_state state = near_deadline(s, POLLOUT, deadline, &flags);
		if (state != STREAM_OK)
			return state;
		ssize_t done = send(s->fd, from, n, flags | MSG_NOSIGNAL);
		if (done > 0) {
			from += done;
			n -= (size_t)done;
			if (idle)
				deadline = s->now() + limit;
		} else if (errno != EINTR && errno != EAGAIN) {
			return STREAM_LOST;
		}
	}
	return STREAM_OK;
}

bool stream_quiet(const struct stream *s)
{
	char byte;
	return s->at == s->len && recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}
