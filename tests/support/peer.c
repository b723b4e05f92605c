/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum { CONNECTIONS_MAX = 1024, REQUEST_MAX = 1 << 17 };

struct connection {
	struct peer *peer;
	pthread_t thread;
	int fd;    /* -1: closed */
	bool used; /* the thread is to be joined */
};

struct peer {
	int listener;
	uint16_t port;
	peer_serve_fn *serve;
	void *ctx;
	pthread_t thread;
	atomic_size_t accepted;
	pthread_mutex_t lock; /* guards stopping, connections */
	bool stopping;
	struct connection connections[CONNECTIONS_MAX];
};

static _Noreturn void give_up(const char *what)
{
	perror(what);
	exit(99);
}

/* ---- listening ----------------------------------------------------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static socklen_t parse(const char *text, uint16_t port, union address *to)
{
	memset(to, 0, sizeof *to);
	if (text[0] == '/') {
		to->un.sun_family = AF_UNIX;
		snprintf(to->un.sun_path, sizeof to->un.sun_path, "%s", text);
		unlink(text);
		return sizeof to->un;
	}
	if (inet_pton(AF_INET, text, &to->v4.sin_addr) == 1) {
		to->v4.sin_family = AF_INET;
		to->v4.sin_port = htons(port);
		return sizeof to->v4;
	}
	to->v6.sin6_family = AF_INET6;
	to->v6.sin6_port = htons(port);
	return inet_pton(AF_INET6, text, &to->v6.sin6_addr) == 1 ? sizeof to->v6 : 0;
}

/* ---- connections --------------------------------------------------------------------------------------------------- */

static void *serve_one(void *arg)
{
	struct connection *c = arg;
	struct peer *p = c->peer;
	p->serve(p->ctx, c->fd);
	pthread_mutex_lock(&p->lock);
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* A place for a connection: a free one, or one that has ended. Lock held. */
static struct connection *place(struct peer *p)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &p->connections[i];
		if (c->used && c->fd < 0) {
			pthread_mutex_unlock(&p->lock);
			pthread_join(c->thread, NULL);
			pthread_mutex_lock(&p->lock);
			c->used = false;
		}
		if (!c->used)
			return c;
	}
	return NULL;
}

static void *accept_all(void *arg)
{
	struct peer *p = arg;
	for (;;) {
		int fd = accept(p->listener, NULL, NULL);
		pthread_mutex_lock(&p->lock);
		struct connection *c = fd < 0 ? NULL : place(p);
		if (c && !p->stopping) { /* place() lets go of the lock */
			*c = (struct connection){ .peer = p, .fd = fd, .used = true };
			atomic_fetch_add(&p->accepted, 1);
			if (pthread_create(&c->thread, NULL, serve_one, c) != 0)
				give_up("pthread_create");
		} else if (fd >= 0) {
			close(fd);
		}
		bool stopping = p->stopping;
		pthread_mutex_unlock(&p->lock);
		if (stopping)
			return NULL;
	}
}

struct peer *peer_start(const char *address, uint16_t port, peer_serve_fn *serve, void *ctx)
{
	struct peer *p = MEM_NEW(struct peer);
	union address to;
	socklen_t len = parse(address, port, &to);
	p->serve = serve;
	p->ctx = ctx;
	pthread_mutex_init(&p->lock, NULL);
	p->listener = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (p->listener < 0 || bind(p->listener, &to.any, len) < 0 || listen(p->listener, 128) < 0 ||
	    getsockname(p->listener, &to.any, &(socklen_t){ sizeof to }) < 0)
		give_up(address);
	p->port = ntohs(to.any.sa_family == AF_INET6 ? to.v6.sin6_port : to.v4.sin_port);
	if (pthread_create(&p->thread, NULL, accept_all, p) != 0)
		give_up("pthread_create");
	return p;
}

uint16_t peer_port(const struct peer *p)
{
	return p->port;
}

size_t peer_accepted(const struct peer *p)
{
	return atomic_load(&p->accepted);
}

void peer_stop(struct peer **peer)
{
	struct peer *p = *peer;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	shutdown(p->listener, SHUT_RDWR);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (p->connections[i].used && p->connections[i].fd >= 0)
			shutdown(p->connections[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (p->connections[i].used)
			pthread_join(p->connections[i].thread, NULL);
	close(p->listener);
	pthread_mutex_destroy(&p->lock);
	free(p);
	*peer = NULL;
}

/* ---- what servers are made of -------------------------------------------------------------------------------------- */

bool peer_read(int fd, void *out, size_t n)
{
	char *to = out;
	while (n > 0) {
		ssize_t got = recv(fd, to, n, 0);
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

size_t peer_read_to(int fd, char end, char *out, size_t size)
{
	size_t n = 0;
	do {
		if (n + 1 == size || !peer_read(fd, out + n, 1))
			return 0;
	} while (out[n++] != end);
	out[n] = '\0';
	return n;
}

bool peer_write(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = send(fd, text, n, MSG_NOSIGNAL);
		if (done <= 0)
			return false;
		text += done;
		n -= (size_t)done;
	}
	return true;
}

void peer_serve_tcp_table(void *ctx, int fd)
{
	char *line = mem_alloc(REQUEST_MAX);
	bool ok = true;
	(void)ctx;
	while (ok && peer_read_to(fd, '\n', line, REQUEST_MAX) > 0) {
		const char *reply = strcmp(line, "get known\n") == 0 ? "200 1\n"
				    : strncmp(line, "get ", 4) == 0  ? "500 no\n"
								     : "400 what\n";
		ok = peer_write(fd, reply, strlen(reply));
	}
	free(line);
}

void peer_serve_socketmap(void *ctx, int fd)
{
	char number[16], *text = mem_alloc(REQUEST_MAX);
	bool ok = true;
	(void)ctx;
	while (ok && peer_read_to(fd, ':', number, sizeof number) > 0) {
		size_t n = strtoul(number, NULL, 10);
		static const char known[] = "map known", prefix[] = "map ";
		if (n >= REQUEST_MAX || !peer_read(fd, text, n + 1) || text[n] != ',')
			break;
		const char *reply = n == sizeof known - 1 && memcmp(text, known, n) == 0 ? "4:OK 1,"
				    : n >= sizeof prefix - 1 && memcmp(text, prefix, sizeof prefix - 1) == 0
					    ? "9:NOTFOUND ,"
					    : "9:TEMP what,";
		ok = peer_write(fd, reply, strlen(reply));
	}
	free(text);
}
