/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/inbound.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/protocol.h"
#include "qmgr/admin.h"
#include "qmgr/qmgr.h"

static void on_message(struct qmgr *q, struct peer *p, const struct ipc_message *msg)
{
	if (msg->type == M_HINT)
		keeper_hint(q->keeper, msg->body, msg->len);
	else if (msg->type == M_AGENT_HELLO)
		agent_hello(q, p, msg);
}

/* What a writer had stored without a hint is found by looking. */
static void on_closed(struct qmgr *q, struct peer *p)
{
	(void)p;
	if (q->keeper)
		keeper_look(q->keeper);
}

static const struct peer_ops inbound_ops = { .message = on_message, .closed = on_closed };

enum { LINKS_MAX = 16 }; /* of one process; it needs one, and another while that ends */

/* The links of a process. */
static unsigned links_of(const struct qmgr *q, int pid)
{
	const struct peer *p;
	unsigned n = 0;
	TAILQ_FOREACH(p, &q->peers.all, link_all)
	{
		n += p->pid == pid;
	}
	return n;
}

void inbound_peer(struct qmgr *q, int fd, const char *detail)
{
	char role[32] = "", name[64] = "";
	int pid = 0;
	if (!detail || sscanf(detail, "%31s %63s %d", role, name, &pid) < 3)
		pid = 0;
	if (pid > 0 && links_of(q, pid) >= LINKS_MAX) {
		log_warning("process %s %d opens link after link: refused", name, pid);
		close(fd);
		return;
	}
	peer_new(q, ipc_link_new(fd, "qmgr"), &inbound_ops, NULL, name[0] ? name : role, pid);
}

void inbound_command(struct qmgr *q, int fd)
{
	admin_new(q, ipc_link_new(fd, "qmgr"));
}
