/* SPDX-License-Identifier: Apache-2.0
 * A server in threads of the test program: one that accepts, one for each connection. */
#ifndef SUPPORT_PEER_H
#define SUPPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;

/* Serves one connection until it returns; then the connection is closed. */
typedef void peer_serve_fn(void *ctx, int fd);

/* On "127.0.0.1" or "::1" (port 0: any) or a socket of the file system ("/path"). Ends the test program when
 * it cannot. */
struct peer *peer_start(const char *address, uint16_t port, peer_serve_fn *, void *ctx);
uint16_t peer_port(const struct peer *);
size_t peer_accepted(const struct peer *); /* connections so far */
/* Closes everything and waits for the threads. */
void peer_stop(struct peer **);

/* For serving. Reads up to and with `end`; 0: the other side is gone. At most size - 1 bytes, terminated. */
size_t peer_read_to(int fd, char end, char *out, size_t size);
bool peer_read(int fd, void *out, size_t n);
bool peer_write(int fd, const char *text, size_t n);
/* Servers of one entry, known = 1, for the contract suite and as the healthy ones. */
void peer_serve_tcp_table(void *ctx, int fd);
void peer_serve_socketmap(void *ctx, int fd);

#endif
