/* SPDX-License-Identifier: Apache-2.0
 * The resolve process: answers qmgr. Where all tables answer at once it does so in one thread, without a
 * switch; else threads share the questions, so that a slow table delays only those that need it. */
#include "resolve/role.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/desk.h"
#include "module/pools.h"
#include "resolve/answer.h"

enum { CLIENTS_MAX = 16, THREADS_MAX = 32, SHARE = 8 /* questions that one thread takes at a time */ };

struct process {
	struct worker *worker;
	const struct resolver *resolver;
	struct arena *arena;
	struct desk *desk; /* NULL: everything is answered inline */
	struct client *clients[CLIENTS_MAX];
	bool stop, retired;
};

static struct resolver *the_resolver; /* from prepare() to the end of the process */

static bool prepare(struct worker *w, struct ost_why *why)
{
	struct ost_why complaint = { .text = "" };
	(void)why;
	the_resolver = resolver_open(worker_view(w), &complaint);
	if (complaint.text[0])
		log_warning("%s", complaint.text); /* its lookups answer "try again later" */
	return true;
}

static void add_client(struct process *p, int fd)
{
	struct ipc_link *link = ipc_link_new(fd, "resolve");
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (!p->clients[i]) {
			p->clients[i] = client_new(link);
			return;
		}
	}
	log_warning("too many peers");
	ipc_link_destroy(&link);
}

static void on_worker_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	struct process *p = ctx;
	(void)detail;
	if (event == WORKER_PEER)
		add_client(p, fd);
	else if (event == WORKER_STOP)
		p->stop = true;
	else if (event == WORKER_RETIRE)
		p->retired = true; /* until the last peer has turned away */
}

static void answer(void *ctx, struct arena *a, const void *body, size_t len, struct ipc_link *link)
{
	(void)resolve_answer(ctx, a, body, len, link);
}

static size_t share(const void *body, size_t len)
{
	return resolve_share(body, len, SHARE);
}

static bool has_clients(const struct process *p)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (p->clients[i])
			return true;
	return false;
}

/* What has come over a link; false: it is dead. */
static bool serve_client(struct process *p, struct client *c)
{
	struct ipc_message m;
	for (;;) {
		switch (ipc_receive(client_link(c), &m, 0)) {
		case IPC_CLOSED:
			return false;
		case IPC_AGAIN:
			return true;
		case IPC_GOT:
			break;
		}
		if (m.type != M_RESOLVE)
			continue;
		if (p->desk)
			desk_add(p->desk, c, m.body, m.len);
		else if (!resolve_answer(p->resolver, p->arena, m.body, m.len, client_link(c)))
			return false;
	}
}

/* Waits for the master and the peers, and serves those that have something. */
static void turn(struct process *p)
{
	struct pollfd fds[CLIENTS_MAX + 1] = { { .fd = worker_control_fd(p->worker), .events = POLLIN } };
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		fds[i + 1] =
			(struct pollfd){ .fd = p->clients[i] ? ipc_link_fd(client_link(p->clients[i])) : -1,
					 .events = POLLIN };
	if (poll(fds, CLIENTS_MAX + 1, clock_poll_ms(mod_pools_tidy())) <= 0)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (fds[i + 1].revents && !serve_client(p, p->clients[i]))
			client_release(&p->clients[i]);
	if (fds[0].revents)
		worker_dispatch(p->worker, on_worker_event, p);
}

static int serve(struct worker *w)
{
	struct process p = { .worker = w, .resolver = the_resolver, .arena = arena_new() };
	const struct desk_work work = { .answer = answer, .share = share, .ctx = the_resolver };
	if (!resolver_immediate(p.resolver))
		p.desk = desk_new(&work, THREADS_MAX);
	worker_ready(w);
	while (!p.stop && (!p.retired || has_clients(&p)))
		turn(&p);
	desk_destroy(&p.desk);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		client_release(&p.clients[i]);
	arena_destroy(&p.arena);
	resolver_close(&the_resolver);
	return 0;
}

const struct role role_resolve = {
	.name = "resolve",
	.flags = ROLE_MODULES | ROLE_NETWORK | ROLE_BATCH,
	.prepare = prepare,
	.serve = serve,
};
