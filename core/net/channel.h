/* SPDX-License-Identifier: Apache-2.0
 * Bytes in and out of a non-blocking socket, in clear or through TLS, with the meaning of recv() and send(). */
#ifndef NET_CHANNEL_H
#define NET_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/waiter.h"

struct ssl_st;

struct channel {
	int fd;             /* the channel's once it is here */
	struct ssl_st *ssl; /* NULL: in clear */
	enum wait_for want; /* with TLS: what the last call that answered EAGAIN waits for */
};

/* Up to size bytes, with TLS from as many records as there are: fewer than size means that the socket is empty (or that the end
 * is near: the next call says). 0: the peer has closed. -1 with errno: EAGAIN, or the connection is lost. Never waits. */
ssize_t channel_read(struct channel *, void *, size_t size);
/* The same for sending; may take a part. After EAGAIN the caller comes again with the same bytes in front. more: MSG_MORE, a
 * hint that the end of the connection follows at once. */
ssize_t channel_write(struct channel *, const void *, size_t size, bool more);
/* Is there something to read that the socket does not tell of any more? */
bool channel_pending(const struct channel *);
/* What parking has to wait for: usual, unless TLS asks for something else. */
enum wait_for channel_wait(const struct channel *, enum wait_for usual);
/* Says goodbye within TLS, without waiting, and closes the socket. */
void channel_close(struct channel *);

#endif
