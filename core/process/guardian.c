/* SPDX-License-Identifier: Apache-2.0 */
#include "process/guardian.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/why.h"
#include "process/lock.h"
#include "process/master.h"
#include "process/throttle.h"

enum {
	LONGEST_PAUSE_SECONDS = 60, /* between the end of a master and the start of the next one */
	FORK_AGAIN_SECONDS = 1,
	FIRST_DEATHS = 2, /* as long as nothing has served yet, so many masters may be killed */
	UNKNOWN = -1,     /* a wait status: the master was not a child of ours */
};

struct guardian {
	const struct guardian_options *options;
	int report_fd;
	pid_t self, master; /* master 0: none at this moment */
	bool is_child;      /* the master is a child of this process; otherwise it is the parent */
	bool served;        /* all has been up once: from then on there is always a next master */
	bool ready;         /* this master has said that all is up */
	bool stopping;      /* the end of the master is wanted */
	bool over;
	int status; /* when over */
	int64_t started, ended, restart_at;
	struct throttle throttle;
	struct master_past past;
};

/* ---- a master ------------------------------------------------------------------------------------------------ */

/* In the child: the signals are a master's own again, but for the guardian's death, which waits until the
 * master looks. */
static int be_master(const struct guardian *g)
{
	sigset_t mask;
	struct master_options options = {
		.config_dir = g->options->config_dir,
		.foreground = g->options->foreground,
		.report_fd = g->report_fd,
		.lock_fd = g->options->lock_fd,
		.keepsake_fd = g->options->keepsake_fd,
		.guardian = g->self,
		.past = g->past,
	};
	setsid();
	prctl(PR_SET_PDEATHSIG, GUARD_ORPHAN);
	prctl(PR_SET_NAME, "ostler");
	sigemptyset(&mask);
	sigaddset(&mask, GUARD_ORPHAN);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return master_run(&options);
}

static void start_master(struct guardian *g)
{
	g->started = clock_mono();
	g->past.waited = g->ended ? (unsigned)((g->started - g->ended) / CLOCK_SECOND) : 0;
	g->restart_at = CLOCK_NEVER;
	g->ready = false;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		exit(be_master(g));
	if (pid < 0) {
		g->restart_at = g->started + FORK_AGAIN_SECONDS * CLOCK_SECOND;
		return;
	}
	g->master = pid;
	g->is_child = true;
}

static void end(struct guardian *g, int status)
{
	g->over = true;
	g->status = status;
}

/* The master is gone: for good, or another one is due. */
static void master_ended(struct guardian *g, int status)
{
	bool by_will = status != UNKNOWN && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	int64_t now = clock_mono();
	pid_t pid = g->master;
	g->master = 0;
	if (by_will || g->stopping) {
		end(g, 0);
		return;
	}
	if (!g->served && (!WIFSIGNALED(status) || g->past.masters >= FIRST_DEATHS)) {
		end(g, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
		return;
	}
	g->ended = now;
	g->restart_at = now + throttle_ended(&g->throttle, now, g->ready, now - g->started,
					     LONGEST_PAUSE_SECONDS * CLOCK_SECOND);
	g->past = (struct master_past){ .masters = g->past.masters + 1, .pid = pid, .status = status };
}

/* ---- signals ------------------------------------------------------------------------------------------------- */

/* As process 1 of a container, it has other children as well. */
static void on_child(struct guardian *g)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (g->is_child && pid == g->master)
			master_ended(g, status);
	}
}

static void on_orphaned(struct guardian *g)
{
	if (!g->is_child && g->master && getppid() != g->master)
		master_ended(g, UNKNOWN);
}

static void pass_on(struct guardian *g, const siginfo_t *from)
{
	if (g->master && from->si_pid != g->master)
		kill(g->master, from->si_signo);
}

/* Who stops by a command tells the guardian with the same signal. */
static void on_stop(struct guardian *g, const siginfo_t *from)
{
	g->stopping = true;
	if (g->master)
		pass_on(g, from);
	else
		end(g, 0);
}

/* The configuration may have been mended. */
static void on_hangup(struct guardian *g, const siginfo_t *from)
{
	if (!g->master)
		g->restart_at = clock_mono();
	pass_on(g, from);
}

static void on_ready(struct guardian *g, const siginfo_t *from)
{
	if (from->si_pid != g->master)
		return;
	if (!g->served && !g->options->foreground)
		io_leave_terminal();
	g->ready = g->served = true;
	io_close(&g->report_fd);
}

static void take_signal(struct guardian *g, const siginfo_t *s)
{
	switch (s->si_signo) {
	case SIGCHLD:
		on_child(g);
		break;
	case GUARD_ORPHAN:
		on_orphaned(g);
		break;
	case SIGTERM:
	case SIGINT:
		on_stop(g, s);
		break;
	case SIGHUP:
		on_hangup(g, s);
		break;
	case GUARD_READY:
		on_ready(g, s);
		break;
	default:
		break;
	}
}

/* Waits for a signal, or until the next master is due; false then. */
static bool wait_for_signal(const sigset_t *set, int64_t until, siginfo_t *s)
{
	if (until == CLOCK_NEVER)
		return sigwaitinfo(set, s) > 0;
	int64_t left = until - clock_mono();
	if (left < 0)
		left = 0;
	const struct timespec wait = { .tv_sec = left / CLOCK_SECOND,
				       .tv_nsec = left % CLOCK_SECOND * (1000000000 / CLOCK_SECOND) };
	return sigtimedwait(set, s, &wait) > 0;
}

static void block_signals(sigset_t *set)
{
	static const int awaited[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, GUARD_READY, GUARD_ORPHAN };
	sigemptyset(set);
	for (size_t i = 0; i < sizeof awaited / sizeof awaited[0]; i++) {
		signal(awaited[i], SIG_DFL); /* an inherited SIG_IGN would swallow it */
		sigaddset(set, awaited[i]);
	}
	sigprocmask(SIG_BLOCK, set, NULL);
}

int guardian_run(const struct guardian_options *options)
{
	struct guardian g = {
		.options = options,
		.report_fd = options->report_fd,
		.self = getpid(),
		.master = options->master,
		.served = options->master != 0,
		.ready = options->master != 0,
		.started = clock_mono(),
		.restart_at = CLOCK_NEVER,
	};
	struct ost_why why;
	sigset_t set;
	siginfo_t s;
	block_signals(&set);
	prctl(PR_SET_NAME, "ostler-guardian");
	lock_sign(options->lock_fd, &why);
	if (g.master) {
		prctl(PR_SET_PDEATHSIG, GUARD_ORPHAN);
		on_orphaned(&g);
	} else {
		start_master(&g);
	}
	while (!g.over) {
		if (wait_for_signal(&set, g.restart_at, &s))
			take_signal(&g, &s);
		if (!g.over && clock_mono() >= g.restart_at)
			start_master(&g);
	}
	lock_leave(options->lock_fd);
	return g.status;
}

int guardian_main(int argc, char **argv)
{
	struct guardian_options options = { .report_fd = -1,
					    .lock_fd = GUARD_LOCK_FD,
					    .keepsake_fd = GUARD_KEEPSAKE_FD };
	if (argc != 4)
		return 1;
	options.master = (pid_t)strtol(argv[2], NULL, 10);
	options.config_dir = argv[3];
	return options.master > 0 ? guardian_run(&options) : 1;
}
