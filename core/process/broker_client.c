/* SPDX-License-Identifier: Apache-2.0
 * The broker from an agent's side: a pool of children per user, and one link over which any number of threads
 * ask. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "process/broker.h"
#include "process/control.h"

#define CLIENT_MAGIC 0xb20ce201u

enum {
	ANSWER_SECONDS = 60, /* the broker bounds each of its steps by less */
	IDLE_MAX = 64,       /* children of all users that wait for work */
};

struct broker_child {
	struct broker_child *next;
	struct ipc_link *link;
	uint64_t id;
	char key[96];  /* "u:name", "i:uid:gid" */
	int64_t since; /* idle since */
};

struct answer { /* a thread that waits for the broker */
	struct answer *next;
	uint64_t id;
	bool done, lost;
	uint64_t status;
	int fd;
	struct ost_why why;
};

struct broker_client {
	unsigned magic;
	struct worker *worker;
	int64_t max_idle;
	pthread_mutex_t lock; /* guards all below; not held while receiving */
	pthread_cond_t changed;
	struct ipc_link *link;
	bool reading; /* a waiting thread reads for all */
	bool connecting;
	struct answer *waiting;
	struct broker_child *idle; /* the last used first */
	uint64_t next_id;
};

struct broker_client *broker_client_new(struct worker *w)
{
	struct broker_client *c = MEM_NEW(struct broker_client);
	c->magic = CLIENT_MAGIC;
	c->worker = w;
	c->max_idle = cfg_time(worker_view(w), P_max_idle);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	return c;
}

static void child_free(struct broker_child *child)
{
	ipc_link_destroy(&child->link);
	free(child);
}

void broker_client_destroy(struct broker_client **cp)
{
	struct broker_client *c = *cp;
	if (!c)
		return;
	CHECK_MAGIC(c, CLIENT_MAGIC);
	while (c->idle) {
		struct broker_child *child = c->idle;
		c->idle = child->next;
		child_free(child);
	}
	ipc_link_destroy(&c->link);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	c->magic = 0;
	free(c);
	*cp = NULL;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

/* The link is dead: who waits gets no answer. Lock held; nobody reads. */
static void lose_link(struct broker_client *c)
{
	for (struct answer *a = c->waiting; a; a = a->next)
		a->lost = true;
	ipc_link_destroy(&c->link);
	pthread_cond_broadcast(&c->changed);
}

/* Hands one message to the thread that waits for it. Lock held. */
static void deliver_answer(struct broker_client *c, struct ipc_message *m)
{
	struct control_fields f;
	bool good = control_read(m, &f);
	for (struct answer *a = c->waiting; good && a; a = a->next) {
		if (a->id != f.id || a->done)
			continue;
		a->done = true;
		a->status = f.status;
		why_set(&a->why, "%s", f.reason);
		if (m->nfds > 0) {
			a->fd = m->fds[0];
			m->fds[0] = -1;
		}
		break;
	}
	control_drop_fds(m);
	pthread_cond_broadcast(&c->changed);
}

/* Reads one message for whoever it is. Lock held, given up meanwhile. */
static void read_one(struct broker_client *c, int64_t deadline)
{
	struct ipc_message m;
	struct ipc_link *link = c->link;
	c->reading = true;
	pthread_mutex_unlock(&c->lock);
	enum ipc_got got = ipc_receive(link, &m, deadline);
	pthread_mutex_lock(&c->lock);
	c->reading = false;
	if (got == IPC_GOT)
		deliver_answer(c, &m);
	else if (got == IPC_CLOSED)
		lose_link(c);
	else
		pthread_cond_broadcast(&c->changed);
}

/* The link is there, or the reason why not. Lock held, given up meanwhile. */
static bool connected(struct broker_client *c, struct ost_why *why)
{
	bool waited = c->connecting;
	while (c->connecting)
		pthread_cond_wait(&c->changed, &c->lock);
	if (c->link)
		return true;
	if (waited) /* one attempt is for all who wait: not one after the other */
		return why_set(why, "the broker cannot be reached");
	c->connecting = true;
	pthread_mutex_unlock(&c->lock);
	struct ipc_link *link = worker_connect(c->worker, "broker", why);
	pthread_mutex_lock(&c->lock);
	c->connecting = false;
	c->link = link;
	pthread_cond_broadcast(&c->changed);
	return link != NULL;
}

/* Sends a request (body without its F_ID) and waits. False: no answer. */
static bool ask(struct broker_client *c, unsigned type, struct buf *body, struct answer *a,
		struct ost_why *why)
{
	int64_t deadline = clock_mono() + ANSWER_SECONDS * CLOCK_SECOND;
	*a = (struct answer){ .fd = -1 };
	pthread_mutex_lock(&c->lock);
	bool ok = connected(c, why);
	if (ok) {
		a->id = ++c->next_id;
		tlv_put_u64(body, F_ID, a->id);
		a->next = c->waiting;
		c->waiting = a;
		if (!ipc_send(c->link, type, body->data, body->len) && !c->reading)
			lose_link(c);
		while (!a->done && !a->lost && clock_mono() < deadline) {
			if (c->reading)
				pthread_cond_wait(&c->changed, &c->lock);
			else
				read_one(c, deadline);
		}
		for (struct answer **at = &c->waiting; *at; at = &(*at)->next) {
			if (*at == a) {
				*at = a->next;
				break;
			}
		}
		ok = a->done ||
		     why_set(why, a->lost ? "the broker has gone away" : "the broker does not answer");
	}
	pthread_mutex_unlock(&c->lock);
	return ok;
}

/* ---- children ------------------------------------------------------------------------------------------------ */

static void key_of(const struct ost_user_request *r, char *key, size_t size)
{
	if (r->kind == OST_USER_NAMED)
		snprintf(key, size, "u:%s", r->name ? r->name : "");
	else
		snprintf(key, size, "i:%u:%u", (unsigned)r->uid, (unsigned)r->gid);
}

/* A child says nothing unasked: what can be read is its end. */
static bool has_ended(const struct broker_child *child)
{
	struct pollfd p = { .fd = ipc_link_fd(child->link), .events = POLLIN };
	return poll(&p, 1, 0) != 0;
}

/* An idle child of this user; those that have waited for too long end. Lock held. */
static struct broker_child *take_idle(struct broker_client *c, const char *key, struct broker_child **ended)
{
	struct broker_child *found = NULL;
	int64_t now = clock_mono();
	for (struct broker_child **at = &c->idle; *at;) {
		struct broker_child *child = *at;
		bool mine = !found && strcmp(child->key, key) == 0;
		if (mine && has_ended(child))
			mine = false, child->since = now - c->max_idle;
		if (!mine && now - child->since < c->max_idle) {
			at = &child->next;
			continue;
		}
		*at = child->next;
		child->next = NULL;
		if (mine) {
			found = child;
		} else {
			child->next = *ended;
			*ended = child;
		}
	}
	return found;
}

static void free_children(struct broker_child *list)
{
	while (list) {
		struct broker_child *child = list;
		list = child->next;
		child_free(child);
	}
}

enum broker_refusal broker_take(struct broker_client *c, const struct ost_user_request *r,
				struct broker_child **out, struct ost_why *why)
{
	CHECK_MAGIC(c, CLIENT_MAGIC);
	struct broker_child *ended = NULL;
	struct buf body = BUF_INIT;
	struct answer a;
	char key[96];
	key_of(r, key, sizeof key);
	pthread_mutex_lock(&c->lock);
	*out = take_idle(c, key, &ended);
	pthread_mutex_unlock(&c->lock);
	free_children(ended);
	if (*out)
		return BROKER_OK;
	if (r->kind == OST_USER_NAMED && (!r->name || !*r->name || strlen(r->name) > 64)) {
		why_set(why, "no such user");
		return BROKER_NO_USER;
	}
	if (r->kind == OST_USER_NAMED)
		tlv_put_str(&body, K_NAMED, r->name);
	else
		tlv_put_u64(&body, K_UID, r->uid), tlv_put_u64(&body, K_GID, r->gid);
	bool answered = ask(c, CTL_TAKE, &body, &a, why);
	buf_free(&body);
	if (!answered)
		return BROKER_FAILED;
	if (a.status != BROKER_OK || a.fd < 0) {
		why_set(why, "%s", a.why.text);
		return a.status == BROKER_NO_USER || a.status == BROKER_REFUSED
			       ? (enum broker_refusal)a.status
			       : BROKER_FAILED;
	}
	struct broker_child *child = MEM_NEW(struct broker_child);
	child->link = ipc_link_new(a.fd, "agent");
	child->id = a.id;
	snprintf(child->key, sizeof child->key, "%s", key);
	*out = child;
	return BROKER_OK;
}

struct ipc_link *broker_child_link(struct broker_child *child)
{
	return child->link;
}

/* This child is not to be used any more. Lock held. */
static void drop(struct broker_client *c, const struct broker_child *child)
{
	struct buf body = BUF_INIT;
	tlv_put_u64(&body, F_ID, child->id);
	if (c->link)
		ipc_send(c->link, CTL_DROP, body.data, body.len);
	buf_free(&body);
}

void broker_put(struct broker_client *c, struct broker_child **childp, bool healthy)
{
	CHECK_MAGIC(c, CLIENT_MAGIC);
	struct broker_child *child = *childp, *last = NULL;
	size_t n = 0;
	*childp = NULL;
	if (!child)
		return;
	pthread_mutex_lock(&c->lock);
	if (healthy) {
		child->since = clock_mono();
		child->next = c->idle;
		c->idle = child;
		struct broker_child **at = &c->idle;
		while (*at && n++ < IDLE_MAX)
			at = &(*at)->next;
		last = *at;
		*at = NULL;
	} else {
		drop(c, child);
		last = child;
		last->next = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	free_children(last);
}

/* ---- mailboxes ----------------------------------------------------------------------------------------------- */

static int try_mailbox(struct broker_client *c, const char *user, const char *path, bool *retry,
		       struct ost_why *why)
{
	struct buf body = BUF_INIT;
	struct answer a;
	tlv_put_str(&body, K_NAMED, user);
	tlv_put_str(&body, K_PATH, path);
	bool answered = ask(c, CTL_MAILBOX, &body, &a, why);
	buf_free(&body);
	*retry = answered && a.status == MAILBOX_LOCKED;
	if (!answered || a.fd < 0)
		return answered ? why_set(why, "%s", a.why.text), -1 : -1;
	return a.fd;
}

int broker_mailbox_open(struct broker_client *c, const char *user, const char *path, bool *retry,
			struct ost_why *why)
{
	CHECK_MAGIC(c, CLIENT_MAGIC);
	const struct cfg_view *view = worker_view(c->worker);
	int64_t attempts = cfg_int(view, P_deliver_lock_attempts),
		pause = cfg_time(view, P_deliver_lock_delay);
	int fd = -1;
	*retry = false;
	for (int64_t i = 0; i < attempts; i++) {
		if (i > 0)
			usleep((useconds_t)pause);
		fd = try_mailbox(c, user, path, retry, why);
		if (fd >= 0 || !*retry || worker_stopping(c->worker))
			break;
	}
	return fd;
}

void broker_mailbox_done(struct broker_client *c, const char *user, const char *path)
{
	CHECK_MAGIC(c, CLIENT_MAGIC);
	struct buf body = BUF_INIT;
	tlv_put_str(&body, K_NAMED, user);
	tlv_put_str(&body, K_PATH, path);
	pthread_mutex_lock(&c->lock);
	if (c->link)
		ipc_send(c->link, CTL_MAILBOX_DONE, body.data, body.len);
	pthread_mutex_unlock(&c->lock);
	buf_free(&body);
}
