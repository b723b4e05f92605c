/* SPDX-License-Identifier: Apache-2.0
 * Links between processes: the master makes a pair of sockets, one end for the process that asks, one for its
 * peer. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/master_state.h"

enum { WAIT_SECONDS = 30, WAITING_MAX = 64 };

struct pending_peer {
	struct pending_peer *next;
	struct proc *from;
	uint64_t id;
	char role[32];
	int64_t until;
};

static void answer(struct proc *p, uint64_t id, int fd, const char *reason)
{
	struct buf body = BUF_INIT;
	tlv_put_u64(&body, F_ID, id);
	if (reason)
		tlv_put_str(&body, F_REASON, reason);
	ipc_send_fds(p->ctl, CTL_CONNECTED, body.data, body.len, &fd, fd >= 0 ? 1 : 0);
	if (ipc_link_pending(p->ctl))
		event_add(p->writable, NULL);
	buf_free(&body);
}

/* Gives both their ends. */
static bool join(struct proc *from, struct proc *to, uint64_t id)
{
	int pair[2];
	char who[256];
	struct buf body = BUF_INIT;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	snprintf(who, sizeof who, "%s %s %d", from->duty->plan.role, from->duty->plan.name, (int)from->pid);
	tlv_put_str(&body, F_REASON, who);
	ipc_send_fds(to->ctl, CTL_PEER, body.data, body.len, &pair[1], 1);
	if (ipc_link_pending(to->ctl))
		event_add(to->writable, NULL);
	buf_free(&body);
	answer(from, id, pair[0], NULL);
	close(pair[0]);
	close(pair[1]);
	to->links++;
	return true;
}

/* The process that answers for this role, NULL: there is none now. Tables are those of a configuration: proxymap is the one of
 * the asking process's generation; only when that has been replaced, and has none any more, the current one. */
static struct proc *peer_for(struct master *m, const struct proc *from, const char *role)
{
	const struct generation *own = from->duty->generation;
	struct proc *to = NULL;
	if (strcmp(role, "proxymap") == 0) {
		to = proc_of_role(m, own, role);
		if (to || !own->retired)
			return to;
	}
	return proc_of_role(m, m->current, role);
}

/* Starts it, if it is one that is started when it is asked for. */
static void want(struct master *m, const struct proc *from, const char *role)
{
	struct generation *g = from->duty->generation->retired ? m->current : from->duty->generation;
	struct duty *d = g ? generation_duty(g, role, NULL) : NULL;
	if (!d || d->plan.kind != DUTY_ON_DEMAND || strcmp(role, "agent") == 0)
		return;
	d->wanted = true;
	duty_fill(m, d);
}

/* How many requests of this process wait. */
static unsigned waiting_for(const struct master *m, const struct proc *p)
{
	unsigned n = 0;
	for (const struct pending_peer *wait = m->pending; wait; wait = wait->next)
		n += wait->from == p;
	return n;
}

void peers_request(struct proc *p, const struct control_fields *f)
{
	struct master *m = p->master;
	if (m->phase == PHASE_STOPPING) {
		answer(p, f->id, -1, "the mail system is stopping");
		return;
	}
	if (!duties_may_connect(p->duty->plan.role, p->duty->plan.broker, f->name)) {
		log_warning("process %s pid %d may not talk to %s", proc_label(p), (int)p->pid, f->name);
		answer(p, f->id, -1, "not allowed for this process");
		return;
	}
	if (ipc_link_pending(p->ctl)) { /* it does not read its answers: descriptors must not pile up here for it */
		log_warning("process %s pid %d asks and does not listen", proc_label(p), (int)p->pid);
		return;
	}
	struct proc *to = peer_for(m, p, f->name);
	if (!to) {
		want(m, p, f->name);
		to = peer_for(m, p, f->name);
	}
	if (to && to != p && join(p, to, f->id))
		return;
	if (waiting_for(m, p) >= WAITING_MAX) {
		answer(p, f->id, -1, "too many requests of this process wait");
		return;
	}
	struct pending_peer *wait = MEM_NEW(struct pending_peer);
	wait->from = p;
	wait->id = f->id;
	wait->until = clock_mono() + WAIT_SECONDS * CLOCK_SECOND;
	snprintf(wait->role, sizeof wait->role, "%.31s", f->name);
	wait->next = m->pending;
	m->pending = wait;
}

/* Goes through those who wait; drop: this process is gone. */
static void walk(struct master *m, const struct proc *drop)
{
	int64_t now = clock_mono();
	for (struct pending_peer **at = &m->pending; *at;) {
		struct pending_peer *wait = *at;
		struct proc *to = wait->from == drop ? NULL : peer_for(m, wait->from, wait->role);
		bool over = wait->from == drop || (to && join(wait->from, to, wait->id));
		if (!over && now >= wait->until) {
			answer(wait->from, wait->id, -1, "the process asked for does not run");
			over = true;
		}
		if (over) {
			*at = wait->next;
			free(wait);
		} else {
			at = &wait->next;
		}
	}
}

void peers_retry(struct master *m)
{
	walk(m, NULL);
}

void peers_forget(struct master *m, const struct proc *gone)
{
	walk(m, gone);
}
