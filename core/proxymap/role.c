/* SPDX-License-Identifier: Apache-2.0
 * Role "proxymap": answers lookups for processes that are in a jail. */
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/desk.h"
#include "ipc/protocol.h"
#include "module/pools.h"
#include "process/roles.h"
#include "proxymap/approved.h"

enum {
	CLIENTS_MAX = 512,
	THREADS_MAX = 64,
	WAITING_MAX =
		20000, /* questions that no thread has taken yet: a client that sends more has its link cut */
	STOP_SECONDS = 10, /* how long clients that finish their work are still answered after the stop */
};

struct process {
	struct worker *worker;
	struct desk *desk;
	int wake_fd; /* readable: an answer waits for room in its link */
	struct client *clients[CLIENTS_MAX];
	size_t count; /* places that were used so far */
	bool retired;
	int64_t end; /* clock_mono(): the stop's */
};

static struct approved *the_tables; /* from prepare() to the end of the process */

static bool prepare(struct worker *w, struct ost_why *why)
{
	(void)why;
	the_tables = approved_open(worker_view(w));
	log_debug("%zu tables are approved", approved_count(the_tables));
	return true;
}

static void answer(void *ctx, struct arena *a, const void *body, size_t len, struct ipc_link *link)
{
	const struct process *p = ctx;
	approved_answer(the_tables, a, body, len, link);
	if (ipc_link_pending(link))
		(void)!write(p->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* ---- clients -------------------------------------------------------------------------------------------------------- */

static void add_client(struct process *p, int fd)
{
	size_t i = 0;
	while (i < p->count && p->clients[i])
		i++;
	struct ipc_link *link = ipc_link_new(fd, "proxymap");
	if (i == CLIENTS_MAX) {
		log_warning("too many peers");
		ipc_link_destroy(&link);
		return;
	}
	ipc_link_set_nonblock(link, true); /* who does not read its answers holds up nobody */
	p->clients[i] = client_new(link);
	if (i == p->count)
		p->count++;
}

static bool has_clients(const struct process *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->clients[i])
			return true;
	return false;
}

static void tell_changed(void *ctx, const char *name)
{
	struct process *p = ctx;
	struct buf body = BUF_INIT;
	tlv_put_str(&body, F_NAME, name);
	for (size_t i = 0; i < p->count; i++)
		if (p->clients[i])
			ipc_send(client_link(p->clients[i]), M_TABLE_CHANGED, body.data, body.len);
	buf_free(&body);
}

static void on_worker_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	struct process *p = ctx;
	(void)detail;
	if (event == WORKER_PEER)
		add_client(p, fd);
	else if (event == WORKER_STOP && p->end == CLOCK_NEVER)
		p->end = clock_mono() + STOP_SECONDS * CLOCK_SECOND;
	else if (event == WORKER_FILES)
		approved_changed(the_tables, tell_changed, p);
	p->retired |= event == WORKER_STOP || event == WORKER_RETIRE;
}

/* What has come over a link; false: it is dead, or sends too much. */
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
		if (m.type == M_TABLE_ASK && !desk_add(p->desk, c, m.body, m.len)) {
			log_warning("%s asks too much at once", ipc_link_peer(client_link(c)));
			return false;
		}
	}
}

/* ---- the process ---------------------------------------------------------------------------------------------------- */

/* A client that has answers to take is not asked for more questions. */
static struct pollfd interest(struct client *c)
{
	struct pollfd f = { .fd = -1 };
	if (c)
		f = (struct pollfd){ .fd = ipc_link_fd(client_link(c)),
				     .events = ipc_link_pending(client_link(c)) ? POLLOUT : POLLIN };
	return f;
}

/* False: the link is dead. */
static bool attend(struct process *p, struct client *c, short revents)
{
	return revents & POLLOUT ? ipc_link_flush(client_link(c)) : serve_client(p, c);
}

static void turn(struct process *p)
{
	struct pollfd fds[CLIENTS_MAX + 2] = { { .fd = worker_control_fd(p->worker), .events = POLLIN },
					       { .fd = p->wake_fd, .events = POLLIN } };
	size_t n = p->count;
	uint64_t count;
	for (size_t i = 0; i < n; i++)
		fds[i + 2] = interest(p->clients[i]);
	int64_t tidy = mod_pools_tidy();
	if (poll(fds, n + 2, clock_poll_ms(tidy < p->end ? tidy : p->end)) <= 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (fds[i + 2].revents && !attend(p, p->clients[i], fds[i + 2].revents))
			client_release(&p->clients[i]);
	if (fds[0].revents)
		worker_dispatch(p->worker, on_worker_event, p);
	if (fds[1].revents)
		(void)!read(p->wake_fd, &count, sizeof count);
}

static int serve(struct worker *w)
{
	struct process *p = MEM_NEW(struct process);
	const struct desk_work work = { .answer = answer, .ctx = p, .waiting_max = WAITING_MAX };
	p->worker = w;
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake_fd < 0)
		log_fatal("eventfd: %m");
	p->end = CLOCK_NEVER;
	p->desk = desk_new(&work, THREADS_MAX);
	worker_ready(w);
	while ((!p->retired || has_clients(p)) && clock_mono() < p->end)
		turn(p);
	desk_destroy(&p->desk);
	for (size_t i = 0; i < p->count; i++)
		client_release(&p->clients[i]);
	io_close(&p->wake_fd);
	free(p);
	approved_close(&the_tables);
	return 0;
}

const struct role role_proxymap = {
	.name = "proxymap",
	.flags = ROLE_MODULES | ROLE_NETWORK | ROLE_OUTSIDE | ROLE_BATCH,
	.prepare = prepare,
	.serve = serve,
};
