/* SPDX-License-Identifier: Apache-2.0
 * The smtpd process: its listening sockets, its threads, its end. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/counters.h"
#include "process/roles.h"
#include "process/hints.h"
#include "smtpd/auth.h"
#include "smtpd/restrict.h"
#include "smtpd/session.h"
#include "smtpd/spare.h"
#include "smtpd/starttls.h"

enum { ACCEPT_BURST = 16, DEFAULT_THREADS = 100, RESERVED_FDS = 100, RETIRE_SECONDS = 60, STOP_SECONDS = 10 };

struct listener {
	int fd;
	struct wait_entry *entry;
};

static struct smtpd_process { /* from prepare() to the end of the process */
	struct worker *worker;
	struct server *server;
	struct hints *hints;
	struct spare *spare;
	struct listener *listeners;
	size_t nlisteners;
	atomic_bool deaf;     /* the listening sockets are let go of: their numbers are something else */
	atomic_int accepting; /* threads that may hold a client that is no session yet */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stop, retire, hurry;
} process = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* smtpd_client_connection_count_limit, over all workers. */
static bool client_begin(void *ctx, const char *address, int64_t limit, int64_t *now)
{
	(void)ctx;
	(void)counters_add(COUNTER_CONNECTIONS, address, 1);
	*now = counters_sum(COUNTER_CONNECTIONS, address);
	if (*now <= limit)
		return true;
	(void)counters_add(COUNTER_CONNECTIONS, address, -1);
	return false;
}

static void client_end(void *ctx, const char *address)
{
	(void)ctx;
	(void)counters_add(COUNTER_CONNECTIONS, address, -1);
}

/* How many sessions fit: what the administrator says, or what the open-files limit allows. */
static int64_t session_limit(const struct cfg_view *v)
{
	struct rlimit files = { 0 };
	int64_t limit = cfg_int(v, P_smtpd_session_limit);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return limit;
	int64_t most = (int64_t)files.rlim_cur - RESERVED_FDS;
	if (most < 10)
		most = 10;
	if (limit > most)
		log_warning("smtpd_session_limit: the system allows %lld sessions for each process", (long long)most);
	return limit && limit < most ? limit : most;
}

/* Keys and certificates: those that root alone may read come from the master. */
static int open_key(void *ctx, const char *path, struct ost_why *why)
{
	return worker_open_file(ctx, path, why);
}

static bool prepare(struct worker *w, struct ost_why *why)
{
	struct smtpd_process *p = &process;
	p->worker = w;
	restrict_install_host();
	p->server = server_open(worker_view(w), worker_config(w), NULL, why);
	if (!p->server)
		return false;
	p->server->spool = worker_spool(w, why);
	if (!p->server->spool)
		return false;
	starttls_open(p->server, open_key, w);
	p->hints = hints_new(w);
	p->server->writer = spool_writer_open(p->server->spool, hints_send, p->hints, why);
	p->server->session_limit = session_limit(worker_view(w));
	p->server->client_begin = client_begin;
	p->server->client_end = client_end;
	return p->server->writer != NULL;
}

/* The next client that waits, as a session; NULL: none, see errno. */
static struct session *accept_one(struct server *srv, const struct listener *l)
{
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof from;
	atomic_fetch_add(&process.accepting, 1);
	int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int error = errno;
	struct session *s = fd < 0 ? NULL : session_new(srv, fd, (struct sockaddr *)&from);
	atomic_fetch_sub(&process.accepting, 1); /* from here on it is counted as a session */
	errno = error;
	return s;
}

/* Takes what waits on a listening socket, a few at a time: others take the rest. */
static void accept_some(struct server *srv, const struct listener *l)
{
	struct spare *spare = process.spare;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct session *s = accept_one(srv, l);
		if (!s) {
			if ((errno == EBADF || errno == ENOTSOCK) && !atomic_load(&process.deaf)) /* else woken for ever */
				log_panic("a listening socket was closed by somebody else in this process");
			if ((errno == EMFILE || errno == ENFILE) && spare_refuse(spare, l->fd))
				continue;
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
				log_warning("accept connection: %s", strerror(errno));
				usleep(100000); /* the socket stays ready: do not spin */
			}
			return;
		}
		session_work(s, WAITED_IO);
	}
}

static void work(void *ctx, void *owner, enum wait_why why)
{
	if (why == WAITED_LISTENER)
		accept_some(ctx, owner);
	else
		session_work(owner, why);
}

static void on_event(void *ctx, enum worker_event event, const char *detail, int fd)
{
	struct smtpd_process *p = ctx;
	(void)detail;
	(void)fd;
	if (event == WORKER_FILES)
		starttls_renew(p->server, open_key, p->worker);
	pthread_mutex_lock(&p->lock);
	p->stop = p->stop || event == WORKER_STOP;
	p->hurry = p->hurry || (p->retire && event == WORKER_RETIRE);
	p->retire = p->retire || event == WORKER_RETIRE;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void wake_each(void *ctx, void *owner, struct wait_entry *entry)
{
	(void)owner;
	waiter_wake_locked(ctx, entry);
}

/* No new sessions, and idle ones are told to come again. */
static void send_home(struct smtpd_process *p)
{
	struct server *srv = p->server;
	atomic_store(&srv->retiring, true);
	waiter_each_parked(srv->waiter, wake_each, srv->waiter);
}

/* The sockets are let go of at once: the master has them, and when it is dead its successor needs the addresses.
 * A thread may be in accept() with one of them, so the number stays taken, by something that accepts nothing. */
static void stop_listening(struct worker *w, struct smtpd_process *p)
{
	atomic_store(&p->deaf, true);
	for (size_t i = 0; i < p->nlisteners; i++) {
		waiter_unlisten(p->server->waiter, &p->listeners[i].entry);
		(void)dup2(worker_control_fd(w), p->listeners[i].fd);
	}
}

/* Once nobody listens: a thread that was in accept() may have got one more. */
static bool no_client_left(const struct smtpd_process *p)
{
	return atomic_load(&p->accepting) == 0 && atomic_load(&p->server->sessions) == 0;
}

/* The first thread's life: waits for the master's word, then for the sessions to end. */
static void wait_for_end(struct worker *w, struct smtpd_process *p)
{
	struct server *srv = p->server;
	int64_t leave_at = CLOCK_NEVER, home_at = CLOCK_NEVER;
	bool listening = true;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct timespec until;
		int sessions = atomic_load(&srv->sessions);
		int parked = (int)waiter_parked(srv->waiter);
		worker_busy(w, sessions > parked ? sessions - parked : 0, parked);
		int64_t now = clock_mono();
		if (listening && (p->stop || p->retire)) {
			stop_listening(w, p);
			listening = false;
			home_at = now + (p->stop ? 0 : RETIRE_SECONDS * CLOCK_SECOND);
		}
		if (p->hurry && home_at != CLOCK_NEVER && home_at > now + CLOCK_SECOND)
			home_at = now;
		if (p->stop && leave_at == CLOCK_NEVER) {
			home_at = now;
			leave_at = now + STOP_SECONDS * CLOCK_SECOND;
		}
		if (home_at <= now) {
			send_home(p);
			home_at = now + CLOCK_SECOND; /* and those that become idle later */
		}
		if (!listening && (no_client_left(p) || leave_at <= now))
			break;
		clock_gettime(CLOCK_MONOTONIC, &until); /* the date may jump */
		until.tv_sec += listening || leave_at == CLOCK_NEVER ? 1 : 0;
		until.tv_nsec += listening || leave_at == CLOCK_NEVER ? 0 : 50000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_clockwait(&p->changed, &p->lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&p->lock);
}

static void listen_all(struct worker *w, struct smtpd_process *p)
{
	const int *fds;
	int on = 1;
	p->nlisteners = worker_listeners(w, &fds);
	p->listeners = mem_zalloc((p->nlisteners + 1) * sizeof *p->listeners);
	for (size_t i = 0; i < p->nlisteners; i++) {
		/* Accepted sockets inherit both. */
		(void)setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		(void)setsockopt(fds[i], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
		p->listeners[i].fd = fds[i];
		p->listeners[i].entry = waiter_listen(p->server->waiter, fds[i], &p->listeners[i]);
	}
}

/* This process's share of the CPUs. */
static size_t computing_threads(const struct cfg_view *v)
{
	cpu_set_t set;
	int64_t cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	int64_t processes = cfg_int(v, P_ostler_worker_processes);
	if (processes <= 0 || processes > cpus)
		processes = cpus;
	return (size_t)((cpus + processes - 1) / processes);
}

static int serve(struct worker *w)
{
	struct smtpd_process *p = &process;
	struct server *srv = p->server;
	const struct service *line = worker_service(w);
	size_t threads = line && line->maxproc > 0 ? (size_t)line->maxproc : DEFAULT_THREADS;
	srv->waiter = waiter_new();
	srv->pool = pool_new(srv->waiter, computing_threads(srv->view), threads, work, srv);
	p->spare = spare_new(srv->myhostname);
	hints_start(p->hints, srv->writer);
	listen_all(w, p);
	pool_start(srv->pool);
	worker_watch(w, on_event, p);
	worker_ready(w);
	wait_for_end(w, p);
	waiter_stop(srv->waiter);
	pool_join(&srv->pool);
	hints_stop(&p->hints);
	spare_destroy(&p->spare);
	return 0;
}

/* The restriction lists, the SASL back end and the keys of every smtpd line. */
static void check(const struct config *config, struct findings *findings)
{
	const struct service *const *lines;
	size_t n = config_services(config, &lines);
	restrict_install_host();
	for (size_t i = 0; i < n; i++) {
		struct ost_why why = { "" };
		if (strcmp(lines[i]->command, "smtpd") != 0)
			continue;
		auth_check(lines[i]->view, findings);
		struct restrictions *r = restrictions_open(lines[i]->view, config, findings, &why);
		restrictions_close(&r);
		starttls_check(lines[i]->view, findings);
	}
}

const struct role role_smtpd = {
	.name = "smtpd",
	.flags = ROLE_MODULES | ROLE_SPOOL_STORE | ROLE_NETWORK | ROLE_BATCH,
	.prepare = prepare,
	.serve = serve,
	.check = check,
};
