/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/endpoints.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A number or a service's name. */
static bool to_port(const char *text, int *port)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0') {
		*port = (int)value;
		return value > 0 && value < 65536;
	}
	struct addrinfo *found = NULL;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_family = AF_INET,
					.ai_flags = AI_PASSIVE };
	char host_port[NI_MAXSERV];
	bool ok = *text && getaddrinfo(NULL, text, &hints, &found) == 0 &&
		  getnameinfo(found->ai_addr, found->ai_addrlen, NULL, 0, host_port, sizeof host_port,
			      NI_NUMERICSERV) == 0;
	if (found)
		freeaddrinfo(found);
	return ok && to_port(host_port, port);
}

/* "host", "host:port", "[address]", "[address]:port", in place. */
static bool parse_inet(char *text, struct endpoint *e)
{
	char *colon = strrchr(text, ':');
	if (*text == '[') {
		char *end = strchr(text, ']');
		if (!end || (end[1] != '\0' && end[1] != ':'))
			return false;
		colon = end[1] ? end + 1 : NULL;
		*end = '\0';
		text++;
	} else if (colon && strchr(text, ':') != colon) {
		return false; /* an IPv6 address without brackets: where would its port be? */
	}
	if (colon)
		*colon = '\0';
	e->host = text;
	return *text && (!colon || to_port(colon + 1, &e->port));
}

bool endpoint_parse(struct endpoint *e, const char *name, char *text, int default_port)
{
	*e = (struct endpoint){ .name = name, .port = default_port };
	bool prefix_unix = strncmp(text, "unix:", 5) == 0, prefix_inet = strncmp(text, "inet:", 5) == 0;
	char *rest = prefix_unix || prefix_inet ? text + 5 : text;
	if (!prefix_unix && (prefix_inet || *rest != '/'))
		return parse_inet(rest, e);
	e->path = rest;
	return *rest == '/';
}

bool endpoints_parse(struct endpoints *s, const char *parameter, const char *text, int default_port,
		     char *flaw, size_t size)
{
	size_t len = strlen(text) + 1;
	char *save = NULL;
	*s = (struct endpoints){ .list = calloc(len / 2 + 1, sizeof *s->list), .text = malloc(2 * len) };
	if (!s->list || !s->text) {
		snprintf(flaw, size, "parameter %s: out of memory", parameter);
		return false;
	}
	memcpy(s->text, text, len); /* names; and behind them what is taken apart */
	memcpy(s->text + len, text, len);
	for (char *w = strtok_r(s->text, ENDPOINTS_BETWEEN, &save); w;
	     w = strtok_r(NULL, ENDPOINTS_BETWEEN, &save)) {
		char *copy = w + len;
		copy[strlen(w)] = '\0';
		if (!endpoint_parse(&s->list[s->count], w, copy, default_port)) {
			snprintf(flaw, size, "parameter %s: no server: %.80s (" ENDPOINTS_FORMS ")",
				 parameter, w);
			return false;
		}
		s->count++;
	}
	if (s->count == 0)
		snprintf(flaw, size, "parameter %s: no server is named", parameter);
	return s->count > 0;
}

static int connect_unix(const struct ost_host *host, const char *path, struct ost_why *why)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof a.sun_path) {
		host->why(why, "connect: the path is too long");
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0) /* at once, or not at all */
		return fd;
	host->why(why, "connect: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Waits until a connection is made, or is not. */
static bool await(const struct ost_host *host, int fd, int64_t deadline, struct ost_why *why)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int64_t left = (deadline - host->now() + 999) / 1000;
	int error = 0, n = poll(&p, 1, left < 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX);
	socklen_t len = sizeof error;
	if (n == 0)
		return host->why(why, "connect: no answer in time");
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
		return true;
	return host->why(why, "connect: %s", strerror(error));
}

static int connect_address(const struct ost_host *host, const struct addrinfo *to, int64_t deadline,
			   struct ost_why *why)
{
	int yes = 1, fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		host->why(why, "socket: %s", strerror(errno));
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	bool made = connect(fd, to->ai_addr, to->ai_addrlen) == 0;
	if (!made && errno != EINPROGRESS)
		host->why(why, "connect: %s", strerror(errno));
	else if (made || await(host, fd, deadline, why))
		return fd;
	close(fd);
	return -1;
}

static int connect_inet(const struct ost_host *host, const struct endpoint *e, int64_t deadline,
			struct ost_why *why)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char port[16];
	snprintf(port, sizeof port, "%d", e->port);
	int fd = -1, error = getaddrinfo(e->host, port, &hints, &list);
	if (error)
		host->why(why, "%s: %s", e->host, gai_strerror(error));
	for (const struct addrinfo *i = error ? NULL : list; i && fd < 0; i = i->ai_next)
		fd = connect_address(host, i, deadline, why);
	if (!error)
		freeaddrinfo(list);
	return fd;
}

int endpoint_connect(const struct ost_host *host, const struct endpoint *e, int64_t deadline,
		     struct ost_why *why)
{
	return e->path ? connect_unix(host, e->path, why) : connect_inet(host, e, deadline, why);
}

void endpoints_free(struct endpoints *s)
{
	free(s->list);
	free(s->text);
	*s = (struct endpoints){ 0 };
}
