/* SPDX-License-Identifier: Apache-2.0
 * The skeleton: main() of every process but the master. */
#include "process/worker.h"

#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "module/module.h"
#include "process/counters.h"
#include "process/worker_state.h"
#include "table/table.h"
#include "spool/spool.h"

static const struct role *find_role(const struct role *const roles[], const char *name)
{
	for (size_t i = 0; roles[i]; i++) {
		if (strcmp(roles[i]->name, name) == 0)
			return roles[i];
	}
	return NULL;
}

/* The end comes over the control link; a terminal or a supervisor that signals the whole group means the
 * master. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGINT,  SIGHUP,  SIGTERM, SIGUSR1,
				       SIGUSR2, SIGTTOU, SIGTTIN, SIGXFSZ, SIGALRM, SIGVTALRM };
	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
}

/* A thread dies: the page shows the master which one it was. */
static void on_crash(int number)
{
	mod_page_mark_crash();
	log_flush_dying();
	signal(number, SIG_DFL);
	raise(number);
}

static void catch_crashes(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS };
	struct sigaction action = { .sa_handler = on_crash,
				    .sa_flags = (int)(SA_RESETHAND | SA_NODEFER | SA_ONSTACK) };
	for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
		struct sigaction now;
		if (sigaction(fatal[i], NULL, &now) == 0 &&
		    now.sa_handler == SIG_DFL) /* a sanitizer has its own */
			sigaction(fatal[i], &action, NULL);
	}
}

static struct worker *the_worker __attribute__((used)); /* the process's one; lives as long as the process */

static struct worker *worker_new(const struct role *role)
{
	struct worker *w = MEM_NEW(struct worker);
	w->magic = WORKER_MAGIC;
	w->role = role;
	w->snapshot = w->log_fd = -1;
	worker_link_init(w);
	w->ctl = ipc_link_new(CONTROL_FD, role->name);
	return w;
}

/* Tells the master why, which tells the administrator. */
static int start_failed(struct worker *w, const struct ost_why *why)
{
	log_error("%s", why->text);
	worker_tell(w, CTL_FAILED, F_REASON, why->text);
	return 1;
}

int worker_main(const struct role *const roles[], int argc, char **argv)
{
	struct ost_why why = { "" };
	const struct role *role = argc > 2 ? find_role(roles, argv[2]) : NULL;
	if (!role)
		log_fatal("--worker is for the master's use");
	syscall(SYS_close_range, CONTROL_FD + 1, ~0U, 0);
	ignore_signals();
	catch_crashes();
	mem_keep_freed();
	atexit(log_flush); /* a module may call exit() */
	if (role->flags & ROLE_BATCH)
		(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
	struct worker *w = the_worker = worker_new(role);
	w->roles = roles;
	if (!worker_start_receive(w, &why) || !worker_start_become(w, &why))
		return start_failed(w, &why);
	if (role->prepare && !role->prepare(w, &why))
		return start_failed(w, &why);
	if (!worker_start_seal(w, &why))
		return start_failed(w, &why);
	if (w->ctl)
		worker_link_run(w);
	if (!table_proxy_run(&why))
		return start_failed(w, &why);
	int status = role->serve(w);
	if (w->ctl)
		ipc_send(w->ctl, CTL_LEAVING, NULL, 0);
	return status;
}

/* ---- what a role asks ---------------------------------------------------------------------------------------- */

const struct config *worker_config(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->config;
}

const struct cfg_view *worker_view(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->view;
}

const struct service *worker_service(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->service;
}

const char *worker_name(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->name;
}

unsigned worker_generation(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->generation;
}

bool worker_rootless(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->rootless;
}

const char *worker_spool_path(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->spool_path;
}

const char *worker_jail(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->jail;
}

size_t worker_listeners(const struct worker *w, const int **fds)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	*fds = w->listeners;
	return w->nlisteners;
}

const struct worker_user *worker_user(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return &w->user;
}

struct ipc_link *worker_job_link(const struct worker *w)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	return w->job;
}

void worker_busy(struct worker *w, int active, int parked)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	counters_busy(active, parked);
}

/* Acceptance stops when less is free than this: what results, moves and notices of accepted mail may still
 * need. */
static uint64_t reserve(const struct cfg_view *view)
{
	uint64_t message = (uint64_t)cfg_size(view, P_message_size_limit) * 3 / 2;
	uint64_t set = (uint64_t)cfg_size(view, P_queue_minfree);
	return set > message ? set : message;
}

struct spool *worker_spool(struct worker *w, struct ost_why *why)
{
	CHECK_MAGIC(w, WORKER_MAGIC);
	if (w->spool)
		return w->spool;
	struct spool_options options = {
		.segment_size = (uint64_t)cfg_size(w->view, P_ostler_journal_segment_size),
		.segment_count = (uint64_t)cfg_int(w->view, P_ostler_journal_segments),
		.file_threshold = (uint64_t)cfg_size(w->view, P_ostler_message_file_threshold),
		.memory_budget = (uint64_t)cfg_size(w->view, P_ostler_message_memory_limit),
		.min_free = reserve(w->view),
		.long_queue_ids = cfg_bool(w->view, P_enable_long_queue_ids),
	};
	w->spool = spool_open(w->spool_path, &options, why);
	return w->spool;
}
