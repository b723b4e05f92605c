/* SPDX-License-Identifier: Apache-2.0
 * The bounce process: takes qmgr's requests one after the other, stores notices, answers. */
#include "bounce/role.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "bounce/store.h"

enum { PEERS_MAX = 8, PARTIAL_MAX = 64, ANSWER_SECONDS = 60 };

/* A link from a qmgr, and requests that have not come whole yet. */
struct peer_link {
	struct ipc_link *link;
	struct notice_request *partial[PARTIAL_MAX];
};

struct process {
	struct worker *worker;
	struct spool *spool;
	struct spool_writer *writer;
	struct arena *arena;
	struct notice_settings settings;
	struct peer_link peers[PEERS_MAX];
	struct ipc_link *newest;   /* where hints go; NULL: nobody is there */
	struct ipc_link *resolver; /* NULL: not connected */
	bool stop, retired;
};

static bool prepare(struct worker *w, struct ost_why *why)
{
	return worker_spool(w, why) != NULL;
}

/* A notice is durable: qmgr may deliver it. */
static void on_stored(void *ctx, const void *hint, size_t len)
{
	struct process *p = ctx;
	if (p->newest)
		ipc_send(p->newest, M_HINT, hint, len);
}

static void drop_peer(struct process *p, struct peer_link *peer)
{
	if (p->newest == peer->link)
		p->newest = NULL;
	for (size_t i = 0; i < PARTIAL_MAX; i++)
		notice_request_free(&peer->partial[i]);
	ipc_link_destroy(&peer->link);
}

/* A qmgr has come: it hears what has been stored so far. */
static void add_peer(struct process *p, int fd)
{
	struct ipc_link *link = ipc_link_new(fd, "bounce");
	struct buf hint = BUF_INIT;
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (p->peers[i].link)
			continue;
		p->peers[i].link = p->newest = link;
		spool_writer_report(p->writer, &hint);
		if (hint.len > 0)
			ipc_send(link, M_HINT, hint.data, hint.len);
		buf_free(&hint);
		return;
	}
	log_warning("too many peers");
	ipc_link_destroy(&link);
}

static void on_worker_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	struct process *p = ctx;
	(void)detail;
	if (event == WORKER_PEER)
		add_peer(p, fd);
	else if (event == WORKER_STOP)
		p->stop = true;
	else if (event == WORKER_RETIRE)
		p->retired = true;
}

/* ---- whom an address stands for ------------------------------------------------------------------------------ */

/* The resolver's answer. */
static bool read_expansion(const struct ipc_message *m, struct arena *a, const char ***list, size_t *count)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv group, f;
	uint64_t verdict = RESOLVE_DEFER;
	*count = 0;
	*list = arena_alloc(a, (m->len / TLV_HEAD + 1) * sizeof **list);
	if (m->type != M_RESOLVED || !tlv_next(&r, &group) || group.type != F_ANSWER)
		return false;
	struct tlv_reader in = tlv_read(group.data, group.len);
	while (tlv_next(&in, &f)) {
		if (f.type == F_VERDICT)
			tlv_u64(&f, &verdict);
		else if (f.type == F_ADDRESS)
			(*list)[(*count)++] = arena_strndup(a, f.data, f.len);
	}
	return verdict == RESOLVE_OK;
}

/* Asks the resolve process: this one loads no tables. */
static bool expand(void *ctx, struct arena *a, const char *address, const char ***list, size_t *count)
{
	struct process *p = ctx;
	struct ost_why why = { .text = "" };
	struct ipc_message m;
	struct buf b = BUF_INIT;
	if (!p->resolver)
		p->resolver = worker_connect(p->worker, "resolve", &why);
	if (!p->resolver) {
		log_warning("cannot reach resolve: %s", why.text);
		return false;
	}
	size_t mark = tlv_open(&b, F_ASK, 0);
	tlv_put_u64(&b, F_ID, 1);
	tlv_put_u64(&b, F_KIND, ASK_EXPAND);
	tlv_put_str(&b, F_ADDRESS, address);
	tlv_close(&b, mark);
	bool got = ipc_send(p->resolver, M_RESOLVE, b.data, b.len) &&
		   ipc_receive(p->resolver, &m, clock_mono() + ANSWER_SECONDS * CLOCK_SECOND) == IPC_GOT;
	buf_free(&b);
	bool ok = got && read_expansion(&m, a, list, count);
	if (!got) /* an answer that is late must not be taken for the next one */
		ipc_link_destroy(&p->resolver);
	return ok;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

static void answer(struct peer_link *peer, uint64_t id, bool good)
{
	struct buf b = BUF_INIT;
	tlv_put_u64(&b, F_ID, id);
	tlv_put_u64(&b, F_GOOD, good);
	ipc_send(peer->link, M_NOTICED, b.data, b.len);
	buf_free(&b);
}

/* The request that a part belongs to, or room for a new one. NULL: too many are unfinished. */
static struct notice_request **partial_of(struct peer_link *peer, uint64_t id)
{
	struct notice_request **empty = NULL;
	for (size_t i = 0; i < PARTIAL_MAX; i++) {
		if (peer->partial[i] && peer->partial[i]->id == id)
			return &peer->partial[i];
		if (!peer->partial[i] && !empty)
			empty = &peer->partial[i];
	}
	if (empty)
		*empty = notice_request_new();
	return empty;
}

static bool on_notice(struct process *p, struct peer_link *peer, const struct ipc_message *m)
{
	uint64_t id;
	struct notice_request **q = notice_request_id(m, &id) ? partial_of(peer, id) : NULL;
	if (!q || !notice_request_add(*q, m))
		return false;
	if ((*q)->complete) {
		answer(peer, id, notice_store(p->spool, p->writer, &p->settings, *q, expand, p));
		notice_request_free(q);
	}
	return true;
}

/* What has come over a link; false: it is dead, or talks nonsense. */
static bool serve_peer(struct process *p, struct peer_link *peer)
{
	struct ipc_message m;
	for (;;) {
		switch (ipc_receive(peer->link, &m, 0)) {
		case IPC_CLOSED:
			return false;
		case IPC_AGAIN:
			return true;
		case IPC_GOT:
			if (m.type == M_NOTICE && !on_notice(p, peer, &m))
				return false;
		}
	}
}

static void turn(struct process *p)
{
	struct pollfd fds[PEERS_MAX + 1] = { { .fd = worker_control_fd(p->worker), .events = POLLIN } };
	for (size_t i = 0; i < PEERS_MAX; i++)
		fds[i + 1] = (struct pollfd){ .fd = p->peers[i].link ? ipc_link_fd(p->peers[i].link) : -1,
					      .events = POLLIN };
	if (poll(fds, PEERS_MAX + 1, -1) <= 0)
		return;
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (fds[i + 1].revents && !serve_peer(p, &p->peers[i]))
			drop_peer(p, &p->peers[i]);
	if (fds[0].revents)
		worker_dispatch(p->worker, on_worker_event, p);
}

static bool has_peers(const struct process *p)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (p->peers[i].link)
			return true;
	return false;
}

static int serve(struct worker *w)
{
	struct ost_why why = { .text = "" };
	struct process p = { .worker = w, .spool = worker_spool(w, &why), .arena = arena_new() };
	notice_settings_read(&p.settings, p.arena, worker_view(w));
	p.writer = p.spool ? spool_writer_open(p.spool, on_stored, &p, &why) : NULL;
	if (!p.writer)
		log_fatal("cannot write to the spool: %s", why.text);
	worker_ready(w);
	while (!p.stop && (!p.retired || has_peers(&p)))
		turn(&p);
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (p.peers[i].link)
			drop_peer(&p, &p.peers[i]);
	ipc_link_destroy(&p.resolver);
	spool_writer_close(&p.writer);
	arena_destroy(&p.arena);
	return 0;
}

const struct role role_bounce = {
	.name = "bounce",
	.flags = ROLE_SPOOL_READ | ROLE_SPOOL_STORE | ROLE_BATCH,
	.prepare = prepare,
	.serve = serve,
};
