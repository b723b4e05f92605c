/* SPDX-License-Identifier: Apache-2.0
 * The broker's children: those that look a user's name up, and those that have become a user and do an
 * agent's jobs. Each is this executable, executed anew. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "process/broker_state.h"
#include "process/spawn.h"
#include "process/watchdog.h"
#include "process/worker_state.h"

enum {
	CHILDREN_MAX = 512,
	START_SECONDS = 30, /* for a lookup, and for the start of a user's child */
	END_SECONDS = 10,   /* a child whose agent is through with it is killed then */
	KNOWN_SECONDS = 60, /* how long an answer of the system's user database is used */
	KNOWN_MAX = 256,
};

enum child_phase { CHILD_LOOKUP, CHILD_STARTING, CHILD_RUNNING, CHILD_ENDING };

struct user_child {
	struct user_child *next;
	struct broker *broker;
	struct broker_agent *agent; /* NULL: gone */
	enum child_phase phase;
	pid_t pid; /* 0: has ended */
	struct ipc_link *ctl;
	struct event *readable;
	struct watchdog *dog; /* NULL: a lookup */
	int64_t deadline;      /* CLOCK_NEVER */
	int agent_end;         /* the job link's other end until the agent has it; -1 */
	unsigned waiting_type; /* CHILD_LOOKUP: CTL_TAKE or CTL_MAILBOX goes on then */
	struct control_fields request;
};

struct known_user {
	struct known_user *next;
	char name[128];
	struct broker_user user;
	int64_t until;
};

/* ---- names --------------------------------------------------------------------------------------------------- */

bool user_known(struct broker *b, const char *name, struct broker_user *user)
{
	int64_t now = clock_mono();
	for (struct known_user **at = &b->known; *at;) {
		struct known_user *k = *at;
		if (now >= k->until) {
			*at = k->next;
			free(k);
			continue;
		}
		if (strcmp(k->name, name) == 0) {
			*user = k->user;
			return true;
		}
		at = &k->next;
	}
	return false;
}

static void remember(struct broker *b, const char *name, const struct broker_user *user)
{
	struct known_user *k = MEM_NEW(struct known_user);
	size_t n = 0;
	snprintf(k->name, sizeof k->name, "%.127s", name);
	k->user = *user;
	k->until = clock_mono() + KNOWN_SECONDS * CLOCK_SECOND;
	k->next = b->known;
	b->known = k;
	struct known_user **at = &b->known;
	while (*at && n++ < KNOWN_MAX)
		at = &(*at)->next;
	while (*at) {
		k = *at;
		*at = k->next;
		free(k);
	}
}

void users_free(struct broker *b)
{
	while (b->known) {
		struct known_user *k = b->known;
		b->known = k->next;
		free(k);
	}
}

/* ---- one child ----------------------------------------------------------------------------------------------- */

static unsigned answer_type(const struct user_child *c)
{
	return c->phase == CHILD_LOOKUP && c->waiting_type == CTL_MAILBOX ? CTL_MAILBOXED : CTL_TAKEN;
}

/* What a failure is called in that answer. */
static unsigned failed_status(const struct user_child *c)
{
	return answer_type(c) == CTL_MAILBOXED ? (unsigned)MAILBOX_FAILED : (unsigned)BROKER_FAILED;
}

/* The child is not used (any more): its links close, and it is killed unless it ends. */
static void child_end(struct user_child *c)
{
	if (c->phase == CHILD_ENDING)
		return;
	c->phase = CHILD_ENDING;
	c->deadline = clock_mono() + END_SECONDS * CLOCK_SECOND;
	if (c->readable) {
		event_free(c->readable);
		c->readable = NULL;
	}
	ipc_link_destroy(&c->ctl);
	io_close(&c->agent_end);
}

static void child_fail(struct user_child *c, unsigned status, const char *reason)
{
	if (c->agent)
		broker_answer(c->agent, answer_type(c), c->request.id, status, reason, -1);
	child_end(c);
}

static void child_free(struct user_child *c)
{
	struct broker *b = c->broker;
	for (struct user_child **at = &b->children; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	b->child_count--;
	child_end(c);
	watchdog_free(&c->dog);
	free(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg);

/* A process of the role, with the configuration and these fields. */
static struct user_child *child_start(struct broker_agent *a, const char *role,
				      const struct control_fields *request, const struct broker_user *user,
				      int job, struct ost_why *why)
{
	struct broker *b = a->broker;
	struct worker *w = b->worker;
	struct ipc_link *ctl;
	struct buf body = BUF_INIT;
	if (b->child_count >= CHILDREN_MAX) {
		why_set(why, "too many children of the broker");
		return NULL;
	}
	pid_t pid = spawn_worker(role, request->has_uid ? "" : request->name, false, &ctl, why);
	if (pid < 0)
		return NULL;
	struct user_child *c = MEM_NEW(struct user_child);
	*c = (struct user_child){ .broker = b,
				  .agent = a,
				  .pid = pid,
				  .ctl = ctl,
				  .request = *request,
				  .agent_end = -1,
				  .deadline = clock_mono() + START_SECONDS * CLOCK_SECOND };
	c->next = b->children;
	b->children = c;
	b->child_count++;
	spawn_give(ctl, GIVE_SNAPSHOT, &w->snapshot, 1, 0);
	if (job >= 0) {
		c->dog = watchdog_new(ctl);
		spawn_give(ctl, GIVE_JOB, &job, 1, 0);
	}
	tlv_put_str(&body, K_SERVICE, a->line->name);
	tlv_put_u64(&body, K_LINE, a->line_number);
	tlv_put_u64(&body, K_GENERATION, worker_generation(w));
	if (!request->has_uid)
		tlv_put_str(&body, K_NAMED, request->name);
	if (user) {
		tlv_put_u64(&body, K_UID, user->uid);
		tlv_put_u64(&body, K_GID, user->gid);
		tlv_put_str(&body, K_HOME, user->home);
	}
	ipc_send(ctl, CTL_START, body.data, body.len);
	buf_free(&body);
	ipc_link_set_nonblock(ctl, true);
	c->readable = event_new(b->base, ipc_link_fd(ctl), EV_READ | EV_PERSIST, on_readable, c);
	event_add(c->readable, NULL);
	return c;
}

/* ---- becoming a user ----------------------------------------------------------------------------------------- */

static void start_user(struct broker_agent *a, const struct control_fields *f, const struct broker_user *user)
{
	struct ost_why why = { "" };
	int pair[2];
	if (!broker_may_become(a->line->view, &a->broker->own, user->uid, user->gid, f->has_uid, &why)) {
		broker_answer(a, CTL_TAKEN, f->id, BROKER_REFUSED, why.text, -1);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		why_errno(&why, "socketpair");
		broker_answer(a, CTL_TAKEN, f->id, BROKER_FAILED, why.text, -1);
		return;
	}
	struct user_child *c = child_start(a, "user", f, user, pair[1], &why);
	close(pair[1]);
	if (!c) {
		close(pair[0]);
		broker_answer(a, CTL_TAKEN, f->id, BROKER_FAILED, why.text, -1);
		return;
	}
	c->phase = CHILD_STARTING;
	c->agent_end = pair[0];
}

void child_take(struct broker_agent *a, const struct control_fields *f)
{
	struct broker_user user = { .uid = (uid_t)f->uid, .gid = (gid_t)f->gid };
	bool allowed = f->has_uid ? broker_may_ids(a->line) : broker_may_name(a->line);
	if (!allowed || f->uid > (uid_t)-2 || f->gid > (gid_t)-2) {
		broker_answer(a, CTL_TAKEN, f->id, BROKER_REFUSED, "not allowed for this service", -1);
	} else if (f->has_uid) {
		snprintf(user.home, sizeof user.home, "%s", cfg_str(a->line->view, P_virtual_mailbox_base));
		start_user(a, f, &user);
	} else if (user_known(a->broker, f->name, &user)) {
		start_user(a, f, &user);
	} else {
		user_lookup(a, CTL_TAKE, f);
	}
}

void user_lookup(struct broker_agent *a, unsigned type, const struct control_fields *f)
{
	struct ost_why why = { "" };
	struct user_child *c = child_start(a, "lookup", f, NULL, -1, &why);
	if (c) {
		c->phase = CHILD_LOOKUP;
		c->waiting_type = type;
	} else if (type == CTL_TAKE) {
		broker_answer(a, CTL_TAKEN, f->id, BROKER_FAILED, why.text, -1);
	} else {
		broker_answer(a, CTL_MAILBOXED, f->id, MAILBOX_FAILED, why.text, -1);
	}
}

/* ---- what children say --------------------------------------------------------------------------------------- */

/* The lookup is through: the request goes on. */
static void on_found(struct user_child *c, const struct control_fields *f)
{
	struct broker_user user = { .uid = (uid_t)f->uid, .gid = (gid_t)f->gid };
	struct broker_agent *a = c->agent;
	if (f->status != BROKER_OK) {
		bool mailbox = answer_type(c) == CTL_MAILBOXED;
		child_fail(c, mailbox ? (unsigned)MAILBOX_FAILED : (unsigned)f->status, f->reason);
		return;
	}
	snprintf(user.home, sizeof user.home, "%s", f->home);
	remember(c->broker, c->request.name, &user);
	unsigned type = c->waiting_type;
	struct control_fields request = c->request;
	child_end(c);
	if (a && type == CTL_TAKE)
		start_user(a, &request, &user);
	else if (a)
		mailbox_take(a, &request, &user);
}

static void on_ready(struct user_child *c)
{
	c->phase = CHILD_RUNNING;
	c->deadline = CLOCK_NEVER;
	if (c->agent)
		broker_answer(c->agent, CTL_TAKEN, c->request.id, BROKER_OK, NULL, c->agent_end);
	io_close(&c->agent_end);
	event_free(c->readable); /* it closes its end now: the job link is all that it keeps */
	c->readable = NULL;
	ipc_link_destroy(&c->ctl);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct user_child *c = arg;
	struct ipc_message m;
	struct control_fields f;
	(void)fd;
	(void)what;
	enum ipc_got got = ipc_receive(c->ctl, &m, 0);
	if (got == IPC_AGAIN)
		return;
	bool good = got == IPC_GOT && control_read(&m, &f);
	if (got == IPC_GOT)
		control_drop_fds(&m);
	if (good && c->phase == CHILD_LOOKUP && m.type == CTL_FOUND)
		on_found(c, &f);
	else if (good && c->phase == CHILD_STARTING && m.type == CTL_READY)
		on_ready(c);
	else
		child_fail(c, failed_status(c),
			   good && m.type == CTL_FAILED ? f.reason : "a child of the broker failed");
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

void child_drop(struct broker_agent *a, uint64_t id)
{
	for (struct user_child *c = a->broker->children; c; c = c->next) {
		if (c->agent == a && c->request.id == id && c->phase == CHILD_RUNNING)
			child_end(c);
	}
}

void children_forget(struct broker *b, const struct broker_agent *a)
{
	for (struct user_child *c = b->children; c; c = c->next) {
		if (c->agent != a)
			continue;
		c->agent = NULL;
		child_end(c);
	}
}

/* A module that hangs or loops in a user's child: its jobs are deferred when it dies. */
static void watch_module(struct user_child *c, int64_t now)
{
	struct ost_why why = { "" };
	int64_t loop_time = 2 * cfg_time(worker_view(c->broker->worker), P_ostler_module_timeout);
	if (c->deadline <= now || !c->dog || !watchdog_look(c->dog, c->pid, now, loop_time, &why))
		return;
	log_warning("child pid %d of the broker %s", (int)c->pid, why.text);
	c->deadline = now;
}

void children_tick(struct broker *b, int64_t now)
{
	for (struct user_child *c = b->children; c; c = c->next) {
		watch_module(c, now);
		if (now < c->deadline)
			continue;
		if (c->phase != CHILD_ENDING)
			child_fail(c, failed_status(c), "a child of the broker does not answer");
		log_warning("child pid %d of the broker does not end: killing it", (int)c->pid);
		kill(c->pid, SIGKILL);
		c->deadline = CLOCK_NEVER;
	}
}

/* Who dies, or ends with anything but its own good word, is told of. */
static void tell_end(const struct user_child *c, int status)
{
	char text[400];
	bool inside = watchdog_end(c->dog, status, text, sizeof text);
	if (inside || status != 0)
		log_warning("child pid %d of the broker (%s, %s%s) %s", (int)c->pid,
			    c->agent ? c->agent->line->name : "no agent", c->request.has_uid ? "user id" : "user ",
			    c->request.has_uid ? "" : c->request.name, text);
}

bool children_reaped(struct broker *b, pid_t pid, int status)
{
	struct user_child *c = b->children;
	while (c && c->pid != pid)
		c = c->next;
	if (!c)
		return false;
	if (c->readable) /* what it said last */
		on_readable(-1, EV_READ, c);
	tell_end(c, status);
	if (c->phase == CHILD_LOOKUP || c->phase == CHILD_STARTING)
		child_fail(c, failed_status(c), "a child of the broker ended before it was ready");
	child_free(c);
	return true;
}
