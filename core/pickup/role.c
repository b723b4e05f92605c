/* SPDX-License-Identifier: Apache-2.0
 * The pickup process: submissions through its socket, and those that wait in maildrop/. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/waiter.h"
#include "ipc/link.h"
#include "ipc/protocol.h"
#include "pickup/scan.h"
#include "process/paths.h"
#include "process/roles.h"
#include "process/hints.h"

enum { BASE_THREADS = 1, MAX_THREADS = 20, CLIENT_SECONDS = 60, MAX_CLIENTS = 200, SCAN_SECONDS = 60, STOP_SECONDS = 10,
       MESSAGES_PER_TURN = 64 };

struct client { /* one sendmail(1) */
	struct ipc_link *link;
	struct wait_entry *wait;
	struct intake *intake;
	char identity[DROP_NAME_LEN + 1]; /* of what it was told is stored; empty: none */
	unsigned uid;
};

struct listener {
	int fd;
	struct wait_entry *entry;
};

static struct pickup_process { /* from prepare() to the end of the process */
	struct post *post;
	struct spool *spool; /* the worker's */
	struct spool_writer *writer;
	struct hints *hints;
	struct waiter *waiter;
	struct pool *pool;
	struct listener *listeners;
	size_t nlisteners;
	char *maildrop;
	_Atomic int clients;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stop;
} process = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static bool prepare(struct worker *w, struct ost_why *why)
{
	struct pickup_process *p = &process;
	struct ost_why trouble = { "" };
	struct spool *spool = worker_spool(w, why);
	if (!spool)
		return false;
	p->post = post_open(worker_view(w), worker_config(w), &trouble);
	if (trouble.text[0])
		log_warning("%s", trouble.text); /* its lookups answer "try again later" */
	p->hints = hints_new(w);
	p->spool = spool;
	p->writer = spool_writer_open(spool, hints_send, p->hints, why);
	p->maildrop = instance_path(worker_view(w), PLACE_MAILDROP);
	maildrop_forget_gone(spool, p->maildrop);
	return p->writer != NULL;
}

static void client_end(struct pickup_process *p, struct client *c)
{
	waiter_remove(p->waiter, &c->wait);
	ipc_link_destroy(&c->link);
	intake_free(&c->intake);
	free(c);
	p->clients--;
}

/* The end of a submission: stores it and answers. */
static void finish(struct client *c)
{
	struct intake_result result;
	struct buf body = BUF_INIT;
	pool_wait_begin();
	intake_finish(c->intake, NULL, &result);
	pool_wait_end();
	intake_free(&c->intake);
	tlv_put_u64(&body, F_GOOD, result.status == EX_OK);
	tlv_put_u64(&body, F_STATUS, (uint64_t)result.status);
	tlv_put_str(&body, F_QUEUE_ID, result.queue_id);
	tlv_put_str(&body, F_REASON, result.reason);
	memcpy(c->identity, result.identity, sizeof c->identity);
	(void)ipc_send(c->link, M_SUBMIT_REPLY, body.data, body.len);
	buf_free(&body);
}

/* The client has its answer: the message's second name is of no use any more. */
static void taken(const struct pickup_process *p, struct client *c)
{
	if (c->identity[0])
		spool_named_forget(p->spool, c->identity);
	c->identity[0] = '\0';
}

/* One message of a client. */
static void take(struct pickup_process *p, struct client *c, const struct ipc_message *m)
{
	for (int i = 0; i < m->nfds; i++)
		close(m->fds[i]); /* none is expected */
	if (m->type == M_SUBMIT_TAKEN) {
		taken(p, c);
		return;
	}
	if (!c->intake)
		c->intake = intake_new(p->post, c->uid);
	if (m->type == M_SUBMIT)
		(void)intake_envelope(c->intake, m->body, m->len);
	else if (m->type == M_SUBMIT_DATA)
		(void)intake_data(c->intake, m->body, m->len);
	else if (m->type == M_SUBMIT_END)
		finish(c);
}

/* What a client has sent; parks it again or ends it. */
static void client_work(struct pickup_process *p, struct client *c, enum wait_why why)
{
	struct ipc_message m;
	if (why == WAITED_DEADLINE) {
		log_info("a submission of uid %u was not finished in time", c->uid);
		client_end(p, c);
		return;
	}
	for (int i = 0; i < MESSAGES_PER_TURN; i++) {
		enum ipc_got got = ipc_receive(c->link, &m, 0);
		if (got == IPC_CLOSED) {
			client_end(p, c);
			return;
		}
		if (got == IPC_AGAIN) {
			waiter_park(p->waiter, c->wait, WAIT_READ, clock_mono() + CLIENT_SECONDS * CLOCK_SECOND);
			return;
		}
		take(p, c, &m);
	}
	waiter_wake(p->waiter, c->wait); /* there may be more: others have their turn first */
	waiter_park(p->waiter, c->wait, WAIT_NOTHING, CLOCK_NEVER);
}

static void accept_one(struct pickup_process *p, const struct listener *l)
{
	unsigned uid, gid;
	int pid;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_warning("accept connection: %s", strerror(errno));
			usleep(100000);
		}
		return;
	}
	if (p->clients >= MAX_CLIENTS) {
		close(fd); /* sendmail(1) goes to maildrop/ then */
		return;
	}
	struct client *c = MEM_NEW(struct client);
	p->clients++;
	c->link = ipc_link_new(fd, "pickup");
	c->wait = waiter_add(p->waiter, ipc_link_fd(c->link), c);
	if (!ipc_peer(c->link, &uid, &gid, &pid)) {
		client_end(p, c);
		return;
	}
	c->uid = uid;
	client_work(p, c, WAITED_IO);
}

static void work(void *ctx, void *owner, enum wait_why why)
{
	if (why == WAITED_LISTENER)
		accept_one(ctx, owner);
	else
		client_work(ctx, owner, why);
}

static void on_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	struct pickup_process *p = ctx;
	(void)detail;
	(void)fd;
	if (event != WORKER_STOP && event != WORKER_RETIRE)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* Waits a while, or until the end comes; answers whether it has. */
static bool wait_for(struct pickup_process *p, int64_t seconds)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until); /* the date may jump */
	until.tv_sec += seconds;
	pthread_mutex_lock(&p->lock);
	while (!p->stop && pthread_cond_clockwait(&p->changed, &p->lock, CLOCK_MONOTONIC, &until) == 0)
		;
	bool stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return stop;
}

/* Listens and scans until the end. */
static void run(struct worker *w, struct pickup_process *p)
{
	const int *fds;
	const struct service *line = worker_service(w);
	int64_t pause = line && line->wakeup > 0 ? line->wakeup / CLOCK_SECOND : SCAN_SECONDS;
	p->nlisteners = worker_listeners(w, &fds);
	p->listeners = mem_zalloc((p->nlisteners + 1) * sizeof *p->listeners);
	for (size_t i = 0; i < p->nlisteners; i++) {
		p->listeners[i].fd = fds[i];
		p->listeners[i].entry = waiter_listen(p->waiter, fds[i], &p->listeners[i]);
	}
	do
		maildrop_scan(p->post, p->maildrop);
	while (!wait_for(p, pause > 0 ? pause : 1));
	for (size_t i = 0; i < p->nlisteners; i++)
		waiter_unlisten(p->waiter, &p->listeners[i].entry);
	for (int i = 0; i < STOP_SECONDS * 20 && p->clients > 0; i++)
		usleep(50000);
}

static int serve(struct worker *w)
{
	struct pickup_process *p = &process;
	p->waiter = waiter_new();
	p->pool = pool_new(p->waiter, BASE_THREADS, MAX_THREADS, work, p);
	post_set_spool(p->post, p->spool, p->writer);
	hints_start(p->hints, p->writer);
	worker_watch(w, on_event, p);
	pool_start(p->pool);
	worker_ready(w);
	run(w, p);
	waiter_stop(p->waiter);
	pool_join(&p->pool);
	hints_stop(&p->hints);
	return 0;
}

const struct role role_pickup = {
	.name = "pickup",
	.flags = ROLE_MODULES | ROLE_SPOOL_STORE | ROLE_MAILDROP | ROLE_BATCH,
	.prepare = prepare,
	.serve = serve,
};
