/* SPDX-License-Identifier: Apache-2.0
 * The broker: root's few fixed steps for delivery agents. A single-threaded event loop that loads no module.
 */
#include "process/broker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/broker_state.h"
#include "process/roles.h"

enum { STOP_SECONDS = 10 };

/* ---- agents -------------------------------------------------------------------------------------------------- */

static void agent_free(struct broker_agent *a)
{
	for (struct broker_agent **at = &a->broker->agents; *at; at = &(*at)->next) {
		if (*at == a) {
			*at = a->next;
			break;
		}
	}
	children_forget(a->broker, a);
	mailbox_forget(a);
	event_free(a->readable);
	event_free(a->writable);
	ipc_link_destroy(&a->link);
	free(a);
}

void broker_answer(struct broker_agent *a, unsigned type, uint64_t id, unsigned status, const char *reason,
		   int fd)
{
	struct buf body = BUF_INIT;
	tlv_put_u64(&body, F_ID, id);
	tlv_put_u64(&body, F_STATUS, status);
	if (reason)
		tlv_put_str(&body, F_REASON, reason);
	ipc_send_fds(a->link, type, body.data, body.len, &fd, fd >= 0 ? 1 : 0);
	if (ipc_link_pending(a->link))
		event_add(a->writable, NULL);
	buf_free(&body);
}

/* A mailbox is the business of a user whom the system knows. */
static void take_mailbox(struct broker_agent *a, const struct control_fields *f)
{
	struct broker_user user;
	if (!broker_may_name(a->line))
		broker_answer(a, CTL_MAILBOXED, f->id, MAILBOX_FAILED, "not allowed for this service", -1);
	else if (user_known(a->broker, f->name, &user))
		mailbox_take(a, f, &user);
	else
		user_lookup(a, CTL_MAILBOX, f);
}

static void take_drop(struct broker_agent *a, const struct control_fields *f)
{
	child_drop(a, f->id);
}

static const struct {
	unsigned type;
	void (*take)(struct broker_agent *, const struct control_fields *);
} takes[] = {
	{ CTL_TAKE, child_take },
	{ CTL_MAILBOX, take_mailbox },
	{ CTL_MAILBOX_DONE, mailbox_done },
	{ CTL_DROP, take_drop },
};

static void take_message(struct broker_agent *a, struct ipc_message *m)
{
	struct control_fields f;
	bool good = control_read(m, &f);
	control_drop_fds(m);
	for (size_t i = 0; good && i < sizeof takes / sizeof takes[0]; i++) {
		if (takes[i].type == m->type) {
			takes[i].take(a, &f);
			return;
		}
	}
	log_warning("service %s asks for something unknown", a->line->name);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct broker_agent *a = arg;
	struct ipc_message m;
	(void)fd;
	(void)what;
	for (int budget = 32; budget > 0; budget--) {
		enum ipc_got got = ipc_receive(a->link, &m, 0);
		if (got == IPC_AGAIN)
			return;
		if (got == IPC_CLOSED) {
			agent_free(a);
			return;
		}
		take_message(a, &m);
	}
	event_active(a->readable, EV_READ, 0);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct broker_agent *a = arg;
	(void)fd;
	(void)what;
	ipc_link_flush(a->link);
	if (ipc_link_pending(a->link))
		event_add(a->writable, NULL);
}

/* The master.cf line of "agent NAME pid", as this configuration has it. */
static const struct service *line_of(struct broker *b, const char *detail, unsigned *number)
{
	const struct service *const *list;
	size_t n = config_services(worker_config(b->worker), &list);
	const char *name = strchr(detail, ' '), *end = strrchr(detail, ' ');
	if (!name || end <= name || strncmp(detail, "agent ", 6) != 0)
		return NULL;
	size_t len = (size_t)(end - name - 1);
	for (size_t i = 0; i < n; i++) {
		if (list[i]->type == SERVICE_UNIX && strlen(list[i]->name) == len &&
		    memcmp(list[i]->name, name + 1, len) == 0) {
			*number = (unsigned)i + 1;
			return list[i];
		}
	}
	return NULL;
}

static void add_agent(struct broker *b, const char *detail, int fd)
{
	unsigned number = 0;
	const struct service *line = line_of(b, detail, &number);
	if (!line) {
		log_warning("no line in master.cf for %s", detail);
		close(fd);
		return;
	}
	struct broker_agent *a = MEM_NEW(struct broker_agent);
	a->broker = b;
	a->line = line;
	a->line_number = number;
	a->link = ipc_link_new(fd, "broker");
	ipc_link_set_nonblock(a->link, true);
	a->readable = event_new(b->base, fd, EV_READ | EV_PERSIST, on_readable, a);
	a->writable = event_new(b->base, fd, EV_WRITE, on_writable, a);
	event_add(a->readable, NULL);
	a->next = b->agents;
	b->agents = a;
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

static void on_worker_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	struct broker *b = ctx;
	if (event == WORKER_PEER) {
		add_agent(b, detail, fd);
	} else if (event == WORKER_STOP || event == WORKER_RETIRE) {
		b->stopping = true;
		if (event == WORKER_STOP)
			b->stop_at = clock_mono() + STOP_SECONDS * CLOCK_SECOND;
	}
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct broker *b = arg;
	(void)fd;
	(void)what;
	worker_dispatch(b->worker, on_worker_event, b);
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct broker *b = arg;
	pid_t pid;
	int status;
	(void)fd;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		children_reaped(b, pid, status);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct broker *b = arg;
	(void)fd;
	(void)what;
	children_tick(b, clock_mono());
}

static struct broker the_broker; /* the process's one */

static bool broker_prepare(struct worker *w, struct ost_why *why)
{
	(void)why;
	the_broker.worker = w;
	the_broker.stop_at = CLOCK_NEVER;
	broker_own_find(worker_view(w), &the_broker.own);
	return true;
}

/* Nothing is left to do. */
static bool is_over(const struct broker *b)
{
	return b->stopping && ((!b->agents && !b->children) || clock_mono() >= b->stop_at);
}

static int broker_serve(struct worker *w)
{
	struct broker *b = &the_broker;
	b->base = event_base_new();
	struct event *events[] = {
		event_new(b->base, worker_control_fd(w), EV_READ | EV_PERSIST, on_control, b),
		evsignal_new(b->base, SIGCHLD, on_child, b),
		event_new(b->base, -1, EV_PERSIST, on_tick, b),
	};
	event_add(events[0], NULL);
	event_add(events[1], NULL);
	event_add(events[2], &(struct timeval){ .tv_sec = 1 });
	worker_ready(w);
	while (!is_over(b))
		event_base_loop(b->base, EVLOOP_ONCE);
	while (b->agents)
		agent_free(b->agents);
	users_free(b);
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
		event_free(events[i]);
	event_base_free(b->base);
	return 0;
}

const struct role role_broker = {
	.name = "broker", .flags = ROLE_ROOT, .prepare = broker_prepare, .serve = broker_serve
};
