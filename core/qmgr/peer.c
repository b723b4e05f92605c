/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/peer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "qmgr/qmgr.h"

#define PEER_MAGIC 0x93670003u
enum { MESSAGES_PER_EVENT = 4000 };

/* Takes what has arrived, up to a bound, so that one peer does not keep the others waiting. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct ipc_message m;
	enum ipc_got got = IPC_AGAIN;
	(void)fd;
	(void)what;
	CHECK_MAGIC(p, PEER_MAGIC);
	for (int n = 0; n < MESSAGES_PER_EVENT && !p->doomed; n++) {
		got = ipc_receive(p->link, &m, 0);
		if (got != IPC_GOT)
			break;
		p->ops->message(p->qmgr, p, &m);
		for (int i = 0; i < m.nfds; i++)
			if (m.fds[i] >= 0)
				evutil_closesocket(m.fds[i]);
	}
	if (got == IPC_CLOSED || p->doomed)
		peer_destroy(&p);
	else if (got == IPC_GOT)
		event_active(p->readable, EV_READ, 0);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	(void)fd;
	(void)what;
	CHECK_MAGIC(p, PEER_MAGIC);
	/* A dead link shows itself to the reading side too. */
	if (!ipc_link_flush(p->link))
		event_del(p->writable);
	else if (!ipc_link_pending(p->link)) {
		event_del(p->writable);
		if (p->ops->drained)
			p->ops->drained(p->qmgr, p);
	}
}

struct peer *peer_new(struct qmgr *q, struct ipc_link *link, const struct peer_ops *ops, void *ctx,
		      const char *name, int pid)
{
	struct peer *p = MEM_NEW(struct peer);
	p->magic = PEER_MAGIC;
	p->link = link;
	p->qmgr = q;
	p->pid = pid;
	peer_become(p, ops, ctx, name);
	ipc_link_set_nonblock(link, true);
	p->readable = event_new(q->base, ipc_link_fd(link), EV_READ | EV_PERSIST, on_readable, p);
	p->writable = event_new(q->base, ipc_link_fd(link), EV_WRITE | EV_PERSIST, on_writable, p);
	if (!p->readable || !p->writable || event_add(p->readable, NULL) < 0)
		log_fatal("cannot watch a socket");
	TAILQ_INSERT_TAIL(&q->peers.all, p, link_all);
	return p;
}

void peer_become(struct peer *p, const struct peer_ops *ops, void *ctx, const char *name)
{
	CHECK_MAGIC(p, PEER_MAGIC);
	p->ops = ops;
	p->ctx = ctx;
	snprintf(p->name, sizeof p->name, "%s", name);
}

void peer_destroy(struct peer **pp)
{
	struct peer *p = *pp;
	if (!p)
		return;
	CHECK_MAGIC(p, PEER_MAGIC);
	*pp = NULL;
	struct qmgr *q = p->qmgr;
	if (p->corked)
		TAILQ_REMOVE(&q->peers.corked, p, link_corked);
	TAILQ_REMOVE(&q->peers.all, p, link_all);
	p->ops->closed(q, p);
	event_free(p->readable);
	event_free(p->writable);
	ipc_link_destroy(&p->link);
	p->magic = 0;
	free(p);
}

void peer_doom(struct peer *p)
{
	CHECK_MAGIC(p, PEER_MAGIC);
	p->doomed = true;
	event_active(p->readable, EV_READ, 0);
}

void peer_send(struct peer *p, unsigned type, const void *body, size_t len)
{
	CHECK_MAGIC(p, PEER_MAGIC);
	if (!p->corked) {
		ipc_cork(p->link);
		p->corked = true;
		TAILQ_INSERT_TAIL(&p->qmgr->peers.corked, p, link_corked);
	}
	ipc_send(p->link, type, body, len);
}

bool peer_congested(const struct peer *p)
{
	CHECK_MAGIC(p, PEER_MAGIC);
	return !p->corked && ipc_link_pending(p->link);
}

void peers_init(struct qmgr *q)
{
	TAILQ_INIT(&q->peers.all);
	TAILQ_INIT(&q->peers.corked);
}

void peers_flush(struct qmgr *q)
{
	struct peer *p;
	while ((p = TAILQ_FIRST(&q->peers.corked))) {
		TAILQ_REMOVE(&q->peers.corked, p, link_corked);
		p->corked = false;
		if (ipc_uncork(p->link) && ipc_link_pending(p->link))
			event_add(p->writable, NULL);
	}
}

void peers_destroy(struct qmgr *q)
{
	struct peer *p;
	while ((p = TAILQ_FIRST(&q->peers.all)))
		peer_destroy(&p);
}
