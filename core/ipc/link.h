/* SPDX-License-Identifier: Apache-2.0
 * Messages between Ostler's processes: SOCK_SEQPACKET unix sockets, several messages to a packet, descriptors on the side.
 *
 * Each side says hello first: magic, build version, protocol number, role; a mismatch closes the link with "restart
 * needed" in the log. A message has a type (ipc/protocol.h) and a body of TLV fields (base/tlv.h), at most
 * IPC_BODY_MAX bytes. A peer that dies is an end of file, never a signal. */
#ifndef IPC_LINK_H
#define IPC_LINK_H

#include "base/buf.h"
#include "base/tlv.h"
#include "base/why.h"

enum { IPC_BODY_MAX = 120 * 1024, IPC_FDS_MAX = 8 };

struct ipc_link;

struct ipc_message {
	unsigned type;
	const char *body; /* valid until the next receive */
	size_t len;
	int fds[IPC_FDS_MAX]; /* the receiver's to close */
	int nfds;
};

int ipc_listen(const char *path, unsigned mode, struct ost_why *); /* replaces a stale socket; -1 on failure */
/* Connects and says hello as `role` ("smtpd", "agent:smtp", "command"). Blocking, bounded by the deadline (clock_mono). */
struct ipc_link *ipc_connect(const char *path, const char *role, int64_t deadline, struct ost_why *);
/* Takes over an accepted or inherited socket. Its hello is exchanged with the first send and receive. */
struct ipc_link *ipc_link_new(int fd, const char *role);
void ipc_link_destroy(struct ipc_link **); /* closes */
int ipc_link_fd(const struct ipc_link *);
const char *ipc_link_peer(const struct ipc_link *); /* the peer's role; "" before its hello */

/* Queues a message; thread-safe. Sent at once when nobody is sending, else by the thread that is: one packet takes many.
 * With a non-blocking link what cannot be sent waits for ipc_link_flush(). False: the link is dead. The descriptors are
 * duplicated by the kernel and stay the caller's. */
bool ipc_send(struct ipc_link *, unsigned type, const void *body, size_t len);
bool ipc_send_fds(struct ipc_link *, unsigned type, const void *body, size_t len, const int *fds, int nfds);
/* Holds sends back until ipc_uncork(): a batch becomes few packets. One thread's affair (event loops). */
void ipc_cork(struct ipc_link *);
bool ipc_uncork(struct ipc_link *);
bool ipc_link_flush(struct ipc_link *);       /* false: dead */
bool ipc_link_pending(const struct ipc_link *); /* something waits for room */

/* The next message. One thread receives. */
enum ipc_got { IPC_GOT = 1, IPC_AGAIN = 0, IPC_CLOSED = -1 };
enum ipc_got ipc_receive(struct ipc_link *, struct ipc_message *, int64_t deadline);
void ipc_link_set_nonblock(struct ipc_link *, bool);
/* Who is at the other end: the kernel's word (SO_PEERCRED). */
bool ipc_peer(const struct ipc_link *, unsigned *uid, unsigned *gid, int *pid);

#endif
