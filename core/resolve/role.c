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
#include "resolve/verify.h"
#include "spool/message.h"

enum { CLIENTS_MAX = 16, THREADS_MAX = 32, SHARE = 8 /* questions that one thread takes at a time */ };

struct process {
	struct worker *worker;
	const struct resolver *resolver;
	struct arena *arena;
	struct desk *desk; /* NULL: everything is answered inline */
	struct client *clients[CLIENTS_MAX];
	int64_t clean_at, clean_every; /* of the cache of verified addresses, clock_mono() */
	bool stop, retired;
};

static struct resolver *the_resolver; /* from prepare() to the end of the process */

static struct verify_cache verified;   /* the same */

static bool prepare(struct worker *w, struct ost_why *why)
{
	struct ost_why complaint = { .text = "" };
	(void)why;
	the_resolver = resolver_open(worker_view(w), &complaint);
	resolver_add_probes(the_resolver, &complaint);
	if (complaint.text[0])
		log_warning("%s", complaint.text); /* its lookups answer "try again later" */
	verify_open(&verified, worker_view(w), &complaint); /* who needs it has said so */
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

/* What became of one recipient of an address probe. */
static void take_result(struct arena *a, const struct tlv *group)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	const char *address = NULL, *reason = "";
	uint64_t status = RCPT_DEFERRED;
	while (tlv_next(&r, &f)) {
		if (f.type == F_ADDRESS)
			address = arena_strndup(a, f.data, f.len);
		else if (f.type == F_REASON)
			reason = arena_strndup(a, f.data, f.len);
		else if (f.type == F_STATUS)
			tlv_u64(&f, &status);
	}
	if (address && verified.cache)
		verify_note_result(&verified, a, address,
				   status == RCPT_DEFERRED ? VERIFIED_DEFERRED
				   : status == RCPT_FAILED ? VERIFIED_BOUNCED
							   : VERIFIED_OK,
				   reason, clock_utc() / CLOCK_SECOND);
}

static void take_results(struct process *p, const void *body, size_t len)
{
	struct tlv_reader r = tlv_read(body, len);
	struct tlv f;
	while (tlv_next(&r, &f)) {
		arena_reset(p->arena);
		if (f.type == F_RESULT)
			take_result(p->arena, &f);
	}
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
		if (m.type == M_VERIFIED)
			take_results(p, m.body, m.len);
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
	int64_t until = mod_pools_tidy();
	if (p->clean_every && p->clean_at < until)
		until = p->clean_at;
	if (p->clean_every && clock_mono() >= p->clean_at) {
		verify_clean(&verified, p->arena);
		p->clean_at = clock_mono() + p->clean_every;
	}
	if (poll(fds, CLIENTS_MAX + 1, clock_poll_ms(until)) <= 0)
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
	p.clean_every = verified.cache ? cfg_time(worker_view(w), P_address_verify_cache_cleanup_interval) : 0;
	p.clean_at = clock_mono() + p.clean_every;
	worker_ready(w);
	while (!p.stop && (!p.retired || has_clients(&p)))
		turn(&p);
	desk_destroy(&p.desk);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		client_release(&p.clients[i]);
	arena_destroy(&p.arena);
	verify_close(&verified);
	resolver_close(&the_resolver);
	return 0;
}

const struct role role_resolve = {
	.name = "resolve",
	.flags = ROLE_MODULES | ROLE_NETWORK | ROLE_BATCH,
	.prepare = prepare,
	.serve = serve,
};
