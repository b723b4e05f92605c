/* SPDX-License-Identifier: Apache-2.0
 * The real master and skeleton with roles that do nothing but say what they see: for the tests of
 * core/process.
 *
 * `process-trial -c DIR` is start-fg. Each role keeps a line in the log for each event it gets; "smtpd"
 * answers each client with a line about itself; the command in a client's first line makes it do something.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "process/broker.h"
#include "module/page.h"
#include "process/counters.h"
#include "process/master.h"
#include "process/roles.h"
#include "touch.h"

static const char *const event_names[] = {
	[WORKER_STOP] = "stop", [WORKER_RETIRE] = "retire", [WORKER_FILES] = "files",
	[WORKER_DIED] = "died", [WORKER_PEER] = "peer",     [WORKER_AGENTS] = "agents",
	[WORKER_LINK] = "link",
};

static void on_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	bool *stop = ctx;
	log_info("event %s (%s)", event_names[event], detail);
	if (event == WORKER_STOP || event == WORKER_RETIRE)
		*stop = true;
	if (event == WORKER_LINK && fd >= 0) { /* asks one question */
		struct ipc_link *link = ipc_link_new(fd, "trial");
		struct ipc_message m;
		bool answered = ipc_send(link, 100, "x", 1) &&
				ipc_receive(link, &m, clock_mono() + 5 * CLOCK_SECOND) == IPC_GOT;
		log_info("%s %s", detail, answered ? "answers" : "is silent");
		ipc_link_destroy(&link);
	}
	if (event == WORKER_PEER) { /* answers one question */
		struct ipc_link *link = ipc_link_new(fd, "trial");
		struct ipc_message m;
		if (ipc_receive(link, &m, clock_mono() + 5 * CLOCK_SECOND) == IPC_GOT)
			ipc_send(link, m.type, m.body, m.len);
		ipc_link_destroy(&link);
	}
}

static bool prepare(struct worker *w, struct ost_why *why)
{
	const char *fail = cfg_lookup(worker_view(w), "trial_fail");
	if (fail && strcmp(fail, worker_name(w)) == 0)
		return why_set(why, "trial_fail names this service");
	return true;
}

/* Asks a peer something; "yes", or the reason. */
static void ask_peer(struct worker *w, const char *role, char *out, size_t size)
{
	struct ost_why why = { "" };
	struct ipc_message m;
	struct ipc_link *link = worker_connect(w, role, &why);
	snprintf(out, size, "%s", link ? "no answer" : why.text);
	if (link && ipc_send(link, 100, "x", 1) &&
	    ipc_receive(link, &m, clock_mono() + 5 * CLOCK_SECOND) == IPC_GOT)
		snprintf(out, size, "yes");
	ipc_link_destroy(&link);
}

/* ---- what a client may ask ----------------------------------------------------------------------------------- */

struct question {
	struct worker *worker;
	const char *arg;
	char *out;
	size_t size;
};

static void word_who(const struct question *q)
{
	snprintf(q->out, q->size, "%d %u %s %u", (int)getpid(), (unsigned)geteuid(), worker_name(q->worker),
		 worker_generation(q->worker));
}

static void word_ask(const struct question *q)
{
	ask_peer(q->worker, q->arg, q->out, q->size);
}

static void word_request(const struct question *q)
{
	worker_request(q->worker, q->arg);
	snprintf(q->out, q->size, "asked");
}

static void word_open(const struct question *q)
{
	struct ost_why why = { "" };
	int fd = worker_open_file(q->worker, q->arg, &why);
	snprintf(q->out, q->size, "%s", fd >= 0 ? "opened" : why.text);
	io_close(&fd);
}

static void word_direct(const struct question *q)
{
	FILE *f = fopen(q->arg, "r");
	snprintf(q->out, q->size, "%s", f ? "opened" : strerror(errno));
	if (f)
		fclose(f);
}

static void word_write(const struct question *q)
{
	FILE *f = fopen(q->arg, "w");
	snprintf(q->out, q->size, "%s", f ? "opened" : strerror(errno));
	if (f)
		fclose(f);
}

static void word_count(const struct question *q)
{
	counters_add(COUNTER_CONNECTIONS, q->arg, 1);
	snprintf(q->out, q->size, "%u", counters_sum(COUNTER_CONNECTIONS, q->arg));
}

static void word_exec(const struct question *q)
{
	execl("/bin/true", "true", (char *)NULL);
	snprintf(q->out, q->size, "%s", strerror(errno));
}

static void word_signal(const struct question *q)
{
	int result = kill((pid_t)strtol(q->arg, NULL, 10), 0);
	snprintf(q->out, q->size, "%s", result < 0 ? strerror(errno) : "done");
}

/* In a module, for longer than it may be. */
static void word_hang(const struct question *q)
{
	page_push(page_slot_take(), page_module("trial"), "lookup", clock_mono());
	snprintf(q->out, q->size, "hanging");
}

static void word_crash(const struct question *q)
{
	(void)q;
	abort();
}

static const struct {
	const char *word;
	void (*run)(const struct question *);
} words[] = {
	{ "who", word_who },     { "ask", word_ask },     { "open", word_open }, { "direct", word_direct },
	{ "write", word_write }, { "count", word_count }, { "exec", word_exec }, { "signal", word_signal },
	{ "crash", word_crash }, { "hang", word_hang },   { "request", word_request },
};

/* One client: a word and its argument in, a line out. */
static void serve_client(struct worker *w, int fd)
{
	char line[256] = "", word[64] = "", arg[128] = "", answer[512] = "unknown word";
	struct question q = { .worker = w, .arg = arg, .out = answer, .size = sizeof answer };
	if (read(fd, line, sizeof line - 1) <= 0 || sscanf(line, "%63s %127s", word, arg) < 1)
		return;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(words[i].word, word) == 0)
			words[i].run(&q);
	}
	dprintf(fd, "%s\n", answer);
}

/* ---- the roles ----------------------------------------------------------------------------------------------- */

/* What this process may do with each path of trial_touch: a line of the log each. */
static void touch_all(struct worker *w)
{
	const char *paths = cfg_lookup(worker_view(w), "trial_touch");
	struct arena *a = arena_new();
	char letters[TOUCH_BYTES];
	for (const char **path = cfg_split(a, paths ? paths : ""); *path; path++)
		log_info("may %s %s", *path, touch_path(*path, letters));
	if (paths)
		log_info("touched all");
	arena_destroy(&a);
}

/* Events and clients, until the end. */
static int serve(struct worker *w)
{
	const int *fds;
	size_t n = worker_listeners(w, &fds);
	struct pollfd p[64] = { { .fd = worker_control_fd(w), .events = POLLIN } };
	bool stop = false;
	for (size_t i = 0; i < n && i < 63; i++)
		p[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	touch_all(w);
	worker_ready(w);
	while (!stop) {
		if (poll(p, n + 1, -1) < 0 && errno != EINTR)
			return 1;
		worker_dispatch(w, on_event, &stop);
		for (size_t i = 1; i <= n && !stop; i++) {
			int fd = p[i].revents ? accept(p[i].fd, NULL, NULL) : -1;
			if (fd >= 0)
				serve_client(w, fd);
			io_close(&fd);
		}
	}
	return 0;
}

/* qmgr wants each agent that its configuration names. */
static int serve_qmgr(struct worker *w)
{
	const char *want = cfg_lookup(worker_view(w), "trial_want");
	struct arena *a = arena_new();
	for (const char **service = cfg_split(a, want ? want : ""); *service; service++)
		worker_want(w, *service);
	arena_destroy(&a);
	return serve(w);
}

/* ---- steps as a user ----------------------------------------------------------------------------------------- */

/* The child says who it is; to a path, what it may do with that. */
static int serve_user(struct worker *w)
{
	struct ipc_link *link = worker_job_link(w);
	struct ipc_message m;
	char text[300], groups[64] = "";
	gid_t list[16];
	int n = getgroups(16, list);
	for (int i = 0; i < n && strlen(groups) < 48; i++)
		snprintf(groups + strlen(groups), sizeof groups - strlen(groups), ",%u", (unsigned)list[i]);
	snprintf(text, sizeof text, "uid %u gid %u groups %s home %s named %s", (unsigned)geteuid(),
		 (unsigned)getegid(), groups, worker_user(w)->home, worker_user(w)->name);
	while (ipc_receive(link, &m, CLOCK_NEVER) == IPC_GOT) {
		char path[256], letters[TOUCH_BYTES];
		snprintf(path, sizeof path, "%.*s", (int)m.len, m.body);
		const char *answer = path[0] == '/' ? touch_path(path, letters) : text;
		ipc_send(link, 100, answer, strlen(answer));
	}
	return 0;
}

/* The same as touch_all() in a user's child. */
static void touch_in_child(struct worker *w, const char *who, struct broker_child *child)
{
	const char *paths = cfg_lookup(worker_view(w), "trial_touch");
	struct arena *a = arena_new();
	struct ipc_message m;
	for (const char **path = cfg_split(a, paths ? paths : ""); *path; path++) {
		if (ipc_send(broker_child_link(child), 100, *path, strlen(*path)) &&
		    ipc_receive(broker_child_link(child), &m, clock_mono() + 5 * CLOCK_SECOND) == IPC_GOT)
			log_info("child %s may %s %.*s", who, *path, (int)m.len, m.body);
	}
	arena_destroy(&a);
}

/* "name:USER" or "ids:UID:GID": becomes it and asks the child. */
static void try_user(struct worker *w, struct broker_client *c, const char *word)
{
	struct ost_user_request r = { .size = sizeof r, .kind = OST_USER_IDS };
	struct broker_child *child = NULL;
	struct ost_why why = { "" };
	struct ipc_message m;
	if (strncmp(word, "name:", 5) == 0) {
		r.kind = OST_USER_NAMED;
		r.name = word + 5;
	} else if (sscanf(word, "ids:%u:%u", &r.uid, &r.gid) != 2) {
		return;
	}
	enum broker_refusal refusal = broker_take(c, &r, &child, &why);
	if (refusal == BROKER_OK && ipc_send(broker_child_link(child), 100, "?", 1) &&
	    ipc_receive(broker_child_link(child), &m, clock_mono() + 5 * CLOCK_SECOND) == IPC_GOT) {
		log_info("as %s: %.*s", word, (int)m.len, m.body);
		touch_in_child(w, word, child);
	} else {
		log_info("as %s: refused %d: %s", word, (int)refusal, why.text);
	}
	broker_put(c, &child, refusal == BROKER_OK);
}

/* "mailbox:USER:PATH" */
static void try_mailbox(struct broker_client *c, const char *word)
{
	char user[64], path[200];
	struct ost_why why = { "" };
	bool retry;
	if (sscanf(word, "mailbox:%63[^:]:%199s", user, path) != 2)
		return;
	int fd = broker_mailbox_open(c, user, path, &retry, &why);
	log_info("%s: %s%s%s", word, fd >= 0 ? "opened" : "refused", retry ? " locked " : " ", why.text);
	if (fd >= 0)
		dprintf(fd, "From trial\n\n");
	io_close(&fd);
	broker_mailbox_done(c, user, path);
}

static int serve_agent(struct worker *w)
{
	const char *steps = cfg_lookup(worker_view(w), "trial_steps");
	struct broker_client *c = broker_client_new(w);
	struct arena *a = arena_new();
	for (const char **word = cfg_split(a, steps ? steps : ""); *word; word++) {
		if (strncmp(*word, "mailbox:", 8) == 0)
			try_mailbox(c, *word);
		else
			try_user(w, c, *word);
	}
	arena_destroy(&a);
	log_info("steps done");
	int status = serve(w);
	broker_client_destroy(&c);
	return status;
}

/* Each has the flags of the program's role of that name: it is sealed as that is. */
static struct role trials[] = {
	{ .name = "smtpd", .prepare = prepare, .serve = serve },
	{ .name = "pickup", .prepare = prepare, .serve = serve },
	{ .name = "qmgr", .prepare = prepare, .serve = serve_qmgr },
	{ .name = "resolve", .prepare = prepare, .serve = serve },
	{ .name = "bounce", .prepare = prepare, .serve = serve },
	{ .name = "agent", .prepare = prepare, .serve = serve_agent },
	{ .name = "user", .serve = serve_user },
};
static const struct role *const models[] = { &role_smtpd,  &role_pickup, &role_qmgr, &role_resolve,
					     &role_bounce, &role_agent,  &role_user };

enum { TRIALS = sizeof trials / sizeof trials[0] };

int main(int argc, char **argv)
{
	const struct role *roles[TRIALS + 4] = { &role_broker, &role_check, &role_lookup };
	for (size_t i = 0; i < TRIALS; i++) {
		assert(strcmp(trials[i].name, models[i]->name) == 0);
		trials[i].flags = models[i]->flags;
		roles[i + 3] = &trials[i];
	}
	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		return worker_main(roles, argc, argv);
	if (argc != 3 || strcmp(argv[1], "-c") != 0)
		return 64;
	return master_run(
		&(struct master_options){ .config_dir = argv[2], .foreground = true, .report_fd = -1 });
}
