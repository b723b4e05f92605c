/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * BENCH_SECOND + (uint64_t)ts.tv_nsec;
}

noreturn void bench_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

uint64_t bench_number(const char *what, const char *text, uint64_t max)
{
	char *end = NULL;
	uint64_t unit = 1;
	unsigned long long n;

	if (text[0] < '0' || text[0] > '9')
		bench_die("%s: \"%s\" is not a number", what, text);
	n = strtoull(text, &end, 10);
	if (*end == 'k' || *end == 'K')
		unit = 1024;
	else if (*end == 'M')
		unit = 1024 * 1024;
	if (unit != 1)
		end++;
	if (*end != '\0')
		bench_die("%s: \"%s\" is not a number", what, text);
	if (n > max / unit)
		bench_die("%s: %s is more than %llu", what, text, (unsigned long long)max);
	return (uint64_t)n * unit;
}

void bench_parse_address(const char *text, struct bench_address *out)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(text, ':');
	struct addrinfo *found = NULL;
	char host[64];
	size_t n;

	if (!colon)
		bench_die("\"%s\" is not of the form ADDRESS:PORT", text);
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= sizeof host)
		bench_die("\"%s\": the address is too long", text);
	memcpy(host, text, n);
	host[n] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		bench_die("\"%s\" is not a numeric address and port", text);
	memcpy(&out->sa, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
}

void bench_format_address(const struct bench_address *a, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	char port[8];

	if (getnameinfo((const struct sockaddr *)&a->sa, a->len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(out, size, "?");
	else if (a->sa.ss_family == AF_INET6)
		snprintf(out, size, "[%s]:%s", host, port);
	else
		snprintf(out, size, "%s:%s", host, port);
}

void bench_raise_open_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

int bench_signals(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		bench_die("signalfd: %m");
	return fd;
}

int bench_next_signal(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
		return 0;
	return (int)info.ssi_signo;
}

void *bench_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		bench_die("out of memory");
	return p;
}

void *bench_realloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		bench_die("out of memory");
	return p;
}
