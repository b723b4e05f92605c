/* SPDX-License-Identifier: Apache-2.0
 * What the load source and the sink both need: clock, numbers, addresses, signals. Knows no SMTP. */
#ifndef OST_BENCH_H
#define OST_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/socket.h>

#define BENCH_SECOND UINT64_C(1000000000)
#define BENCH_MS     UINT64_C(1000000)

struct bench_address {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* Nanoseconds of CLOCK_MONOTONIC: the same in both programs when they run on one machine. */
uint64_t bench_now(void);

/* Prints the reason on stderr and exits with status 2: for wrong options and for a system that refuses. */
noreturn void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A decimal number from 0 to max, with an optional k or M (1024, 1024 squared); dies on anything else. */
uint64_t bench_number(const char *what, const char *text, uint64_t max);

/* "127.0.0.1:25" or "[::1]:25", numeric only; dies on anything else. */
void bench_parse_address(const char *text, struct bench_address *out);

/* "127.0.0.1:25" from an address, for people; out has room for size bytes. */
void bench_format_address(const struct bench_address *a, char *out, size_t size);

/* The soft limit of open files becomes the hard one. */
void bench_raise_open_files(void);

/* Blocks SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 and gives a descriptor to read them from; ignores SIGPIPE. */
int bench_signals(void);

/* The next pending signal number of that descriptor, or 0. */
int bench_next_signal(int fd);

/* Never fails: dies when there is no memory. */
void *bench_alloc(size_t n);
void *bench_realloc(void *p, size_t n);

#endif
