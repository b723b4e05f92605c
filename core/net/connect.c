/* SPDX-License-Identifier: Apache-2.0 */
#include "net/connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/io.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "1.2.3.4", "fe80::1%eth0"; answers the size, 0: not an address. */
static socklen_t parse_address(const char *text, uint16_t port, union address *to)
{
	char plain[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "%");
	*to = (union address){ .v6 = { 0 } };
	if (inet_pton(AF_INET, text, &to->v4.sin_addr) == 1) {
		to->v4.sin_family = AF_INET;
		to->v4.sin_port = htons(port);
		return sizeof to->v4;
	}
	if (len >= sizeof plain)
		return 0;
	memcpy(plain, text, len);
	plain[len] = '\0';
	if (inet_pton(AF_INET6, plain, &to->v6.sin6_addr) != 1)
		return 0;
	to->v6.sin6_family = AF_INET6;
	to->v6.sin6_port = htons(port);
	if (text[len] == '%')
		to->v6.sin6_scope_id = if_nametoindex(text + len + 1);
	return sizeof to->v6;
}

/* The system's words for a reason. */
static int failed(int fd, int error, struct ost_why *why)
{
	char text[128];
	why_set(why, "%s", strerror_r(error, text, sizeof text));
	io_close(&fd);
	return -1;
}

/* Waits for a connection under way. */
static int finish(int fd, int64_t deadline, struct ost_why *why)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n, error = 0;
	socklen_t len = sizeof error;
	do
		n = poll(&p, 1, clock_poll_ms(deadline));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return failed(fd, errno, why);
	if (n == 0)
		return failed(fd, ETIMEDOUT, why);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	return error ? failed(fd, error, why) : fd;
}

static int start(int fd, const struct sockaddr *to, socklen_t len, int64_t deadline, struct ost_why *why)
{
	if (connect(fd, to, len) == 0)
		return fd;
	return errno == EINPROGRESS || errno == EINTR ? finish(fd, deadline, why) : failed(fd, errno, why);
}

int net_tcp_connect(const char *address, uint16_t port, const char *bind_to, int64_t deadline, struct ost_why *why)
{
	union address to, from;
	socklen_t len = parse_address(address, port, &to);
	if (len == 0)
		return failed(-1, EAFNOSUPPORT, why);
	int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd < 0)
		return failed(-1, errno, why);
	if (bind_to && *bind_to) {
		socklen_t size = parse_address(bind_to, 0, &from);
		if (size == 0 || from.any.sa_family != to.any.sa_family || bind(fd, &from.any, size) < 0) {
			char text[128];
			why_set(why, "cannot bind to %s: %s", bind_to,
				strerror_r(size ? errno : EINVAL, text, sizeof text));
			io_close(&fd);
			return -1;
		}
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return start(fd, &to.any, len, deadline, why);
}

int net_unix_connect(const char *path, int64_t deadline, struct ost_why *why)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof sun.sun_path)
		return failed(-1, ENAMETOOLONG, why);
	memcpy(sun.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(-1, errno, why);
	return start(fd, (struct sockaddr *)&sun, sizeof sun, deadline, why);
}
