/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/role.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "qmgr/inbound.h"
#include "qmgr/qmgr.h"

/* How long a former qmgr may take to let go of the spool; how long the master may take to name the living
 * agents. */
#define SPOOL_PATIENCE  (60 * CLOCK_SECOND)
#define MASTER_PATIENCE (10 * CLOCK_SECOND)
#define TICK            (1 * CLOCK_SECOND)
enum { LISTENERS_MAX = 8, COMMANDS_MAX = 100 };

struct process {
	struct worker *worker;
	struct event_base *base;
	struct qmgr *qmgr;
	struct event *control, *keeper, *tick, *look, *due, *listeners[LISTENERS_MAX];
	bool listening, resting; /* resting: commands wait in the kernel for the next tick */
	int64_t due_at;
	bool agents_named, stop;
};

/* ---- what qmgr asks of its process --------------------------------------------------------------------------- */

static void host_connect(void *ctx, const char *role)
{
	struct process *p = ctx;
	worker_request(p->worker, role);
}

static void host_want(void *ctx, const char *service)
{
	struct process *p = ctx;
	worker_want(p->worker, service);
}

static bool host_has_service(void *ctx, const char *service)
{
	struct process *p = ctx;
	const struct service *const *list;
	size_t n = config_services(worker_config(p->worker), &list);
	for (size_t i = 0; i < n; i++)
		if (list[i]->type == SERVICE_UNIX && strcmp(list[i]->name, service) == 0)
			return true;
	return false;
}

/* ---- events -------------------------------------------------------------------------------------------------- */

static void on_died(struct process *p, const char *detail)
{
	const char *last = strrchr(detail, ' ');
	if (p->qmgr->keeper)
		keeper_look(p->qmgr->keeper);
	if (last)
		agents_died(p->qmgr, (int)strtol(last + 1, NULL, 10));
}

/* A link that was asked for, or "role: why not". */
static void on_link(struct process *p, const char *detail, int fd)
{
	char role[32];
	snprintf(role, sizeof role, "%.*s", (int)strcspn(detail, ":"), detail);
	if (fd < 0)
		log_warning("cannot reach %s", detail);
	qmgr_linked(p->qmgr, role, fd < 0 ? NULL : ipc_link_new(fd, "qmgr"));
}

static void on_worker_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	struct process *p = ctx;
	switch (event) {
	case WORKER_STOP:
	case WORKER_RETIRE:
		p->stop = true;
		break;
	case WORKER_PEER:
		inbound_peer(p->qmgr, fd, detail);
		break;
	case WORKER_LINK:
		on_link(p, detail, fd);
		break;
	case WORKER_DIED:
		on_died(p, detail);
		break;
	case WORKER_AGENTS:
		flight_expect(p->qmgr, detail);
		p->agents_named = true;
		break;
	case WORKER_FILES:
	default:
		break;
	}
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	(void)fd;
	(void)what;
	worker_dispatch(p->worker, on_worker_event, p);
}

static void on_keeper(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	(void)fd;
	(void)what;
	keeper_dispatch(p->qmgr->keeper);
}

/* Lets commands wait: until others have ended, or descriptors are to be had again. */
static void rest_listeners(struct process *p, bool rest)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++) {
		if (p->listeners[i] && rest)
			event_del(p->listeners[i]);
		else if (p->listeners[i])
			event_add(p->listeners[i], NULL);
	}
	p->resting = rest;
}

static void on_listener(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	(void)what;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	bool scarce = client < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
	if (client >= 0)
		inbound_command(p->qmgr, client);
	if (scarce || p->qmgr->commands >= COMMANDS_MAX)
		rest_listeners(p, true);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	(void)fd;
	(void)what;
	qmgr_tick(p->qmgr);
	if (p->resting && p->qmgr->commands < COMMANDS_MAX)
		rest_listeners(p, false);
	worker_busy(p->worker, (int)p->qmgr->counts[ENTRY_ACTIVE], (int)p->qmgr->counts[ENTRY_DEFERRED]);
}

/* queue_run_delay has passed: a hint may have been lost. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	(void)fd;
	(void)what;
	keeper_look(p->qmgr->keeper);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	(void)fd;
	(void)what;
	p->due_at = CLOCK_NEVER; /* the turn admits what is due */
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

static struct event *watch(struct process *p, int fd, short what, event_callback_fn fn, int64_t every)
{
	struct timeval tv = { .tv_sec = every / CLOCK_SECOND, .tv_usec = every % CLOCK_SECOND };
	struct event *e = event_new(p->base, fd, (short)(what | EV_PERSIST), fn, p);
	if (!e || event_add(e, every > 0 ? &tv : NULL) < 0)
		log_fatal("cannot watch a descriptor");
	return e;
}

/* Commands are answered when recovery has been through the spool: until then a listing would not be the whole
 * truth. */
static void watch_listeners(struct process *p)
{
	const int *fds;
	size_t n = worker_listeners(p->worker, &fds);
	for (size_t i = 0; i < n && i < LISTENERS_MAX; i++)
		p->listeners[i] = watch(p, fds[i], EV_READ, on_listener, 0);
	p->listening = true;
}

static void watch_all(struct process *p)
{
	p->control = watch(p, worker_control_fd(p->worker), EV_READ, on_control, 0);
	p->keeper = watch(p, keeper_fd(p->qmgr->keeper), EV_READ, on_keeper, 0);
	p->tick = watch(p, -1, 0, on_tick, TICK);
	p->look = watch(p, -1, 0, on_look, p->qmgr->settings.run_delay);
	p->due = evtimer_new(p->base, on_due, p);
}

static void unwatch_all(struct process *p)
{
	struct event *all[] = { p->control, p->keeper, p->tick, p->look, p->due };
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		event_free(all[i]);
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (p->listeners[i])
			event_free(p->listeners[i]);
}

/* Wakes the loop when the next deferred message is due. */
static void set_due_timer(struct process *p)
{
	int64_t due = entry_next_due(p->qmgr);
	if (due == p->due_at)
		return;
	p->due_at = due;
	if (due == CLOCK_NEVER) {
		evtimer_del(p->due);
		return;
	}
	int64_t wait = due - clock_mono();
	if (wait < 0)
		wait = 0;
	const struct timeval tv = { .tv_sec = wait / CLOCK_SECOND, .tv_usec = wait % CLOCK_SECOND };
	evtimer_add(p->due, &tv);
}

/* A former qmgr may still be finishing: the spool has one keeper at a time. */
static bool open_spool(struct process *p, struct ost_why *why)
{
	struct spool *spool = worker_spool(p->worker, why);
	int64_t deadline = clock_mono() + SPOOL_PATIENCE;
	if (!spool)
		return false;
	while (!qmgr_open_spool(p->qmgr, spool, why)) {
		if (clock_mono() > deadline || worker_stopping(p->worker))
			return false;
		poll(NULL, 0, 50);
	}
	return true;
}

/* Which agents live is the master's first word; nothing may be handed out before. */
static void learn_agents(struct process *p)
{
	int64_t deadline = clock_mono() + MASTER_PATIENCE;
	struct pollfd fd = { .fd = worker_control_fd(p->worker), .events = POLLIN };
	while (!p->agents_named && !p->stop && clock_mono() < deadline) {
		if (poll(&fd, 1, clock_poll_ms(deadline)) > 0)
			worker_dispatch(p->worker, on_worker_event, p);
	}
	if (!p->agents_named && !p->stop)
		log_warning("the master does not say which delivery agents are running");
}

static void run(struct process *p)
{
	learn_agents(p);
	watch_all(p);
	worker_ready(p->worker);
	bool more = true;
	log_gather(true); /* a turn's lines are one write */
	while (!p->stop) {
		set_due_timer(p);
		if (event_base_loop(p->base, more ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE) < 0)
			log_fatal("the event loop failed");
		more = qmgr_turn(p->qmgr);
		log_flush();
		if (p->qmgr->scanned && !p->listening)
			watch_listeners(p);
	}
	log_gather(false);
	unwatch_all(p);
}

static int serve(struct worker *w)
{
	struct ost_why why = { .text = "" };
	const struct qmgr_host host_functions = {
		.connect = host_connect,
		.want = host_want,
		.has_service = host_has_service,
	};
	struct process p = { .worker = w, .base = event_base_new(), .due_at = CLOCK_NEVER };
	struct qmgr_host host = host_functions;
	host.ctx = &p;
	if (!p.base)
		log_fatal("cannot make an event loop");
	p.qmgr = qmgr_new(worker_view(w), p.base, &host);
	bool ok = open_spool(&p, &why);
	if (ok)
		run(&p);
	else if (!worker_stopping(w))
		log_error("cannot take over the queue: %s", why.text);
	qmgr_destroy(&p.qmgr);
	event_base_free(p.base);
	return ok || worker_stopping(w) ? 0 : 1;
}

static bool prepare(struct worker *w, struct ost_why *why)
{
	return worker_spool(w, why) != NULL;
}

const struct role role_qmgr = {
	.name = "qmgr",
	.flags = ROLE_SPOOL_KEEP | ROLE_BATCH,
	.prepare = prepare,
	.serve = serve,
};
