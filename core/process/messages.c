/* SPDX-License-Identifier: Apache-2.0
 * What processes say to the master over their control links. */
#include <string.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "process/master_state.h"

static void on_ready(struct proc *p, const struct control_fields *f)
{
	(void)f;
	if (p->state != PROC_STARTING)
		return;
	p->state = PROC_READY;
	reload_proc_ready(p->master);
	master_check_phase(p->master);
}

static void on_retired(struct proc *p, const struct control_fields *f)
{
	(void)f;
	p->has_retired = true;
	reload_proc_retired(p->master);
}

static void on_leaving(struct proc *p, const struct control_fields *f)
{
	(void)f;
	p->leaving = true;
}

static void on_failed(struct proc *p, const struct control_fields *f)
{
	sanitize_into(p->why.text, sizeof p->why.text, f->reason, strlen(f->reason), SANITIZE_LOG);
}

/* Only qmgr decides that an agent is needed. */
static void on_want(struct proc *p, const struct control_fields *f)
{
	struct master *m = p->master;
	struct duty *d = m->current ? generation_duty(m->current, "agent", f->name) : NULL;
	if (strcmp(p->duty->plan.role, "qmgr") != 0)
		return;
	if (!d) {
		log_warning("no line in master.cf for the transport \"%s\"", f->name);
		return;
	}
	d->wanted = true;
	duty_fill(m, d);
}

static void on_watch(struct proc *p, const struct control_fields *f)
{
	watch_opened(p, f->name);
}

static const struct {
	unsigned type;
	void (*take)(struct proc *, const struct control_fields *);
} takes[] = {
	{ CTL_READY, on_ready }, { CTL_RETIRED, on_retired },    { CTL_LEAVING, on_leaving },    { CTL_FAILED, on_failed },
	{ CTL_WANT, on_want },   { CTL_CONNECT, peers_request }, { CTL_OPEN, watch_open_for },
	{ CTL_WATCH, on_watch },
};

static void take_message(struct proc *p, struct ipc_message *msg)
{
	struct control_fields f;
	bool good = control_read(msg, &f);
	control_drop_fds(msg);
	for (size_t i = 0; good && i < sizeof takes / sizeof takes[0]; i++) {
		if (takes[i].type == msg->type) {
			takes[i].take(p, &f);
			return;
		}
	}
	log_warning("process %s pid %d says something unknown", proc_label(p), (int)p->pid);
}

void proc_readable(evutil_socket_t fd, short what, void *arg)
{
	struct proc *p = arg;
	struct ipc_message msg;
	(void)fd;
	(void)what;
	for (int budget = 64; budget > 0; budget--) {
		enum ipc_got got = ipc_receive(p->ctl, &msg, 0);
		if (got == IPC_AGAIN)
			return;
		if (got == IPC_CLOSED) { /* its end comes as a signal, soon: who does not hear us any more is of no use */
			event_del(p->readable);
			proc_deaf(p);
			return;
		}
		take_message(p, &msg);
	}
	event_active(p->readable, EV_READ, 0);
}
