/* SPDX-License-Identifier: Apache-2.0
 * One connection to smtp-sink: reading, writing, waiting, driven by epoll. */
#include "sink.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_FIRST_SIZE 1024
#define ENDLESS_CHUNK  4096

static struct sink_session *allocate(struct sink *k)
{
	struct sink_session *s = k->unused;

	if (s)
		k->unused = s->next;
	else
		s = bench_alloc(sizeof *s);
	s->prev = NULL;
	s->next = k->all;
	if (k->all)
		k->all->prev = s;
	k->all = s;
	return s;
}

static void leave_delayed(struct sink *k, struct sink_session *s)
{
	struct sink_session **at = &k->delayed;

	while (*at && *at != s)
		at = &(*at)->later;
	if (*at)
		*at = s->later;
	s->delayed = false;
}

void sink_session_end(struct sink *k, struct sink_session *s)
{
	if (s->delayed)
		leave_delayed(k, s);
	close(s->fd);
	s->fd = -1;
	k->open--;
	if (s->prev)
		s->prev->next = s->next;
	else
		k->all = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->next = k->unused;
	k->unused = s;
}

static void watch(struct sink *k, struct sink_session *s, int op)
{
	struct epoll_event ev = { .data.ptr = s };

	ev.events = s->watching_write ? EPOLLOUT : s->delayed ? 0 : EPOLLIN;
	if (epoll_ctl(k->epoll, op, s->fd, &ev) != 0)
		bench_die("epoll_ctl: %m");
}

void sink_session_put(struct sink_session *s, const char *bytes, size_t n)
{
	if (s->out_len + n > s->out_size) {
		s->out_size = s->out_len + n < OUT_FIRST_SIZE ? OUT_FIRST_SIZE : 2 * (s->out_len + n);
		s->out = bench_realloc(s->out, s->out_size);
	}
	memcpy(s->out + s->out_len, bytes, n);
	s->out_len += n;
}

/* Writes what waits. False: the session has ended. */
static bool flush(struct sink *k, struct sink_session *s)
{
	bool was_watching = s->watching_write;
	size_t done = 0;

	while (done < s->out_len) {
		ssize_t n = send(s->fd, s->out + done, s->out_len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			sink_session_end(k, s);
			return false;
		}
		done += (size_t)n;
	}
	memmove(s->out, s->out + done, s->out_len - done);
	s->out_len -= done;
	if (s->closing && s->out_len == 0) {
		sink_session_end(k, s);
		return false;
	}
	s->watching_write = s->out_len > 0 || s->endless;
	if (s->watching_write != was_watching)
		watch(k, s, EPOLL_CTL_MOD);
	return true;
}

void sink_session_delay(struct sink *k, struct sink_session *s, uint64_t ns)
{
	struct sink_session **at = &k->delayed;

	s->due_ns = bench_now() + ns;
	while (*at && (*at)->due_ns <= s->due_ns)
		at = &(*at)->later;
	s->later = *at;
	*at = s;
	s->delayed = true;
}

/* After work on the input: writes the answers, or waits with them. */
static void settle(struct sink *k, struct sink_session *s)
{
	if (s->delayed)
		watch(k, s, EPOLL_CTL_MOD);
	else
		flush(k, s);
}

static void put_endless(struct sink_session *s)
{
	char chunk[ENDLESS_CHUNK];

	memset(chunk, 'x', sizeof chunk);
	sink_session_put(s, chunk, s->out_len < sizeof chunk ? sizeof chunk : 0);
}

void sink_session_start(struct sink *k, int fd)
{
	struct sink_session *s = allocate(k);

	s->fd = fd;
	s->in_text = s->silent = s->endless = s->closing = s->watching_write = s->delayed = false;
	s->in_len = s->out_len = 0;
	k->open++;
	k->count.connections++;
	sink_greet(k, s);
	watch(k, s, EPOLL_CTL_ADD);
	settle(k, s);
}

/* Takes one command line from the input; returns the bytes used, 0 when the line is not whole yet. */
static size_t take_line(struct sink *k, struct sink_session *s, char *at, size_t n)
{
	char *nl = memchr(at, '\n', n);
	size_t len;

	if (!nl)
		return n == SINK_IN_SIZE ? n : 0;
	len = (size_t)(nl - at);
	at[len > 0 && at[len - 1] == '\r' ? len - 1 : len] = '\0';
	sink_command(k, s, at);
	return len + 1;
}

/* Works on what was read, until an answer has to wait. */
static void process(struct sink *k, struct sink_session *s)
{
	size_t at = 0;

	while (at < s->in_len && !s->delayed && !s->closing && !s->silent && !s->endless) {
		size_t used;
		bool done = false;

		if (s->in_text)
			used = sink_text_take(&s->text, s->in + at, s->in_len - at, &done);
		else
			used = take_line(k, s, s->in + at, s->in_len - at);
		if (done)
			sink_dot(k, s);
		if (used == 0)
			break;
		at += used;
	}
	if (s->silent || s->endless)
		at = s->in_len;
	memmove(s->in, s->in + at, s->in_len - at);
	s->in_len -= at;
}

void sink_session_event(struct sink *k, struct sink_session *s, uint32_t events)
{
	ssize_t n;

	if (s->fd < 0)
		return;
	if (events & EPOLLOUT) {
		if (s->endless)
			put_endless(s);
		if (!flush(k, s))
			return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(s->fd, s->in + s->in_len, sizeof s->in - s->in_len, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		sink_session_end(k, s);
		return;
	}
	s->in_len += (size_t)n;
	process(k, s);
	settle(k, s);
}

int sink_session_resume(struct sink *k)
{
	while (k->delayed) {
		struct sink_session *s = k->delayed;
		uint64_t now = bench_now();

		if (s->due_ns > now)
			return (int)((s->due_ns - now + BENCH_MS - 1) / BENCH_MS);
		k->delayed = s->later;
		s->delayed = false;
		watch(k, s, EPOLL_CTL_MOD);
		process(k, s);
		settle(k, s);
	}
	return -1;
}
