/* SPDX-License-Identifier: Apache-2.0
 * The control link from the process's side: one thread reads it, answers go to the threads that wait for
 * them, events to whoever calls worker_dispatch(). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "module/pools.h"
#include "process/worker_state.h"
#include "table/table.h"

enum {
	ANSWER_SECONDS = 60,     /* longest wait for the master's answer */
	ORPHAN_SECONDS = 30,     /* without a master, what is under way has this time */
	HUNG_GRACE_SECONDS = 30, /* a worker with a hung module call finishes what it can in this time */
};

struct worker_waiter {
	struct worker_waiter *next;
	uint64_t id;
	char *role; /* worker_request(): nobody waits, the answer is an event; NULL: a thread waits */
	bool done;
	int fd;
	struct ost_why why;
};

struct worker_item {
	struct worker_item *next;
	enum worker_event event;
	char *detail;
	int fd;
};

/* How a message of the master becomes an event. */
static const struct {
	unsigned type;
	enum worker_event event;
	bool stops;
} events[] = {
	{ CTL_STOP, WORKER_STOP, true },      { CTL_RETIRE, WORKER_RETIRE, true },
	{ CTL_FILES, WORKER_FILES, false },   { CTL_HUNG, WORKER_RETIRE, true },
	{ CTL_DIED, WORKER_DIED, false },     { CTL_PEER, WORKER_PEER, false },
	{ CTL_AGENTS, WORKER_AGENTS, false },
};

void worker_link_init(struct worker *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* who sets the calendar back does not make anybody wait for years */
	pthread_cond_init(&w->answered, &attr);
	pthread_condattr_destroy(&attr);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0)
		log_fatal("eventfd: %m");
}

/* ---- what comes in ------------------------------------------------------------------------------------------- */

/* Lock held. */
static void queue_event(struct worker *w, enum worker_event event, const char *detail, int fd)
{
	struct worker_item *item = MEM_NEW(struct worker_item);
	item->event = event;
	item->detail = mem_strdup(detail);
	item->fd = fd;
	if (w->last)
		w->last->next = item;
	else
		w->first = item;
	w->last = item;
	(void)!write(w->event_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* Takes one out of the list. Lock held. */
static void remove_waiter(struct worker *w, const struct worker_waiter *wait)
{
	struct worker_waiter **p = &w->waiters;
	while (*p && *p != wait)
		p = &(*p)->next;
	if (*p)
		*p = wait->next;
}

/* The answer to worker_request(). Lock held. */
static void answer_request(struct worker *w, struct worker_waiter *wait, const char *reason, int fd)
{
	char *detail = fd >= 0 ? mem_strdup(wait->role) : mem_printf("%s: %s", wait->role, reason);
	queue_event(w, WORKER_LINK, detail, fd);
	free(detail);
	remove_waiter(w, wait);
	free(wait->role);
	free(wait);
}

/* Gives an answer to who waits for it. Lock held; takes the first descriptor. */
static void give_answer(struct worker *w, const struct control_fields *f, struct ipc_message *m)
{
	for (struct worker_waiter *wait = w->waiters; wait; wait = wait->next) {
		if (wait->id != f->id || wait->done)
			continue;
		if (wait->role) {
			answer_request(w, wait, f->reason, m->nfds > 0 ? m->fds[0] : -1);
			if (m->nfds > 0)
				m->fds[0] = -1;
			return;
		}
		wait->done = true;
		if (m->nfds > 0) {
			wait->fd = m->fds[0];
			m->fds[0] = -1;
		} else {
			why_set(&wait->why, "%s", f->reason);
		}
		pthread_cond_broadcast(&w->answered);
		return;
	}
}

/* One message of the master. */
static void take_message(struct worker *w, struct ipc_message *m, int64_t *abort_at)
{
	struct control_fields f;
	if (!control_read(m, &f)) {
		log_warning("a message of the master cannot be read");
		control_drop_fds(m);
		return;
	}
	if (m->type == CTL_HUNG && *abort_at == CLOCK_NEVER) {
		*abort_at = clock_mono() + HUNG_GRACE_SECONDS * CLOCK_SECOND;
		log_warning("%s: no answer for too long: finishing, then ending this process", f.reason);
	}
	pthread_mutex_lock(&w->lock);
	if (m->type == CTL_CONNECTED || m->type == CTL_OPENED)
		give_answer(w, &f, m);
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		if (events[i].type != m->type)
			continue;
		if (events[i].stops)
			atomic_store(&w->stopping, true);
		queue_event(w, events[i].event, f.reason, m->nfds > 0 ? m->fds[0] : -1);
		if (m->nfds > 0)
			m->fds[0] = -1;
	}
	pthread_mutex_unlock(&w->lock);
	control_drop_fds(m);
}

/* The master is gone: what is under way is finished, as for a stop. */
static void master_gone(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->closed = true;
	atomic_store(&w->stopping, true);
	queue_event(w, WORKER_STOP, "", -1);
	pthread_cond_broadcast(&w->answered);
	pthread_mutex_unlock(&w->lock);
}

static void *reader(void *arg)
{
	struct worker *w = arg;
	int64_t abort_at = CLOCK_NEVER;
	struct ipc_message m;
	for (;;) {
		enum ipc_got got = ipc_receive(w->ctl, &m, abort_at);
		if (got == IPC_GOT)
			take_message(w, &m, &abort_at);
		else if (got == IPC_AGAIN && clock_mono() >= abort_at)
			log_panic("a module call did not return: ending this process");
		else if (got == IPC_CLOSED)
			break;
	}
	master_gone(w);
	bool hung = abort_at != CLOCK_NEVER;
	int64_t deadline = clock_mono() + ORPHAN_SECONDS * CLOCK_SECOND;
	if (abort_at > deadline)
		abort_at = deadline;
	while (clock_mono() < abort_at)
		poll(NULL, 0, clock_poll_ms(abort_at));
	if (hung)
		log_panic("a module call did not return: ending this process");
	log_error("the master is gone, and what was under way does not end: ending this process");
	_exit(1);
}

void worker_link_run(struct worker *w)
{
	pthread_t thread;
	w->reader_runs = true;
	if (pthread_create(&thread, NULL, reader, w) != 0)
		log_fatal("cannot start the control thread");
	pthread_detach(thread);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

bool worker_tell(struct worker *w, unsigned type, unsigned field, const char *text)
{
	struct buf body = BUF_INIT;
	tlv_put_str(&body, field, text);
	bool ok = ipc_send(w->ctl, type, body.data, body.len);
	buf_free(&body);
	return ok;
}

/* Before the reader runs there is one thread: it reads until its answer is there. */
static void read_until_answered(struct worker *w, struct worker_waiter *wait, int64_t deadline)
{
	int64_t never = CLOCK_NEVER;
	struct ipc_message m;
	while (!wait->done) {
		enum ipc_got got = ipc_receive(w->ctl, &m, deadline);
		if (got == IPC_GOT) {
			take_message(w, &m, &never);
			continue;
		}
		if (got == IPC_CLOSED)
			master_gone(w);
		return;
	}
}

/* Puts it into the list and sends the request; false: the master is gone. */
static bool send_request(struct worker *w, struct worker_waiter *wait, unsigned type, const char *name)
{
	struct buf body = BUF_INIT;
	pthread_mutex_lock(&w->lock);
	wait->id = ++w->next_id;
	wait->next = w->waiters;
	w->waiters = wait;
	uint64_t id = wait->id;
	pthread_mutex_unlock(&w->lock);
	tlv_put_u64(&body, F_ID, id);
	tlv_put_str(&body, F_NAME, name);
	bool sent = ipc_send(w->ctl, type, body.data, body.len);
	buf_free(&body);
	return sent;
}

/* Sends a request and waits for the descriptor; -1 with the reason. */
static int ask(struct worker *w, unsigned type, const char *name, struct ost_why *why)
{
	int64_t deadline = clock_mono() + ANSWER_SECONDS * CLOCK_SECOND;
	struct worker_waiter wait = { .fd = -1 };
	why_set(&wait.why, "no answer from the master");
	bool inline_read = !w->reader_runs;
	bool sent = send_request(w, &wait, type, name);
	if (sent && inline_read)
		read_until_answered(w, &wait, deadline);

	pthread_mutex_lock(&w->lock);
	struct timespec until = { .tv_sec = deadline / CLOCK_SECOND, .tv_nsec = deadline % CLOCK_SECOND * 1000 };
	while (sent && !inline_read && !wait.done && !w->closed &&
	       pthread_cond_timedwait(&w->answered, &w->lock, &until) != ETIMEDOUT)
		;
	remove_waiter(w, &wait);
	pthread_mutex_unlock(&w->lock);
	if (wait.fd < 0)
		why_set(why, "%s", wait.why.text);
	return wait.fd;
}

struct ipc_link *worker_connect(struct worker *w, const char *role, struct ost_why *why)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	int fd = ask(w, CTL_CONNECT, role, why);
	return fd < 0 ? NULL : ipc_link_new(fd, w->role->name);
}

void worker_request(struct worker *w, const char *role)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	struct worker_waiter *wait = MEM_NEW(struct worker_waiter);
	wait->fd = -1;
	wait->role = mem_strdup(role);
	(void)send_request(w, wait, CTL_CONNECT, role); /* without a master this process ends anyway */
}

int worker_open_file(struct worker *w, const char *path, struct ost_why *why)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	if (w->reader_runs)
		return ask(w, CTL_OPEN, path, why);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == EACCES)
		return ask(w, CTL_OPEN, path, why);
	if (fd < 0)
		why_set(why, "%s", strerror(errno));
	worker_tell(w, CTL_WATCH, F_NAME, path); /* that it comes is a change, too */
	return fd;
}

void worker_want(struct worker *w, const char *service)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	worker_tell(w, CTL_WANT, F_NAME, service);
}

void worker_ready(struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	if (w->ctl)
		ipc_send(w->ctl, CTL_READY, NULL, 0);
}

/* ---- events -------------------------------------------------------------------------------------------------- */

int worker_control_fd(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->event_fd;
}

static struct worker_item *next_item(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	struct worker_item *item = w->first;
	if (item) {
		w->first = item->next;
		if (!w->first)
			w->last = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	return item;
}

void worker_dispatch(struct worker *w, worker_event_fn *handler, void *ctx)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	uint64_t count;
	struct worker_item *item;
	(void)!read(w->event_fd, &count, sizeof count);
	while ((item = next_item(w)) != NULL) {
		if (item->event == WORKER_FILES && (w->role->flags & ROLE_MODULES))
			table_reopen_all();
		handler(ctx, item->event, item->detail, item->fd);
		if (item->event == WORKER_RETIRE)
			ipc_send(w->ctl, CTL_RETIRED, NULL, 0);
		free(item->detail);
		free(item);
	}
}

/* Beside the master's words, modules' idle connections. */
static void *watcher(void *arg)
{
	struct worker *w = arg;
	struct pollfd p = { .fd = w->event_fd, .events = POLLIN };
	for (;;) {
		int64_t tidy_at = w->role->flags & ROLE_MODULES ? mod_pools_tidy() : CLOCK_NEVER;
		if (poll(&p, 1, clock_poll_ms(tidy_at)) > 0)
			worker_dispatch(w, w->watch, w->watch_ctx);
	}
	return NULL;
}

void worker_watch(struct worker *w, worker_event_fn *handler, void *ctx)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	pthread_t thread;
	w->watch = handler;
	w->watch_ctx = ctx;
	if (pthread_create(&thread, NULL, watcher, w) != 0)
		log_fatal("cannot start the watching thread");
	pthread_detach(thread);
}

bool worker_stopping(const struct worker *w)
{
	return atomic_load_explicit(&w->stopping, memory_order_relaxed);
}
