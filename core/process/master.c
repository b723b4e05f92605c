/* SPDX-License-Identifier: Apache-2.0 */
#include "process/master.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "config.h"
#include "process/check.h"
#include "process/folders.h"
#include "process/keepsake.h"
#include "process/limits.h"
#include "process/lock.h"
#include "process/logging.h"
#include "process/master_state.h"
#include "process/spawn.h"

enum {
	BIND_PATIENCE_SECONDS = 3, /* an address may still be held by processes of a master that was killed */
	START_SECONDS = 60,
};

/* ---- phases -------------------------------------------------------------------------------------------------- */

void master_log(struct master *m, const struct generation *g, bool to_stderr)
{
	int old = m->log_fd;
	m->log_fd = g->log_fd < 0 ? -1 : fcntl(g->log_fd, F_DUPFD_CLOEXEC, 0);
	logging_open(config_main_view(g->config), "master", m->log_fd, to_stderr);
	io_close(&old);
}

/* Tells `ostler start` how it went; from then on nothing goes to its terminal. */
static void report(struct master *m, int status)
{
	if (m->report_fd < 0)
		return;
	unsigned char byte = (unsigned char)status;
	(void)!write(m->report_fd, &byte, 1);
	io_close(&m->report_fd);
	io_leave_terminal();
	master_log(m, m->current, false);
}

static void print_listeners(const struct master *m)
{
	struct buf text = BUF_INIT;
	for (const struct listener *l = m->listeners; l; l = l->next) {
		if (!l->is_path)
			buf_printf(&text, "%s%s", text.len ? ", " : "", l->name);
	}
	printf("ostler: running (pid %d), listening on %s\n",
	       (int)(m->guarded.guardian ? m->guarded.guardian : getpid()),
	       text.len ? text.data : "no network address");
	fflush(stdout);
	buf_free(&text);
}

static bool all_ready(const struct master *m)
{
	for (const struct proc *p = m->procs; p; p = p->next) {
		if (p->state == PROC_STARTING)
			return false;
	}
	return true;
}

/* The second wave of a stop: who serves the others. */
static bool ends_last(const struct proc *p)
{
	return strcmp(p->duty->plan.role, "qmgr") == 0 || strcmp(p->duty->plan.role, "broker") == 0;
}

static void check_stopping(struct master *m)
{
	bool others = false;
	for (struct proc *p = m->procs; p; p = p->next)
		others |= !ends_last(p);
	for (struct proc *p = m->procs; p && !others; p = p->next) {
		if (p->kill_at == CLOCK_NEVER)
			proc_stop(p);
	}
	m->done = !m->procs;
}

void master_check_phase(struct master *m)
{
	if (m->phase == PHASE_STOPPING) {
		check_stopping(m);
	} else if (m->phase == PHASE_STARTING && all_ready(m)) {
		m->phase = PHASE_RUNNING;
		keepsake_put(m->keepsake_fd, m->current->snapshot);
		guarded_ready(m);
		if (m->report_fd >= 0 || m->options->foreground)
			print_listeners(m);
		report(m, 0);
	}
}

void master_stop(struct master *m)
{
	if (m->phase == PHASE_STOPPING)
		return;
	m->phase = PHASE_STOPPING;
	if (!m->failed)
		guarded_stopping(m);
	for (struct proc *p = m->procs; p; p = p->next) {
		if (!ends_last(p))
			proc_stop(p);
	}
	check_stopping(m);
}

void master_fail(struct master *m, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (m->phase != PHASE_STARTING)
		return;
	log_error("%s", text);
	m->failed = true;
	master_stop(m);
}

/* ---- signals and time ---------------------------------------------------------------------------------------- */

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	int status;
	pid_t pid;
	(void)fd;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct proc *p = proc_find(m, pid);
		if (guarded_child_ended(m, pid)) {
			continue;
		} else if (p) {
			/* what it said last may still be unread */
			proc_readable(ipc_link_fd(p->ctl), EV_READ, p);
			proc_ended(m, p, status);
		} else {
			reload_child_ended(m, pid, status);
		}
	}
}

static void on_terminate(evutil_socket_t signal_number, short what, void *arg)
{
	struct master *m = arg;
	(void)what;
	log_info("terminating on signal %d", (int)signal_number);
	master_stop(m);
}

static void on_hangup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	reload_begin(arg, NULL);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	int64_t now = clock_mono();
	(void)fd;
	(void)what;
	procs_tick(m, now);
	orphans_tick(m, now);
	guarded_tick(m, now);
	peers_retry(m);
	reload_tick(m, now);
	if (m->phase == PHASE_STARTING && now >= m->start_deadline)
		master_fail(m, "the processes are not up after %d seconds", START_SECONDS);
}

static void watch_signals(struct master *m)
{
	static const struct {
		int number;
		event_callback_fn handler;
	} list[] = {
		{ SIGCHLD, on_child },
		{ SIGTERM, on_terminate },
		{ SIGINT, on_terminate },
		{ SIGHUP, on_hangup },
	};
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		m->signals[i] = evsignal_new(m->base, list[i].number, list[i].handler, m);
		event_add(m->signals[i], NULL);
	}
	guarded_begin(m);
	m->tick = event_new(m->base, -1, EV_PERSIST, on_tick, m);
	event_add(m->tick, &(struct timeval){ .tv_sec = 1 });
}

/* ---- the start ----------------------------------------------------------------------------------------------- */

static bool make_counters(struct master *m, struct ost_why *why)
{
	m->counters_fd = memfd_create("ostler-counters", MFD_CLOEXEC);
	if (m->counters_fd < 0 || ftruncate(m->counters_fd, (off_t)counters_bytes()) < 0)
		return why_errno(why, "shared memory");
	m->counters = mmap(NULL, counters_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, m->counters_fd, 0);
	if (m->counters == MAP_FAILED)
		return why_errno(why, "shared memory");
	counters_init(m->counters);
	return true;
}

/* Reads and checks it, from the folder or from a snapshot; what it says about the log holds at once. NULL, or
 * with a fatal finding: of no use. */
static struct generation *read_checked(struct master *m, int snapshot, struct findings *findings)
{
	struct ost_why why;
	struct generation *g =
		snapshot < 0 ? generation_read(m, findings) : generation_from(m, snapshot, findings);
	if (!g)
		return NULL;
	check_instance(g->config, g->snapshot, findings);
	const struct cfg_view *view = config_main_view(g->config);
	g->log_fd = logging_file(view, &why);
	if (g->log_fd < 0)
		g->log_fd = -1; /* tried again, with what it says */
	master_log(m, g, true);
	return g;
}

/* A successor goes on with the configuration that served last if the one in the folder cannot be used. */
static struct generation *read_keepsake(struct master *m)
{
	int snapshot = m->options->past.masters > 0 ? keepsake_get(m->keepsake_fd) : -1;
	if (snapshot < 0)
		return NULL;
	struct findings *findings = findings_new();
	struct generation *g = read_checked(m, snapshot, findings);
	if (g && findings_fatal(findings))
		generation_free(m, &g);
	findings_destroy(&findings);
	io_close(&snapshot);
	return g;
}

static bool read_configuration(struct master *m, struct ost_why *why)
{
	struct findings *findings = findings_new();
	struct generation *g = read_checked(m, -1, findings);
	bool fatal = !g || findings_fatal(findings);
	struct generation *kept = fatal ? read_keepsake(m) : NULL;
	check_print(findings);
	findings_destroy(&findings);
	if (kept) {
		log_error("the configuration in %s cannot be used: the one that served last goes on",
			  m->config_dir);
		generation_free(m, &g);
		g = kept;
	}
	m->current = m->generations = g;
	if (fatal && !kept)
		return why_set(why, "the configuration in %s cannot be used", m->config_dir);
	m->last_number = g->number;
	return true;
}

/* The lock is the guardian's as well, if there is one. */
static bool take_lock(struct master *m, struct ost_why *why)
{
	if (m->lock_fd >= 0)
		return true;
	m->lock_fd = lock_take(config_main_view(m->current->config), why);
	return m->lock_fd >= 0 && lock_sign(m->lock_fd, why);
}

/* Processes of a master that was killed let go of the addresses at once; those that do not are killed. */
static bool open_all(struct master *m, struct ost_why *why)
{
	struct generation *g = m->current;
	return generation_open(m, g, clock_mono() + BIND_PATIENCE_SECONDS * CLOCK_SECOND, why) ||
	       (orphans_kill(m, "smtpd") &&
		generation_open(m, g, clock_mono() + BIND_PATIENCE_SECONDS * CLOCK_SECOND, why));
}

/* All that can fail before the first process is started. */
static bool prepare(struct master *m, struct ost_why *why)
{
	if (!read_configuration(m, why) || !take_lock(m, why))
		return false;
	const struct cfg_view *view = config_main_view(m->current->config);
	if (!folders_prepare(view, m->rootless, why) || !make_counters(m, why))
		return false;
	m->roster = roster_open(view, why);
	if (!m->roster)
		return false;
	orphans_adopt(m);
	limits_raise_files(m->current->config);
	return open_all(m, why) && admin_listen(m, why);
}

/* Why there is this master, after others. */
static void log_past(const struct master_past *past)
{
	char how[64] = "has gone";
	if (past->masters == 0)
		return;
	if (past->status >= 0 && WIFSIGNALED(past->status))
		snprintf(how, sizeof how, "was killed by signal %d", WTERMSIG(past->status));
	else if (past->status >= 0)
		snprintf(how, sizeof how, "ended with status %d", WEXITSTATUS(past->status));
	log_warning("the master process %d %s: this one takes its place after %u s (number %u)",
		    (int)past->pid, how, past->waited, past->masters + 1);
}

static void begin(struct master *m)
{
	const struct cfg_view *view = config_main_view(m->current->config);
	bool to_stderr = m->options->foreground && m->current->log_fd < 0;
	spawn_environment(view);
	master_log(m, m->current, to_stderr);
	log_past(&m->options->past);
	log_info("daemon started -- version %s, configuration %s", PACKAGE_VERSION, cfg_folder(view));
	if (m->report_fd >= 0) /* what goes wrong until all is up is for the terminal as well */
		master_log(m, m->current, true);
	m->start_deadline = clock_mono() + START_SECONDS * CLOCK_SECOND;
	watch_signals(m);
	for (struct duty *d = m->current->duties; d; d = d->next)
		duty_fill(m, d);
	master_check_phase(m);
}

static void finish(struct master *m)
{
	admin_close(m);
	watch_free(m);
	for (size_t i = 0; i < sizeof m->signals / sizeof m->signals[0]; i++) {
		if (m->signals[i])
			event_free(m->signals[i]);
	}
	if (m->tick)
		event_free(m->tick);
	while (m->generations) {
		struct generation *g = m->generations;
		m->generations = g->next;
		generation_free(m, &g);
	}
	if (m->counters && m->counters != MAP_FAILED)
		munmap(m->counters, counters_bytes());
	io_close(&m->counters_fd);
	guarded_end(m);
	orphans_free(m);
	roster_close(&m->roster);
	io_close(&m->keepsake_fd);
	io_close(&m->lock_fd);
	event_base_free(m->base);
	free(m->config_dir);
}

int master_run(const struct master_options *options)
{
	struct master m = { .magic = MASTER_MAGIC,
			    .options = options,
			    .log_fd = -1,
			    .lock_fd = options->lock_fd,
			    .keepsake_fd = options->keepsake_fd,
			    .guarded.guardian = options->guardian,
			    .counters_fd = -1,
			    .admin_fd = -1,
			    .report_fd = options->report_fd,
			    .rootless = geteuid() != 0 };
	struct ost_why why = { "" };
	umask(022);
	if (!m.rootless)
		(void)setgroups(0, NULL);
	m.config_dir = mem_strdup(options->config_dir);
	if (m.keepsake_fd < 0)
		m.keepsake_fd = keepsake_new();
	m.base = event_base_new();
	if (!m.base)
		log_fatal("cannot make an event loop");
	bool ok = prepare(&m, &why);
	if (ok)
		begin(&m);
	while (ok && !m.done)
		event_base_loop(m.base, EVLOOP_ONCE);
	int status = ok && !m.failed ? 0 : 1;
	if (m.report_fd >= 0)
		(void)!write(m.report_fd, &(unsigned char){ (unsigned char)status }, 1);
	finish(&m); /* the log stays open for the last line */
	if (!ok)
		log_fatal("%s", why.text);
	return status;
}
