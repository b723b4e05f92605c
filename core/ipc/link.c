/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "config.h"
#include "ipc/protocol.h"

#define LINK_MAGIC 0x117c0001u
enum { PACKET_MAX = IPC_BODY_MAX + 4096, M_HELLO = 0, H_VERSION = 1, H_PROTOCOL = 2, H_ROLE = 3 };

/* Some messages that go out together; descriptors belong to a packet with one message. */
struct packet {
	struct packet *next;
	struct buf bytes;
	int fds[IPC_FDS_MAX], nfds;
};

struct ipc_link {
	unsigned magic;
	int fd;
	char *role;
	pthread_mutex_t lock; /* guards first, last, sending, corked, dead, hello_sent */
	struct packet *first, *last;
	bool sending, corked, dead, hello_sent;
	bool nonblock;
	/* The receiving thread's alone. */
	char peer[64];
	bool hello_got;
	char *in;
	struct tlv_reader reader;
	int in_fds[IPC_FDS_MAX], in_nfds;
};

/* ---- making links ---------------------------------------------------------------------------------------------- */

static bool unix_address(struct sockaddr_un *sun, const char *path, struct ost_why *why)
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof sun->sun_path)
		return why_set(why, "%s: socket path is too long", path);
	memcpy(sun->sun_path, path, strlen(path) + 1);
	return true;
}

int ipc_listen(const char *path, unsigned mode, struct ost_why *why)
{
	struct sockaddr_un sun;
	struct stat st;
	if (!unix_address(&sun, path, why))
		return -1;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof sun) < 0 || chmod(path, mode) < 0 ||
	    listen(fd, SOMAXCONN) < 0) {
		why_errno(why, "%s", path);
		io_close(&fd);
	}
	return fd;
}

struct ipc_link *ipc_link_new(int fd, const char *role)
{
	struct ipc_link *l = MEM_NEW(struct ipc_link);
	l->magic = LINK_MAGIC;
	l->fd = fd;
	l->role = mem_strdup(role);
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

/* connect(2) that waits for room in the listener's queue, up to the deadline. */
static bool connect_until(int fd, const struct sockaddr_un *sun, int64_t deadline)
{
	while (connect(fd, (const struct sockaddr *)sun, sizeof *sun) < 0) {
		if ((errno != EAGAIN && errno != EINTR) || clock_mono() >= deadline)
			return false;
		poll(NULL, 0, 5);
	}
	return true;
}

struct ipc_link *ipc_connect(const char *path, const char *role, int64_t deadline, struct ost_why *why)
{
	struct sockaddr_un sun;
	if (!unix_address(&sun, path, why))
		return NULL;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || !connect_until(fd, &sun, deadline) || !io_set_nonblock(fd, false)) {
		why_errno(why, "connect to %s", path);
		io_close(&fd);
		return NULL;
	}
	return ipc_link_new(fd, role);
}

static void packet_free(struct packet *p)
{
	for (int i = 0; i < p->nfds; i++)
		close(p->fds[i]);
	buf_free(&p->bytes);
	free(p);
}

/* Closes descriptors of the current message that its receiver did not take. */
static void drop_in_fds(struct ipc_link *l)
{
	for (int i = 0; i < l->in_nfds; i++)
		close(l->in_fds[i]);
	l->in_nfds = 0;
}

void ipc_link_destroy(struct ipc_link **lp)
{
	struct ipc_link *l = *lp;
	if (!l)
		return;
	CHECK_MAGIC(l, LINK_MAGIC);
	while (l->first) {
		struct packet *p = l->first;
		l->first = p->next;
		packet_free(p);
	}
	drop_in_fds(l);
	io_close(&l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l->in);
	free(l->role);
	l->magic = 0;
	free(l);
	*lp = NULL;
}

int ipc_link_fd(const struct ipc_link *l)
{
	CHECK_MAGIC(l, LINK_MAGIC);
	return l->fd;
}

const char *ipc_link_peer(const struct ipc_link *l)
{
	CHECK_MAGIC(l, LINK_MAGIC);
	return l->peer;
}

void ipc_link_set_nonblock(struct ipc_link *l, bool on)
{
	CHECK_MAGIC(l, LINK_MAGIC);
	l->nonblock = on;
	io_set_nonblock(l->fd, on);
}

bool ipc_peer(const struct ipc_link *l, unsigned *uid, unsigned *gid, int *pid)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	CHECK_MAGIC(l, LINK_MAGIC);
	if (getsockopt(l->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*uid = cred.uid;
	*gid = cred.gid;
	*pid = cred.pid;
	return true;
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

/* A packet at the end of the queue with room for n more bytes. Lock held. */
static struct packet *packet_for(struct ipc_link *l, size_t n, bool alone)
{
	struct packet *p = l->last;
	if (p && !alone && p->nfds == 0 && p->bytes.len + n <= PACKET_MAX)
		return p;
	p = MEM_NEW(struct packet);
	if (l->last)
		l->last->next = p;
	else
		l->first = p;
	l->last = p;
	return p;
}

/* The hello goes in front of the first message. Lock held. */
static void queue_hello(struct ipc_link *l)
{
	struct packet *p = packet_for(l, 256, false);
	size_t mark = tlv_open(&p->bytes, M_HELLO, 0);
	tlv_put_str(&p->bytes, H_VERSION, PACKAGE_VERSION);
	tlv_put_u64(&p->bytes, H_PROTOCOL, IPC_PROTOCOL);
	tlv_put_str(&p->bytes, H_ROLE, l->role);
	tlv_close(&p->bytes, mark);
	l->hello_sent = true;
}

enum sent { SENT, SENT_LATER, SENT_DEAD };

static enum sent send_packet(int fd, const struct packet *p)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = p->bytes.data, .iov_len = p->bytes.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (p->nfds > 0) {
		size_t len = sizeof(int) * (size_t)p->nfds;
		memset(&control, 0, sizeof control);
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(len);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(c), p->fds, len);
	}
	for (;;) {
		if (sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0)
			return SENT;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return SENT_LATER;
		if (errno != EINTR)
			return SENT_DEAD;
	}
}

/* Sends what is queued, unless another thread does that already. Called and returns with the lock held. */
static bool flush_locked(struct ipc_link *l)
{
	if (l->sending || l->dead)
		return !l->dead;
	l->sending = true;
	while (l->first && !l->dead) {
		struct packet *p = l->first;
		l->first = p->next;
		if (!l->first)
			l->last = NULL;
		pthread_mutex_unlock(&l->lock);
		enum sent sent = send_packet(l->fd, p);
		if (sent != SENT_LATER)
			packet_free(p);
		pthread_mutex_lock(&l->lock);
		if (sent == SENT_DEAD)
			l->dead = true;
		if (sent == SENT_LATER) {
			p->next = l->first;
			l->first = p;
			if (!l->last)
				l->last = p;
			break;
		}
	}
	l->sending = false;
	return !l->dead;
}

bool ipc_send_fds(struct ipc_link *l, unsigned type, const void *body, size_t len, const int *fds, int nfds)
{
	CHECK_MAGIC(l, LINK_MAGIC);
	assert(len <= IPC_BODY_MAX && nfds >= 0 && nfds <= IPC_FDS_MAX);
	pthread_mutex_lock(&l->lock);
	if (!l->hello_sent)
		queue_hello(l);
	struct packet *p = packet_for(l, len + TLV_HEAD, nfds > 0);
	tlv_put(&p->bytes, type, 0, body, len);
	for (int i = 0; i < nfds; i++) {
		p->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0); /* it may wait here while a program is started */
		l->dead |= p->fds[i] < 0;
		p->nfds += p->fds[i] >= 0;
	}
	bool alive = l->corked ? !l->dead : flush_locked(l);
	pthread_mutex_unlock(&l->lock);
	return alive;
}

bool ipc_send(struct ipc_link *l, unsigned type, const void *body, size_t len)
{
	return ipc_send_fds(l, type, body, len, NULL, 0);
}

void ipc_cork(struct ipc_link *l)
{
	CHECK_MAGIC(l, LINK_MAGIC);
	pthread_mutex_lock(&l->lock);
	l->corked = true;
	pthread_mutex_unlock(&l->lock);
}

bool ipc_uncork(struct ipc_link *l)
{
	CHECK_MAGIC(l, LINK_MAGIC);
	pthread_mutex_lock(&l->lock);
	l->corked = false;
	bool alive = flush_locked(l);
	pthread_mutex_unlock(&l->lock);
	return alive;
}

bool ipc_link_flush(struct ipc_link *l)
{
	CHECK_MAGIC(l, LINK_MAGIC);
	pthread_mutex_lock(&l->lock);
	bool alive = flush_locked(l);
	pthread_mutex_unlock(&l->lock);
	return alive;
}

bool ipc_link_pending(const struct ipc_link *cl)
{
	struct ipc_link *l = (struct ipc_link *)(uintptr_t)cl;
	CHECK_MAGIC(l, LINK_MAGIC);
	pthread_mutex_lock(&l->lock);
	bool pending = l->first != NULL && !l->dead;
	pthread_mutex_unlock(&l->lock);
	return pending;
}

/* ---- receiving ------------------------------------------------------------------------------------------------- */

/* Takes the descriptors out of a received packet. */
static void take_fds(struct ipc_link *l, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (int i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof fd, sizeof fd);
			if (l->in_nfds < IPC_FDS_MAX)
				l->in_fds[l->in_nfds++] = fd;
			else
				close(fd);
		}
	}
}

/* Waits for the socket; false when the deadline passed first. */
static bool wait_readable(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	for (;;) {
		int n = poll(&p, 1, clock_poll_ms(deadline));
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

/* One packet into l->in. */
static enum ipc_got receive_packet(struct ipc_link *l, int64_t deadline)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	} control;
	if (!l->in)
		l->in = mem_alloc(PACKET_MAX);
	int flags = MSG_CMSG_CLOEXEC | (deadline == CLOCK_NEVER && !l->nonblock ? 0 : MSG_DONTWAIT);
	for (;;) {
		struct iovec iov = { .iov_base = l->in, .iov_len = PACKET_MAX };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
				      .msg_control = control.space, .msg_controllen = sizeof control.space };
		ssize_t n = recvmsg(l->fd, &msg, flags);
		if (n >= 0)
			take_fds(l, &msg); /* of a packet that is refused as well: they are open */
		if (n > 0 && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
			l->reader = tlv_read(l->in, (size_t)n);
			return IPC_GOT;
		}
		if (n >= 0)
			return IPC_CLOSED;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return IPC_CLOSED;
		if (deadline == 0 || !wait_readable(l->fd, deadline))
			return IPC_AGAIN;
	}
}

/* The first message of each side. False: not a peer of ours. */
static bool check_hello(struct ipc_link *l, const struct tlv *hello)
{
	struct tlv_reader r = tlv_read(hello->data, hello->len);
	struct tlv f;
	uint64_t protocol = 0;
	bool version = false;
	while (tlv_next(&r, &f)) {
		if (f.type == H_PROTOCOL)
			tlv_u64(&f, &protocol);
		else if (f.type == H_VERSION)
			version = f.len == strlen(PACKAGE_VERSION) && memcmp(f.data, PACKAGE_VERSION, f.len) == 0;
		else if (f.type == H_ROLE)
			sanitize_into(l->peer, sizeof l->peer, f.data, f.len, SANITIZE_LOG);
	}
	l->hello_got = hello->type == M_HELLO && version && protocol == IPC_PROTOCOL;
	if (!l->hello_got)
		log_error("a process of another version (%s) is at the other end: restart needed",
			  l->peer[0] ? l->peer : "unknown");
	return l->hello_got;
}

enum ipc_got ipc_receive(struct ipc_link *l, struct ipc_message *m, int64_t deadline)
{
	struct tlv f;
	CHECK_MAGIC(l, LINK_MAGIC);
	drop_in_fds(l);
	for (;;) {
		while (tlv_next(&l->reader, &f)) {
			if (!l->hello_got) {
				if (!check_hello(l, &f))
					return IPC_CLOSED;
				continue;
			}
			*m = (struct ipc_message){ .type = f.type, .body = f.data, .len = f.len, .nfds = l->in_nfds };
			memcpy(m->fds, l->in_fds, sizeof m->fds);
			l->in_nfds = 0;
			return IPC_GOT;
		}
		if (l->reader.bad)
			return IPC_CLOSED;
		enum ipc_got got = receive_packet(l, deadline);
		if (got != IPC_GOT)
			return got;
	}
}
