/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/userjob.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "deliver/userrun.h"
#include "deliver/userwire.h"
#include "ipc/protocol.h"
#include "module/module.h"
#include "process/broker.h"

#define USERJOBS_MAGIC 0x55736a6fu

/* How many groups of one user's jobs are under way in children at a time: more, smaller groups wait less, fewer share more. */
enum { PARALLEL = 4 };

struct call { /* a thread in userjobs_run(), on its stack */
	pthread_cond_t wake;
	size_t left; /* of its jobs */
};

struct waiter { /* one job of a call */
	struct waiter *next;
	struct call *call;
	struct group *group;
	struct delivery *delivery;
	const struct ost_user_request *request;
	struct ost_user_done *done;
};

struct group { /* the jobs of one user; there while somebody waits for it */
	struct group *next;
	struct ost_user_request user; /* kind, name, uid, gid */
	char *name;                   /* its memory */
	struct waiter *first, **last; /* not yet taken up */
	unsigned running, users;      /* batches under way; jobs that wait or are under way */
};

struct userjobs {
	unsigned magic;
	const struct agent *agent;
	struct user_half half;
	struct broker_client *broker;
	pthread_mutex_t lock; /* guards groups, all in them, waiter.next and call.left */
	struct group *groups;
};

struct userjobs *userjobs_new(const struct agent *agent, const void *config, struct broker_client *broker)
{
	struct userjobs *u = MEM_NEW(struct userjobs);
	u->magic = USERJOBS_MAGIC;
	u->agent = agent;
	u->half = (struct user_half){ .module = mod_name(agent->module), .ops = agent->ops, .config = config };
	u->broker = broker;
	pthread_mutex_init(&u->lock, NULL);
	return u;
}

void userjobs_destroy(struct userjobs **up)
{
	struct userjobs *u = *up;
	if (!u)
		return;
	CHECK_MAGIC(u, USERJOBS_MAGIC);
	assert(!u->groups);
	broker_client_destroy(&u->broker);
	pthread_mutex_destroy(&u->lock);
	u->magic = 0;
	free(u);
	*up = NULL;
}

/* ---- a batch of one user's jobs ------------------------------------------------------------------------------------ */

struct batch {
	struct waiter *w[USER_BATCH];
	struct ost_user_job jobs[USER_BATCH];
	size_t n;
};

static void fail_all(struct batch *b, enum ost_delivered status, const char *dsn, const char *text)
{
	for (size_t i = 0; i < b->n; i++)
		user_failed(b->w[i]->done, status, dsn, "%s", text);
}

static const char *request_name(const struct ost_user_request *r)
{
	return r->name ? r->name : "";
}

/* The content as a descriptor, in wire form where the file has it so and the module takes it. */
static void open_content(const struct userjobs *u, struct spool_stored *s, struct ost_user_job *j)
{
	bool wire = s->wire && u->half.ops->ops.flags & OST_TRANSPORT_WIRE;
	j->message_form = wire ? OST_FORM_WIRE : OST_FORM_LF;
	j->message_fd = (wire ? spool_stored_wire_fd : spool_stored_fd)(s, &j->message_offset);
}

/* Makes job i from its waiter; the content stays in memory, or becomes a descriptor when it is large. */
static bool make_job(const struct userjobs *u, struct batch *b, size_t i, bool remote)
{
	const struct waiter *w = b->w[i];
	struct spool_stored *s = &w->delivery->stored;
	struct ost_user_job *j = &b->jobs[i];
	user_job_init(j);
	j->queue_id = w->delivery->pub.queue_id;
	j->args = w->request->args;
	j->args_len = w->request->args_len;
	j->path = w->request->path ? w->request->path : "";
	j->uid = w->request->uid;
	j->gid = w->request->gid;
	j->message_size = s->size;
	if (s->data && (!remote || s->size <= USER_INLINE_MAX))
		j->message = s->data;
	else
		open_content(u, s, j);
	return j->message || j->message_fd >= 0;
}

static void close_jobs(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		io_close(&b->jobs[i].message_fd);
		io_close(&b->jobs[i].spool_fd);
	}
}

/* A job that cannot be made fails alone: it changes places with the last one. */
static void make_jobs(const struct userjobs *u, struct batch *b, bool remote)
{
	for (size_t i = 0; i < b->n;) {
		if (make_job(u, b, i, remote)) {
			i++;
			continue;
		}
		user_failed(b->w[i]->done, OST_DEFERRED, "4.3.0", "cannot pass the message on: out of resources");
		b->w[i] = b->w[--b->n];
	}
}

/* ---- rootless: here ------------------------------------------------------------------------------------------------ */

static bool is_own_group(gid_t gid)
{
	gid_t list[256];
	int n = getgroups(256, list);
	for (int i = 0; i < n; i++)
		if (list[i] == gid)
			return true;
	return gid == getegid();
}

/* The user and home folder of a batch; false: it has failed. */
static bool own_user(struct userjobs *u, struct batch *b, struct arena *a, const char **home, uint32_t *uid, uint32_t *gid)
{
	const struct ost_user_request *r = b->w[0]->request;
	if (r->kind == OST_USER_IDS) {
		*uid = r->uid;
		*gid = r->gid;
		*home = cfg_str(u->agent->view, P_virtual_mailbox_base);
		if ((int64_t)r->uid < cfg_int(u->agent->view, P_virtual_minimum_uid)) {
			log_warning("user id %u is below virtual_minimum_uid", r->uid);
			fail_all(b, OST_DEFERRED, "4.3.5", "mail system configuration error");
			return false;
		}
	} else {
		struct passwd pw, *found = NULL;
		char *space = arena_alloc(a, 16384);
		int error = getpwnam_r(request_name(r), &pw, space, 16384, &found);
		if (!found) {
			fail_all(b, error ? OST_DEFERRED : OST_BOUNCED, error ? "4.3.0" : "5.1.1",
				 error ? "user lookup error" : arena_printf(a, "unknown user: \"%s\"", request_name(r)));
			return false;
		}
		*uid = pw.pw_uid;
		*gid = pw.pw_gid;
		*home = pw.pw_dir;
	}
	if (*uid == 0 || *uid != geteuid() || !is_own_group(*gid)) {
		log_warning("cannot deliver as user id %u, group id %u: started by an ordinary user, Ostler writes its own "
			    "mailboxes only", *uid, *gid);
		fail_all(b, OST_DEFERRED, "4.3.5", "mail system configuration error");
		return false;
	}
	return true;
}

static void run_here(struct userjobs *u, struct batch *b)
{
	struct arena *a = arena_new();
	const char *home = "";
	uint32_t uid = 0, gid = 0;
	if (own_user(u, b, a, &home, &uid, &gid)) {
		int home_fd = *home ? open(home, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
		int error = *home ? errno : ENOENT;
		make_jobs(u, b, false);
		for (size_t i = 0; i < b->n; i++) {
			b->jobs[i].home = home;
			b->jobs[i].home_fd = home_fd;
			b->jobs[i].home_error = home_fd < 0 ? error : 0;
			b->jobs[i].uid = uid;
			b->jobs[i].gid = gid;
		}
		if (b->n > 0)
			user_run(&u->half, b->jobs, b->n, NULL);
		for (size_t i = 0; i < b->n; i++)
			*b->w[i]->done = b->jobs[i].done;
		close_jobs(b);
		io_close(&home_fd);
	}
	arena_destroy(&a);
}

/* ---- as root's instance: in a child --------------------------------------------------------------------------------- */

/* A mailbox directly in mail_spool_directory is opened and locked by the broker. False: this job has failed. */
static bool open_spool_mailbox(struct userjobs *u, struct batch *b, size_t i)
{
	const struct waiter *w = b->w[i];
	struct ost_why why = { .text = "" };
	bool retry = false;
	if (w->request->kind != OST_USER_NAMED || b->jobs[i].path[0] != '/' ||
	    b->jobs[i].path[strlen(b->jobs[i].path) - 1] == '/') /* a Maildir there is the user's own */
		return true;
	b->jobs[i].spool_fd = broker_mailbox_open(u->broker, request_name(w->request), b->jobs[i].path, &retry, &why);
	if (b->jobs[i].spool_fd >= 0)
		return true;
	user_failed(w->done, OST_DEFERRED, retry ? "4.2.0" : "4.3.0", "cannot update mailbox %s for user %s. %s",
		    b->jobs[i].path, request_name(w->request), why.text);
	return false;
}

/* Mailbox files are few and locked one at a time: the same one twice in a batch would wait for itself. */
static bool mailbox_in_batch(const struct batch *b, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (b->jobs[i].spool_fd >= 0 && strcmp(b->jobs[i].path, path) == 0)
			return true;
	return false;
}

/* Sends the jobs and takes their answers; false: the child is not to be used again. */
static bool ask_child(struct batch *b, struct ipc_link *link)
{
	struct ost_user_done *done[USER_BATCH];
	struct ipc_message m;
	bool alive = true;
	ipc_cork(link);
	for (size_t i = 0; i < b->n && alive; i++) {
		done[i] = b->w[i]->done;
		alive = userwire_send(link, &b->jobs[i], i + 1 == b->n);
	}
	alive = ipc_uncork(link) && alive;
	if (alive && ipc_receive(link, &m, mod_deadline(4 * USER_TIMES)) == IPC_GOT && m.type == M_JOBS_DONE &&
	    userwire_answered(&m, done, b->n))
		return true;
	fail_all(b, OST_DEFERRED, "4.3.0", "the process that writes as the user died or gave no answer");
	return false;
}

/* Nobody can become this user: all jobs of the batch have failed. */
static void refuse(struct batch *b, enum broker_refusal refusal, const struct ost_why *why)
{
	const struct ost_user_request *r = b->w[0]->request;
	if (refusal == BROKER_NO_USER) {
		for (size_t i = 0; i < b->n; i++)
			user_failed(b->w[i]->done, OST_BOUNCED, "5.1.1", "unknown user: \"%s\"", request_name(r));
		return;
	}
	log_warning("cannot deliver as %s%s%u: %s", request_name(r), *request_name(r) ? "" : "user id ",
		    *request_name(r) ? 0u : r->uid, why->text);
	fail_all(b, OST_DEFERRED, refusal == BROKER_REFUSED ? "4.3.5" : "4.3.0",
		 refusal == BROKER_REFUSED ? "mail system configuration error" : "cannot become the user now");
}

/* The jobs of a batch whose mailboxes the broker opens go one after the other where they meet in one file. Answers whether
 * the child is in good health. */
static bool run_parts(struct userjobs *u, struct batch *b, struct ipc_link *link)
{
	struct batch *part = MEM_NEW(struct batch);
	bool healthy = true;
	for (size_t at = 0; at < b->n;) {
		for (part->n = 0; at < b->n; at++) {
			if (mailbox_in_batch(part, part->n, b->jobs[at].path))
				break;
			if (!open_spool_mailbox(u, b, at)) {
				io_close(&b->jobs[at].message_fd);
				continue;
			}
			part->w[part->n] = b->w[at];
			part->jobs[part->n++] = b->jobs[at];
		}
		if (part->n > 0 && healthy)
			healthy = ask_child(part, link);
		else
			fail_all(part, OST_DEFERRED, "4.3.0", "the process that writes as the user has died");
		for (size_t i = 0; i < part->n; i++)
			if (part->jobs[i].spool_fd >= 0)
				broker_mailbox_done(u->broker, request_name(part->w[i]->request), part->jobs[i].path);
		close_jobs(part);
	}
	free(part);
	return healthy;
}

static void run_remote(struct userjobs *u, struct batch *b)
{
	struct broker_child *child = NULL;
	struct ost_why why = { .text = "" };
	enum broker_refusal refusal = broker_take(u->broker, b->w[0]->request, &child, &why);
	if (refusal != BROKER_OK) {
		refuse(b, refusal, &why);
		return;
	}
	make_jobs(u, b, true);
	bool healthy = run_parts(u, b, broker_child_link(child));
	broker_put(u->broker, &child, healthy);
}

/* ---- who runs it ----------------------------------------------------------------------------------------------------- */

static bool same_user(const struct ost_user_request *a, const struct ost_user_request *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == OST_USER_IDS ? a->uid == b->uid && a->gid == b->gid :
					 strcmp(request_name(a), request_name(b)) == 0;
}

/* The group of this user, made when it is not there. The lock is held. */
static struct group *group_of(struct userjobs *u, const struct ost_user_request *r)
{
	struct group *g = u->groups;
	while (g && !same_user(&g->user, r))
		g = g->next;
	if (!g) {
		g = MEM_NEW(struct group);
		g->name = mem_strdup(request_name(r));
		g->user = (struct ost_user_request){ .kind = r->kind, .name = g->name, .uid = r->uid, .gid = r->gid };
		g->last = &g->first;
		g->next = u->groups;
		u->groups = g;
	}
	g->users++;
	return g;
}

/* The lock is held. */
static void group_leave(struct userjobs *u, struct group *g)
{
	if (--g->users > 0)
		return;
	struct group **at = &u->groups;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	free(g->name);
	free(g);
}

/* Takes up what waits, does it, and wakes those it was for. The lock is held, but not while the work is done. */
static void run_batch(struct userjobs *u, struct group *g)
{
	struct batch *b = MEM_NEW(struct batch);
	struct waiter *mine[USER_BATCH];
	size_t n = 0;
	while (g->first && n < USER_BATCH) {
		mine[n] = b->w[n] = g->first;
		g->first = g->first->next;
		n++;
	}
	if (!g->first)
		g->last = &g->first;
	b->n = n;
	g->running++;
	pthread_mutex_unlock(&u->lock);
	run_remote(u, b);
	free(b);
	pthread_mutex_lock(&u->lock);
	g->running--;
	for (size_t i = 0; i < n; i++) {
		mine[i]->call->left--;
		pthread_cond_signal(&mine[i]->call->wake);
	}
	if (g->first)
		pthread_cond_signal(&g->first->call->wake);
}

/* A group among a call's own that waits for somebody to run it, or NULL. The lock is held. */
static struct group *group_to_run(const struct waiter *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (w[i].group->first && w[i].group->running < PARALLEL)
			return w[i].group;
	return NULL;
}

/* Whose message a request is about. */
static struct delivery *of_request(struct delivery *d, const struct ost_user_request *r)
{
	return r->delivery ? (struct delivery *)(void *)r->delivery : d;
}

/* Rootless: this thread does its own jobs, side by side with the others. The kernel shares what their syncs have in common. */
static void run_own(struct userjobs *u, struct delivery *d, const struct ost_user_request *r, struct ost_user_done *done,
		    size_t n)
{
	struct waiter w[USER_BATCH];
	struct batch *b = mem_alloc(sizeof *b);
	for (size_t at = 0; at < n;) {
		for (b->n = 0; at < n && b->n < USER_BATCH && (b->n == 0 || same_user(b->w[0]->request, &r[at])); at++) {
			w[b->n] = (struct waiter){ .delivery = of_request(d, &r[at]), .request = &r[at], .done = &done[at] };
			b->w[b->n] = &w[b->n];
			b->n++;
		}
		run_here(u, b);
	}
	free(b);
}

/* In children: this thread's jobs wait together with those of others, and whoever finds a group to run runs it. */
static void run_shared(struct userjobs *u, struct delivery *d, const struct ost_user_request *r, struct ost_user_done *done,
		       size_t n)
{
	struct call call = { .left = n };
	struct waiter *w = mem_zalloc((n + 1) * sizeof *w);
	pthread_cond_init(&call.wake, NULL);
	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < n; i++) {
		struct group *g = group_of(u, &r[i]);
		w[i] = (struct waiter){ .call = &call, .group = g, .delivery = of_request(d, &r[i]), .request = &r[i], .done = &done[i] };
		*g->last = &w[i];
		g->last = &w[i].next;
	}
	while (call.left > 0) {
		struct group *g = group_to_run(w, n);
		if (g)
			run_batch(u, g);
		else
			pthread_cond_wait(&call.wake, &u->lock);
	}
	for (size_t i = 0; i < n; i++)
		group_leave(u, w[i].group);
	pthread_mutex_unlock(&u->lock);
	pthread_cond_destroy(&call.wake);
	free(w);
}

/* Meanwhile it is not deliver() that takes its time: who hangs in the module as a user has a time of its own. */
void userjobs_run(struct userjobs *u, struct delivery *d, const struct ost_user_request *r, struct ost_user_done *done, size_t n)
{
	CHECK_MAGIC(u, USERJOBS_MAGIC);
	mod_prolong(d->agent->module, mod_deadline(8 * USER_TIMES));
	if (u->broker)
		run_shared(u, d, r, done, n);
	else
		run_own(u, d, r, done, n);
	int64_t soon = mod_deadline(1);
	mod_prolong(d->agent->module, d->pub.deadline > soon ? d->pub.deadline : soon);
}
