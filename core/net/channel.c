/* SPDX-License-Identifier: Apache-2.0 */
#include "net/channel.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a TLS call that did not succeed means, as errno; 0: the peer has closed. */
static int failure(struct channel *c, int result)
{
	int error = errno;
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		c->want = WAIT_READ;
		return EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		c->want = WAIT_WRITE;
		return EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return error && error != EAGAIN ? error : ECONNRESET;
	default:
		return EPROTO;
	}
}

static ssize_t read_tls(struct channel *c, char *to, size_t size)
{
	size_t got = 0;
	while (got < size) {
		size_t n = 0;
		ERR_clear_error();
		errno = 0;
		int result = SSL_read_ex(c->ssl, to + got, size - got, &n);
		if (result <= 0) {
			int error = failure(c, result);
			if (got > 0 || error == 0)
				break;
			errno = error;
			return -1;
		}
		got += n;
	}
	return (ssize_t)got;
}

ssize_t channel_read(struct channel *c, void *to, size_t size)
{
	ssize_t n;
	c->want = WAIT_NOTHING;
	if (c->ssl)
		return read_tls(c, to, size);
	do
		n = recv(c->fd, to, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t write_tls(struct channel *c, const void *from, size_t size)
{
	size_t n = 0;
	if (size == 0)
		return 0;
	ERR_clear_error();
	errno = 0;
	int result = SSL_write_ex(c->ssl, from, size, &n);
	if (result > 0)
		return (ssize_t)n;
	int error = failure(c, result);
	errno = error ? error : EPIPE;
	return -1;
}

ssize_t channel_write(struct channel *c, const void *from, size_t size, bool more)
{
	ssize_t n;
	c->want = WAIT_NOTHING;
	if (c->ssl)
		return write_tls(c, from, size);
	do
		n = send(c->fd, from, size, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
	while (n < 0 && errno == EINTR);
	return n;
}

bool channel_pending(const struct channel *c)
{
	return c->ssl && SSL_has_pending(c->ssl);
}

enum wait_for channel_wait(const struct channel *c, enum wait_for usual)
{
	return c->ssl && c->want != WAIT_NOTHING ? c->want : usual;
}

void channel_close(struct channel *c)
{
	if (c->ssl) {
		ERR_clear_error();
		if (SSL_is_init_finished(c->ssl))
			(void)SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
		c->ssl = NULL;
		ERR_clear_error();
	}
	close(c->fd);
	c->fd = -1;
}
