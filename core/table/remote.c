/* SPDX-License-Identifier: Apache-2.0
 * One link for all questions of the process. Who asks sends its question and waits; one thread receives all
 * answers. When the link ends (the other process has died) that thread gets a new one and sends again what
 * has not been answered, so that nobody notices but by the time it takes. */
#include "table/remote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/link.h"
#include "ipc/protocol.h"

enum {
	TRIES_MAX = 3, /* links that one question is sent over: it may be what kills the other process */
	KEY_MAX = 100 * 1024, /* longer ones do not fit into a message */
};

struct question { /* of a thread that waits; guarded by the client's lock */
	struct question *next;
	uint64_t id;
	struct buf body;
	unsigned tries;
	bool sent; /* over the present link */
	bool done;
	pthread_cond_t answered;
	/* The answer. */
	uint64_t status, flags;
	char *value; /* NULL: none */
	size_t len;
	struct ost_why why;
};

struct client {
	table_connect_fn *connect;
	void *ctx;
	remote_changed_fn *changed;
	int wake_fd; /* readable: the thread has something to do beside receiving */
	pthread_t thread;
	pthread_mutex_t lock;  /* guards the following */
	pthread_cond_t wanted; /* somebody asks, and there is no link */
	struct ipc_link *link; /* NULL: none. Received from and ended by the thread alone */
	struct question *first;
	uint64_t last_id;
	bool running, stop;
	bool given_up; /* before it runs: there was no link to be had */
};

static struct client *the_client; /* the process's one, from its start on; NULL: it asks its tables itself */

/* ---- answers ------------------------------------------------------------------------------------------------------ */

/* Lock held. */
static struct question *find_question(const struct client *c, uint64_t id)
{
	struct question *q = c->first;
	while (q && q->id != id)
		q = q->next;
	return q;
}

static void finish(struct question *q)
{
	q->done = true;
	pthread_cond_signal(&q->answered);
}

/* Without a word of the other process. Lock held. */
static void fail_question(struct question *q, const char *reason)
{
	q->status = TABLE_TEMPFAIL;
	why_set(&q->why, "proxymap: %s", reason);
	finish(q);
}

static void take_field(struct question *q, const struct tlv *f)
{
	if (f->type == F_STATUS)
		(void)tlv_u64(f, &q->status);
	else if (f->type == F_FLAGS)
		(void)tlv_u64(f, &q->flags);
	else if (f->type == F_REASON)
		why_set(&q->why, "%.*s", (int)f->len, f->data);
	if (f->type != F_VALUE || q->value)
		return;
	q->value = mem_alloc(f->len + 1);
	memcpy(q->value, f->data, f->len);
	q->value[f->len] = '\0';
	q->len = f->len;
}

static void take_answer(struct client *c, const struct ipc_message *m)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	uint64_t id = 0;
	if (!tlv_next(&r, &f) || f.type != F_ID || !tlv_u64(&f, &id))
		return;
	pthread_mutex_lock(&c->lock);
	struct question *q = find_question(c, id);
	if (q && !q->done) { /* else whoever asked has not waited any longer */
		while (tlv_next(&r, &f))
			take_field(q, &f);
		finish(q);
	}
	pthread_mutex_unlock(&c->lock);
}

static void take_change(struct client *c, const struct ipc_message *m)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	while (tlv_next(&r, &f)) {
		if (f.type != F_NAME)
			continue;
		char *name = mem_strndup(f.data, f.len);
		c->changed(name);
		free(name);
	}
}

/* What has come, at most until the deadline; false: the link has ended. */
static bool receive(struct client *c, int64_t deadline)
{
	struct ipc_message m;
	enum ipc_got got = ipc_receive(c->link, &m, deadline);
	for (; got == IPC_GOT; got = ipc_receive(c->link, &m, 0)) {
		for (int i = 0; i < m.nfds; i++)
			close(m.fds[i]);
		if (m.type == M_TABLE_ANSWER)
			take_answer(c, &m);
		else if (m.type == M_TABLE_CHANGED)
			take_change(c, &m);
	}
	return got != IPC_CLOSED;
}

/* ---- the link ------------------------------------------------------------------------------------------------------ */

/* Lock held. */
static void send_question(struct client *c, struct question *q)
{
	q->sent = true;
	q->tries++;
	ipc_send(c->link, M_TABLE_ASK, q->body.data, q->body.len); /* a dead link is found by who receives */
}

static void wake(const struct client *c)
{
	(void)!write(c->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* A link for those who wait for one. Called and returns with the lock held, and without it in between. */
static void connect_now(struct client *c)
{
	struct ost_why why = { "" };
	pthread_mutex_unlock(&c->lock);
	struct ipc_link *link = c->connect(c->ctx, &why);
	pthread_mutex_lock(&c->lock);
	c->link = link;
	if (link && c->running)
		ipc_link_set_nonblock(link, true);
	for (struct question *q = c->first; q; q = q->next) {
		if (link && !q->done)
			send_question(c, q);
		else if (!q->done)
			fail_question(q, why.text);
	}
}

/* Lock held. */
static void drop_link(struct client *c)
{
	ipc_link_destroy(&c->link);
	for (struct question *q = c->first; q; q = q->next) {
		q->sent = false;
		if (!q->done && q->tries >= TRIES_MAX)
			fail_question(q, "it ended before it answered");
	}
}

/* Waits for the link, or for being woken. */
static bool wait_link(struct client *c)
{
	uint64_t count;
	struct pollfd fds[2] = { { .fd = ipc_link_fd(c->link), .events = POLLIN },
				 { .fd = c->wake_fd, .events = POLLIN } };
	if (ipc_link_pending(c->link))
		fds[0].events |= POLLOUT;
	if (poll(fds, 2, -1) < 0 && errno != EINTR)
		return false;
	if (fds[1].revents)
		(void)!read(c->wake_fd, &count, sizeof count);
	if ((fds[0].revents & POLLOUT) && !ipc_link_flush(c->link))
		return false;
	return !(fds[0].revents & ~POLLOUT) || receive(c, 0);
}

static bool anybody_waits(const struct client *c)
{
	for (const struct question *q = c->first; q; q = q->next)
		if (!q->done)
			return true;
	return false;
}

static void *run(void *arg)
{
	struct client *c = arg;
	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		if (!c->link && !anybody_waits(c)) {
			pthread_cond_wait(&c->wanted, &c->lock);
			continue;
		}
		if (!c->link)
			connect_now(c);
		if (!c->link)
			continue;
		pthread_mutex_unlock(&c->lock);
		bool alive = wait_link(c);
		pthread_mutex_lock(&c->lock);
		if (!alive)
			drop_link(c);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

/* Before the thread runs there is one thread in the process: it receives until its answer is there. Lock
 * held, as above. */
static void ask_alone(struct client *c, struct question *q, int64_t deadline)
{
	if (!c->link && !c->given_up)
		connect_now(c); /* sends it as well */
	else if (c->link)
		send_question(c, q);
	c->given_up |= !c->link;
	while (c->link && !q->done && clock_mono() < deadline) {
		pthread_mutex_unlock(&c->lock);
		bool alive = receive(c, deadline);
		pthread_mutex_lock(&c->lock);
		if (!alive)
			drop_link(c);
	}
}

/* Lock held, as above. */
static void ask_and_wait(struct client *c, struct question *q, int64_t deadline)
{
	struct timespec until = { .tv_sec = deadline / CLOCK_SECOND,
				  .tv_nsec = deadline % CLOCK_SECOND * 1000 };
	if (c->link) {
		send_question(c, q);
		if (ipc_link_pending(c->link))
			wake(c);
	} else {
		pthread_cond_signal(&c->wanted);
	}
	while (!q->done && clock_mono() < deadline)
		pthread_cond_timedwait(&q->answered, &c->lock, &until);
}

static void add_question(struct client *c, struct question *q, const char *name, const char *key, size_t klen,
			 int64_t deadline)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->answered, &attr);
	pthread_condattr_destroy(&attr);
	q->id = ++c->last_id;
	tlv_put_u64(&q->body, F_ID, q->id);
	tlv_put_str(&q->body, F_NAME, name);
	if (key)
		tlv_put(&q->body, F_KEY, 0, key, klen);
	tlv_put_u64(&q->body, F_DEADLINE, (uint64_t)deadline);
	q->next = c->first;
	c->first = q;
}

static void remove_question(struct client *c, struct question *q)
{
	struct question **at = &c->first;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	pthread_cond_destroy(&q->answered);
	buf_free(&q->body);
}

/* What the other process has said, as the caller wants it. */
static enum ost_found result_of(const struct question *q, struct arena *a, const char *key,
				struct lookup *found, struct remote_answer *answer)
{
	answer->flags = (unsigned)q->flags;
	answer->denied = q->status == TABLE_DENIED;
	found->why = q->why;
	switch ((enum table_status)q->status) {
	case TABLE_FOUND:
		if (key && !q->value)
			break;
		found->value = key ? arena_strndup(a, q->value, q->len) : NULL;
		found->len = q->len;
		return OST_FOUND;
	case TABLE_NOTFOUND:
		return OST_NOTFOUND;
	case TABLE_BAD:
		return OST_BADTABLE;
	case TABLE_TEMPFAIL:
	case TABLE_DENIED:
		return OST_TEMPFAIL;
	}
	why_set(&found->why, "proxymap: an answer without a result");
	return OST_TEMPFAIL;
}

enum ost_found remote_ask(const char *name, struct arena *a, const char *key, size_t klen, int64_t deadline,
			  struct lookup *found, struct remote_answer *answer)
{
	struct client *c = the_client;
	struct question q = { .body = BUF_INIT, .why = { "" } };
	*answer = (struct remote_answer){ 0 };
	if (klen + strlen(name) > KEY_MAX) {
		why_set(&found->why, "the key is too long to be passed on");
		return OST_TEMPFAIL;
	}
	pthread_mutex_lock(&c->lock);
	add_question(c, &q, name, key, klen, deadline);
	if (c->running)
		ask_and_wait(c, &q, deadline);
	else
		ask_alone(c, &q, deadline);
	if (!q.done)
		fail_question(&q, "no answer in time");
	remove_question(c, &q);
	pthread_mutex_unlock(&c->lock);
	enum ost_found result = result_of(&q, a, key, found, answer);
	free(q.value);
	return result;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

void remote_init(table_connect_fn *connect, void *ctx, remote_changed_fn *changed)
{
	struct client *c = MEM_NEW(struct client);
	*c = (struct client){ .connect = connect, .ctx = ctx, .changed = changed, .wake_fd = -1 };
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wanted, NULL);
	the_client = c;
}

bool remote_used(void)
{
	return the_client != NULL;
}

bool remote_runs(void)
{
	return the_client && the_client->running;
}

bool remote_run(struct ost_why *why)
{
	struct client *c = the_client;
	if (!c)
		return true;
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake_fd < 0)
		return why_errno(why, "eventfd");
	pthread_mutex_lock(&c->lock);
	c->running = true;
	if (c->link)
		ipc_link_set_nonblock(c->link, true);
	pthread_mutex_unlock(&c->lock);
	return pthread_create(&c->thread, NULL, run, c) == 0 ||
	       why_set(why, "cannot start the thread that asks proxymap");
}

void remote_end(void)
{
	struct client *c = the_client;
	if (!c)
		return;
	if (c->running) {
		pthread_mutex_lock(&c->lock);
		c->stop = true;
		pthread_cond_signal(&c->wanted);
		pthread_mutex_unlock(&c->lock);
		wake(c);
		pthread_join(c->thread, NULL);
	}
	ipc_link_destroy(&c->link);
	io_close(&c->wake_fd);
	pthread_cond_destroy(&c->wanted);
	pthread_mutex_destroy(&c->lock);
	free(c);
	the_client = NULL;
}
