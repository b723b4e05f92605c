/* SPDX-License-Identifier: Apache-2.0
 * Below the library's TLS and its parser: no read or write waits beyond the connection's deadline. The
 * library itself would wait for ever when a server stops in the middle of a handshake or of an answer. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "tables/ldap/directory.h"

enum { BELOW_TLS = LBER_SBIOD_LEVEL_PROVIDER + 1 };

/* Until the socket is ready; false: the deadline has passed. */
static bool wait_for(Sockbuf_IO_Desc *io, short events)
{
	const struct link *link = io->sbiod_pvt;
	struct pollfd p = { .fd = -1, .events = events };
	int64_t left = (link->deadline - link->host->now() + 999) / 1000;
	ber_sockbuf_ctrl(io->sbiod_sb, LBER_SB_OPT_GET_FD, &p.fd);
	int n = poll(&p, 1, left < 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX);
	if (n != 0)
		return true; /* the call itself says what is wrong, if anything is */
	errno = ETIMEDOUT;
	return false;
}

static int setup(Sockbuf_IO_Desc *io, void *link)
{
	io->sbiod_pvt = link;
	return 0;
}

static int nothing(Sockbuf_IO_Desc *io)
{
	(void)io;
	return 0;
}

static int control(Sockbuf_IO_Desc *io, int option, void *arg)
{
	return LBER_SBIOD_CTRL_NEXT(io, option, arg);
}

static ber_slen_t read_some(Sockbuf_IO_Desc *io, void *buf, ber_len_t len)
{
	return wait_for(io, POLLIN) ? LBER_SBIOD_READ_NEXT(io, buf, len) : -1;
}

/* In place of the library's own: a server that has gone is an error, and no signal. */
static ber_slen_t write_some(Sockbuf_IO_Desc *io, void *buf, ber_len_t len)
{
	int fd = -1;
	ssize_t n = -1;
	ber_sockbuf_ctrl(io->sbiod_sb, LBER_SB_OPT_GET_FD, &fd);
	do {
		if (!wait_for(io, POLLOUT))
			return -1;
		n = send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n;
}

/* The library wants it writable. */
static Sockbuf_IO layer = {
	.sbi_setup = setup,
	.sbi_remove = nothing,
	.sbi_ctrl = control,
	.sbi_read = read_some,
	.sbi_write = write_some,
	.sbi_close = nothing,
};

/* A socket was connected: the first one, or one to a server that was referred to. */
static int connected(LDAP *ld, Sockbuf *sb, LDAPURLDesc *url, struct sockaddr *to,
		     struct ldap_conncb *callbacks)
{
	(void)ld;
	(void)url;
	(void)to;
	return ber_sockbuf_add_io(sb, &layer, BELOW_TLS, callbacks->lc_arg);
}

static void disconnected(LDAP *ld, Sockbuf *sb, struct ldap_conncb *callbacks)
{
	(void)ld;
	(void)sb;
	(void)callbacks;
}

void directory_link_guard(struct link *link)
{
	link->callbacks = (struct ldap_conncb){ .lc_add = connected, .lc_del = disconnected, .lc_arg = link };
	ldap_set_option(link->ld, LDAP_OPT_CONNECT_CB, &link->callbacks);
}
