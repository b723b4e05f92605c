/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "deliver/clerk.h"
#include "deliver/delivery.h"
#include "process/roles.h"
#include "deliver/services.h"
#include "deliver/userjob.h"
#include "ipc/protocol.h"
#include "module/module.h"
#include "process/broker.h"

enum {
	LIMIT_MAX = 2000,
	BATCH_MAX = 64,
	EAGER = 4,          /* deliveries at work at once before others wait for one of their threads */
	EAGER_TOGETHER = 2, /* for a module that takes along what waits */
};
/* How long a delivery waits for a thread that is at work, before it gets one of its own. */
static const int64_t patience = 3 * CLOCK_SECOND / 1000;

/* The process's one agent: made in prepare(), gone when serve() returns. */
static struct agent *the_agent;

/* ---- starting ------------------------------------------------------------------------------------------------------ */

static bool open_module(struct agent *a, struct ost_why *why)
{
	const struct mod_provider *p = mod_find(OST_KIND_TRANSPORT, a->transport, why);
	if (!p)
		return false;
	a->ops = (const struct ost_transport_ops *)p->ops;
	if (!a->ops->deliver)
		return why_set(why, "module %s: the transport %s cannot deliver", p->module, a->transport);
	a->module = mod_open(p, a->view, a->service, why);
	return a->module != NULL;
}

static bool agent_prepare(struct worker *w, struct ost_why *why)
{
	const struct service *line = worker_service(w);
	struct agent *a = MEM_NEW(struct agent);
	a->magic = AGENT_MAGIC;
	a->view = worker_view(w);
	a->service = line->name;
	a->transport = line->command;
	a->limit = line->maxproc > 0 && line->maxproc < LIMIT_MAX ? (size_t)line->maxproc : LIMIT_MAX;
	a->log_digits = (int)cfg_int(a->view, P_delay_logging_resolution_limit);
	a->call_timeout = cfg_time(a->view, P_daemon_timeout);
	a->soft_bounce = cfg_bool(a->view, P_soft_bounce);
	a->log_original = cfg_bool(a->view, P_enable_original_recipient);
	the_agent = a;
	services_register(a);
	a->spool = worker_spool(w, why);
	a->results = a->spool ? spool_results_open(a->spool, why) : NULL;
	return a->results && open_module(a, why);
}

static void run_job(void *ctx, void *job)
{
	(void)ctx;
	delivery_run(job);
}

static void agent_up(struct agent *a, struct worker *w)
{
	a->outbox = outbox_new();
	a->flights = flights_new();
	a->clerk = clerk_new(a);
	size_t eager = a->ops->ops.flags & OST_TRANSPORT_TOGETHER ? EAGER_TOGETHER : EAGER;
	for (int i = 0; i < AGENT_CREWS; i++) {
		a->crews[i] = crew_new(a->limit, eager, run_job, a);
		crew_start(a->crews[i]);
	}
	if (a->ops->user_write)
		a->users = userjobs_new(a, mod_config(a->module), worker_rootless(w) ? NULL : broker_client_new(w));
}

/* Everything in flight is done. */
static void agent_down(struct agent *a)
{
	for (int i = 0; i < AGENT_CREWS; i++)
		crew_destroy(&a->crews[i]);
	clerk_destroy(&a->clerk);
	userjobs_destroy(&a->users);
	mod_close(&a->module);
	spool_results_close(&a->results);
	outbox_attach(a->outbox, NULL);
	outbox_destroy(&a->outbox);
	flights_destroy(&a->flights);
	the_agent = NULL;
	a->magic = 0;
	free(a);
}

/* ---- serving ------------------------------------------------------------------------------------------------------- */

/* Takes the orders that have come, and hands them to the crews together. Answers what the link said at last. */
static enum ipc_got take_orders(struct agent *a, struct ipc_link *link, int64_t deadline)
{
	void *jobs[AGENT_CREWS][BATCH_MAX];
	size_t n[AGENT_CREWS] = { 0 };
	struct ipc_message m;
	enum ipc_got got = ipc_receive(link, &m, deadline);
	while (got == IPC_GOT) {
		struct ost_why why;
		struct delivery *d = m.type == M_DELIVER ? delivery_parse(a, m.body, m.len, &why) : NULL;
		if (d) {
			flights_add(a->flights, d);
			jobs[d->crew][n[d->crew]++] = d;
		} else if (m.type == M_DELIVER) {
			log_error("%s", why.text);
		}
		if (n[CREW_FRESH] == BATCH_MAX || n[CREW_RETRIED] == BATCH_MAX)
			break;
		got = ipc_receive(link, &m, 0);
	}
	for (int i = 0; i < AGENT_CREWS; i++)
		crew_add_all(a->crews[i], jobs[i], n[i]);
	return got;
}

/* Lets the module close what it does not need any more, about once a second. */
static void idle(struct agent *a, int64_t *last)
{
	int64_t now = clock_mono();
	if (!a->ops->idle || now - *last < CLOCK_SECOND)
		return;
	*last = now;
	mod_enter(a->module, "idle", now + 10 * CLOCK_SECOND);
	a->ops->idle(mod_self(a->module));
	mod_leave(a->module);
}

static bool finished(struct agent *a, struct worker *w)
{
	return worker_stopping(w) && flights_count(a->flights) == 0 && outbox_empty(a->outbox);
}

/* Puts further threads to work where deliveries have waited for too long. Answers whether any wait. */
static bool relieve(struct agent *a)
{
	int64_t now = clock_mono();
	bool waiting = false;
	for (int i = 0; i < AGENT_CREWS; i++)
		waiting |= crew_relieve(a->crews[i], now, patience);
	return waiting;
}

/* Works with one qmgr until it dies or all is done. */
static void work(struct agent *a, struct worker *w, struct ipc_link *link)
{
	int64_t last_idle = clock_mono();
	bool stopping = false;
	if (!flights_hello(a->flights, link, a->service, a->limit))
		return;
	outbox_attach(a->outbox, link);
	for (;;) {
		if (!stopping && worker_stopping(w)) { /* take nothing more, finish what is here */
			stopping = true;
			flights_hello(a->flights, link, a->service, 0);
		}
		if (finished(a, w))
			break;
		bool waiting = relieve(a);
		int64_t wait = waiting ? patience : stopping ? CLOCK_SECOND / 20 : CLOCK_SECOND;
		if (take_orders(a, link, clock_mono() + wait) == IPC_CLOSED)
			break;
		idle(a, &last_idle);
		worker_busy(w, (int)flights_count(a->flights), 0);
	}
	outbox_attach(a->outbox, NULL);
}

static void on_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	(void)ctx, (void)event, (void)detail;
	if (fd >= 0)
		close(fd);
}

static int agent_serve(struct worker *w)
{
	struct agent *a = the_agent;
	agent_up(a, w);
	worker_watch(w, on_event, NULL);
	worker_ready(w);
	while (!finished(a, w)) {
		struct ost_why why = { .text = "" };
		struct ipc_link *link = worker_connect(w, "qmgr", &why);
		if (link) {
			work(a, w, link);
			ipc_link_destroy(&link);
			continue;
		}
		if (worker_stopping(w)) /* no qmgr any more to tell: what is in flight is in the result log */
			break;
		log_warning("cannot reach qmgr: %s", why.text);
		usleep(CLOCK_SECOND);
	}
	agent_down(a);
	return 0;
}

const struct role role_agent = {
	.name = "agent",
	.flags = ROLE_MODULES | ROLE_SPOOL_READ | ROLE_NETWORK | ROLE_BATCH,
	.prepare = agent_prepare,
	.serve = agent_serve,
};
