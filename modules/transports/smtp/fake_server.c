/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/smtp/fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 10000, TRANSCRIPT = 4 * 1024 * 1024 };

struct fake_server {
	const char *script;
	int listener, fd;
	uint16_t port;
	pthread_t thread;
	char *seen; /* what came in */
	size_t seen_len, line_start;
	char wrong[512];
};

static bool wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, WAIT_MS) > 0;
}

static void accept_one(struct fake_server *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = wait_for(f->listener) ? accept(f->listener, NULL, NULL) : -1;
}

/* One line into the transcript; false: the client closed, or says nothing. */
static bool read_line(struct fake_server *f)
{
	f->line_start = f->seen_len;
	for (;;) {
		char c;
		if (f->fd < 0 || !wait_for(f->fd) || recv(f->fd, &c, 1, 0) != 1)
			return false;
		if (f->seen_len + 1 < TRANSCRIPT)
			f->seen[f->seen_len++] = c;
		if (c == '\n')
			return true;
	}
}

static void expect(struct fake_server *f, const char *prefix, size_t len)
{
	bool got = read_line(f);
	if (!f->wrong[0] && (!got || strncasecmp(f->seen + f->line_start, prefix, len) != 0))
		snprintf(f->wrong, sizeof f->wrong, "wanted \"%.*s\", got \"%.*s\"", (int)len, prefix,
			 (int)(f->seen_len - f->line_start), f->seen + f->line_start);
}

static void send_bytes(struct fake_server *f, const char *p, size_t n)
{
	while (n > 0 && f->fd >= 0) {
		ssize_t done = send(f->fd, p, n, MSG_NOSIGNAL);
		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

static void send_raw(struct fake_server *f, const char *p, size_t n)
{
	char out[4096];
	size_t used = 0;
	for (size_t i = 0; i < n && used < sizeof out; i++) {
		char c = p[i];
		if (c == '\\' && i + 1 < n)
			c = p[++i] == 'r' ? '\r' : p[i] == 'n' ? '\n' : p[i] == '0' ? '\0' : p[i];
		out[used++] = c;
	}
	send_bytes(f, out, used);
}

static void send_many(struct fake_server *f, const char *piece, long n)
{
	for (long i = 0; i < n; i++)
		send_bytes(f, piece, strlen(piece));
}

static void hang_up(struct fake_server *f, bool reset)
{
	struct linger now = { .l_onoff = 1 };
	if (f->fd >= 0 && reset)
		setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static bool is(const char *line, size_t len, const char *word)
{
	return len >= strlen(word) && strncmp(line, word, strlen(word)) == 0;
}

static void step(struct fake_server *f, const char *line, size_t len)
{
	if (is(line, len, ">>"))
		send_raw(f, line + 2, len - 2);
	else if (line[0] == '>') {
		char out[2048];
		int n = snprintf(out, sizeof out, "%.*s\r\n", (int)(len - 1), line + 1);
		send_bytes(f, out, (size_t)n);
	} else if (line[0] == '<')
		expect(f, line + 1, len - 1);
	else if (is(line, len, "body"))
		while (read_line(f) && strcmp(f->seen + f->line_start, ".\r\n") != 0)
			;
	else if (is(line, len, "flood"))
		send_many(f, "250-x\r\n", strtol(line + 5, NULL, 10));
	else if (is(line, len, "long"))
		send_many(f, "x", strtol(line + 4, NULL, 10));
	else if (is(line, len, "wait"))
		usleep((useconds_t)strtol(line + 4, NULL, 10) * 1000);
	else if (is(line, len, "close") || is(line, len, "reset"))
		hang_up(f, line[0] == 'r');
	else if (is(line, len, "again"))
		accept_one(f);
}

static void *run(void *arg)
{
	struct fake_server *f = arg;
	accept_one(f);
	for (const char *p = f->script; *p;) {
		size_t len = strcspn(p, "\n");
		if (len > 0)
			step(f, p, len);
		p += len + (p[len] == '\n');
	}
	while (read_line(f))
		;
	hang_up(f, false);
	return NULL;
}

struct fake_server *fake_start(const char *script)
{
	struct fake_server *f = calloc(1, sizeof *f);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	f->script = script;
	f->fd = -1;
	f->seen = calloc(1, TRANSCRIPT);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(f->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(f->listener, 16) < 0 ||
	    getsockname(f->listener, (struct sockaddr *)&a, &len) < 0)
		abort();
	f->port = ntohs(a.sin_port);
	if (pthread_create(&f->thread, NULL, run, f) != 0)
		abort();
	return f;
}

uint16_t fake_port(const struct fake_server *f)
{
	return f->port;
}

char *fake_stop(struct fake_server **fp, const char **wrong)
{
	struct fake_server *f = *fp;
	pthread_join(f->thread, NULL);
	close(f->listener);
	char *seen = f->seen;
	*wrong = NULL;
	if (f->wrong[0]) { /* behind the transcript's end */
		size_t at = f->seen_len + 1;
		snprintf(seen + at, TRANSCRIPT - at, "%s", f->wrong);
		*wrong = seen + at;
	}
	free(f);
	*fp = NULL;
	return seen;
}
