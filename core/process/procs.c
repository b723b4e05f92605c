/* SPDX-License-Identifier: Apache-2.0
 * One process of a duty: its start, what it says, its end. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/master_state.h"
#include "process/spawn.h"

enum {
	STOP_SECONDS = 30,   /* a process that was told to stop is killed then */
	START_SECONDS = 300, /* one that has not come up */
	SPAWN_AGAIN_SECONDS = 2, /* when there could be no process: the system has too little at this moment */
};

const char *proc_label(const struct proc *p)
{
	const struct duty_plan *plan = &p->duty->plan;
	return plan->line && strcmp(plan->role, "agent") == 0 ? plan->name : plan->role;
}

struct proc *proc_find(struct master *m, pid_t pid)
{
	struct proc *p = m->procs;
	while (p && p->pid != pid)
		p = p->next;
	return p;
}

/* ---- the start ----------------------------------------------------------------------------------------------- */

static bool take_column(struct master *m, struct proc *p)
{
	for (unsigned i = 0; i < COUNTER_COLUMNS; i++) {
		if (!m->column_used[i]) {
			m->column_used[i] = true;
			p->column = i;
			return true;
		}
	}
	return false;
}

/* The page in which the process notes where its threads are. */
static bool give_page(struct proc *p)
{
	p->dog = watchdog_new(p->ctl);
	return p->dog != NULL;
}

static bool give_listeners(struct proc *p)
{
	const struct listener_set *set = &p->duty->listeners;
	int fds[256];
	size_t n = set->count < 256 ? set->count : 256;
	for (size_t i = 0; i < n; i++)
		fds[i] = set->items[i]->fd;
	return spawn_give(p->ctl, GIVE_LISTEN, fds, n, 0);
}

static void start_fields(struct master *m, struct proc *p, struct buf *body)
{
	const struct duty *d = p->duty;
	tlv_put_str(body, K_SERVICE, d->plan.name);
	tlv_put_u64(body, K_LINE, d->plan.line_number);
	tlv_put_u64(body, K_GENERATION, d->generation->number);
	tlv_put_u64(body, K_ROOTLESS, m->rootless);
	tlv_put_u64(body, K_STDERR, m->options->foreground && d->generation->log_fd < 0);
}

/* qmgr hears first of all which agents live. */
static void give_agents(struct master *m, struct proc *p)
{
	struct buf list = BUF_INIT;
	for (struct proc *o = m->procs; o; o = o->next) {
		if (strcmp(o->duty->plan.role, "agent") == 0)
			buf_printf(&list, "%s %d\n", o->duty->plan.name, (int)o->pid);
	}
	orphans_agents(m, &list);
	proc_tell(p, CTL_AGENTS, buf_str(&list));
	buf_free(&list);
}

static bool give_all(struct master *m, struct proc *p)
{
	struct generation *g = p->duty->generation;
	struct buf body = BUF_INIT;
	bool ok = spawn_give(p->ctl, GIVE_SNAPSHOT, &g->snapshot, 1, 0) &&
		  spawn_give(p->ctl, GIVE_COUNTERS, &m->counters_fd, 1, p->column) &&
		  (g->log_fd < 0 || spawn_give(p->ctl, GIVE_LOG, &g->log_fd, 1, 0)) &&
		  (!p->duty->plan.modules || give_page(p)) && give_listeners(p);
	start_fields(m, p, &body);
	ok = ok && ipc_send(p->ctl, CTL_START, body.data, body.len);
	buf_free(&body);
	if (ok && strcmp(p->duty->plan.role, "qmgr") == 0)
		give_agents(m, p);
	return ok;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct proc *p = arg;
	(void)fd;
	(void)what;
	ipc_link_flush(p->ctl);
	if (ipc_link_pending(p->ctl))
		event_add(p->writable, NULL);
}

static void proc_free(struct master *m, struct proc *p)
{
	if (p->readable)
		event_free(p->readable);
	if (p->writable)
		event_free(p->writable);
	ipc_link_destroy(&p->ctl);
	watchdog_free(&p->dog);
	counters_clear(m->counters, p->column);
	roster_leave(m->roster, p->column);
	m->column_used[p->column] = false;
	free(p);
}

struct proc *proc_start(struct master *m, struct duty *d, struct ost_why *why)
{
	struct proc *p = MEM_NEW(struct proc);
	p->master = m;
	p->duty = d;
	p->started = clock_mono();
	p->kill_at = CLOCK_NEVER;
	if (!take_column(m, p)) {
		why_set(why, "too many processes");
		free(p);
		return NULL;
	}
	p->pid = spawn_worker(d->plan.role, d->plan.name, m->options->foreground, &p->ctl, why);
	if (p->pid < 0) {
		proc_free(m, p);
		return NULL;
	}
	ipc_link_set_nonblock(p->ctl, true);
	p->readable = event_new(m->base, ipc_link_fd(p->ctl), EV_READ | EV_PERSIST, proc_readable, p);
	p->writable = event_new(m->base, ipc_link_fd(p->ctl), EV_WRITE, on_writable, p);
	event_add(p->readable, NULL);
	p->next = m->procs;
	m->procs = p;
	d->running++;
	roster_enter(m->roster, p->column, p->pid, d->plan.role, d->plan.name);
	give_all(m, p); /* when it is dead already, its end says so */
	if (ipc_link_pending(p->ctl))
		event_add(p->writable, NULL);
	return p;
}

/* ---- duties -------------------------------------------------------------------------------------------------- */

static bool runs_alone(const struct duty *d)
{
	return strcmp(d->plan.role, "qmgr") == 0;
}

/* The spool has one queue manager: a new one waits for the end of the old. */
static bool must_wait(struct master *m, const struct duty *d)
{
	for (struct proc *p = m->procs; p && runs_alone(d); p = p->next) {
		if (runs_alone(p->duty))
			return true;
	}
	return false;
}

static bool is_due(struct master *m, const struct duty *d)
{
	if (m->phase == PHASE_STOPPING || d->generation->retired)
		return false;
	return d->plan.kind == DUTY_ALWAYS || d->wanted;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct duty *d = arg;
	(void)fd;
	(void)what;
	duty_fill(d->generation->master, d);
}

/* The next start of this duty has to wait. */
static void duty_delay(struct master *m, struct duty *d, int64_t wait)
{
	struct timeval tv = { .tv_sec = wait / CLOCK_SECOND, .tv_usec = wait % CLOCK_SECOND };
	if (!d->timer)
		d->timer = event_new(m->base, -1, 0, on_timer, d);
	event_add(d->timer, &tv);
}

void duty_fill(struct master *m, struct duty *d)
{
	struct ost_why why;
	while (is_due(m, d) && d->running < d->plan.processes && !must_wait(m, d)) {
		if (d->timer && event_pending(d->timer, EV_TIMEOUT, NULL))
			return;
		if (!proc_start(m, d, &why)) {
			log_warning("%s: %s -- trying again in %d s", d->plan.name, why.text, SPAWN_AGAIN_SECONDS);
			duty_delay(m, d, SPAWN_AGAIN_SECONDS * CLOCK_SECOND);
			return;
		}
		peers_retry(m);
	}
}

/* ---- words --------------------------------------------------------------------------------------------------- */

void proc_tell(struct proc *p, unsigned type, const char *text)
{
	struct buf body = BUF_INIT;
	if (*text)
		tlv_put_str(&body, F_REASON, text);
	ipc_send(p->ctl, type, body.data, body.len);
	if (ipc_link_pending(p->ctl))
		event_add(p->writable, NULL);
	buf_free(&body);
}

/* It does not count any more. */
static void leave_duty(struct proc *p)
{
	if (p->state != PROC_ENDING)
		p->duty->running--;
	p->state = PROC_ENDING;
}

void proc_stop(struct proc *p)
{
	if (p->kill_at == CLOCK_NEVER)
		p->kill_at = clock_mono() + STOP_SECONDS * CLOCK_SECOND;
	leave_duty(p);
	proc_tell(p, CTL_STOP, "");
}

void proc_retire(struct proc *p)
{
	if (p->retired)
		return;
	p->retired = true;
	leave_duty(p);
	proc_tell(p, CTL_RETIRE, "");
}

void proc_deaf(struct proc *p)
{
	int64_t last = clock_mono() + STOP_SECONDS * CLOCK_SECOND;
	if (p->kill_at > last)
		p->kill_at = last;
}

struct proc *proc_of_role(struct master *m, const struct generation *g, const char *role)
{
	struct proc *best = NULL;
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->state == PROC_ENDING || strcmp(p->duty->plan.role, role) != 0 ||
		    p->duty->generation != g)
			continue;
		if (!best || (p->state == PROC_READY && best->state != PROC_READY) ||
		    (p->state == best->state && p->links < best->links))
			best = p;
	}
	return best;
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

void procs_tell_end(struct master *m, const char *role, const char *service, pid_t pid)
{
	char text[256];
	snprintf(text, sizeof text, "%s %s %d", role, service, (int)pid);
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->pid != pid && strcmp(p->duty->plan.role, "qmgr") == 0)
			proc_tell(p, CTL_DIED, text);
	}
}

/* When may the duty have its next process? */
static void throttle_duty(struct master *m, struct proc *p, int64_t now)
{
	struct duty *d = p->duty;
	int64_t longest = cfg_time(config_main_view(d->generation->config), P_service_throttle_time);
	int64_t wait = throttle_ended(&d->throttle, now, p->state == PROC_READY, now - p->started, longest);
	if (wait == 0)
		return;
	if (p->state == PROC_STARTING)
		log_warning("%s: bad command startup -- throttling", proc_label(p));
	else
		log_warning("%s: ends again and again -- throttling for %lld s", proc_label(p),
			    (long long)((wait + CLOCK_SECOND - 1) / CLOCK_SECOND));
	duty_delay(m, d, wait);
}

static void unlink_proc(struct master *m, struct proc *p)
{
	for (struct proc **at = &m->procs; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			return;
		}
	}
}

void proc_ended(struct master *m, struct proc *p, int status)
{
	struct duty *d = p->duty;
	bool starting = p->state == PROC_STARTING;
	char text[400];
	bool inside = watchdog_end(p->dog, status, text, sizeof text);
	/* Who is told to end does, or ends in good order when it has said so: a module that calls exit() has not. */
	bool expected = p->state == PROC_ENDING || (p->state == PROC_READY && status == 0 && p->leaving);
	if (status != 0 || !expected || inside)
		log_warning("process %s pid %d %s", proc_label(p), (int)p->pid, text);
	procs_tell_end(m, p->duty->plan.role, p->duty->plan.name, p->pid);
	if (!expected)
		throttle_duty(m, p, clock_mono());
	if (d->plan.kind == DUTY_ON_DEMAND && p->state != PROC_ENDING && strcmp(d->plan.role, "agent") == 0)
		d->wanted = false; /* qmgr says when it is needed again */
	leave_duty(p);
	peers_forget(m, p);
	if (starting)
		reload_proc_failed(m, p, p->why.text[0] ? p->why.text : text);
	if (starting && m->phase == PHASE_STARTING)
		master_fail(m, "%s: %s", proc_label(p), p->why.text[0] ? p->why.text : text);
	unlink_proc(m, p);
	proc_free(m, p);
	if (!d->generation->retired)
		duty_fill(m, d);
	if (runs_alone(d) && m->current)
		duty_fill(m, generation_duty(m->current, "qmgr", NULL));
	generations_tidy(m);
	reload_proc_retired(m);
	master_check_phase(m);
}

/* ---- once a second ------------------------------------------------------------------------------------------- */

/* A start that does not come to its end. */
static void watch_start(struct proc *p, int64_t now)
{
	if (p->state == PROC_STARTING && p->kill_at == CLOCK_NEVER && now - p->started > START_SECONDS * CLOCK_SECOND)
		p->kill_at = now;
}

/* A module call far beyond its deadline: the process finishes what it can and ends. Who is still starting has nothing to
 * finish, and hears nothing. */
static void watch_modules(struct master *m, struct proc *p, int64_t now)
{
	struct ost_why why = { "" };
	int64_t loop_time = 2 * cfg_time(config_main_view(p->duty->generation->config), P_ostler_module_timeout);
	if (p->hung || !p->dog || !watchdog_look(p->dog, p->pid, now, loop_time, &why))
		return;
	log_warning("process %s pid %d %s", proc_label(p), (int)p->pid, why.text);
	p->hung = true;
	if (p->state == PROC_STARTING) {
		p->kill_at = now;
		return;
	}
	proc_tell(p, CTL_HUNG, why.text);
	if (p->kill_at == CLOCK_NEVER)
		p->kill_at = now + (STOP_SECONDS + 10) * CLOCK_SECOND;
	if (p->state != PROC_ENDING) { /* another one takes its place */
		throttle_duty(m, p, now);
		leave_duty(p);
		duty_fill(m, p->duty);
	}
}

void procs_tick(struct master *m, int64_t now)
{
	for (struct proc *p = m->procs; p; p = p->next) {
		watch_start(p, now);
		watch_modules(m, p, now);
		if (now < p->kill_at)
			continue;
		log_warning("process %s pid %d does not end: killing it", proc_label(p), (int)p->pid);
		kill(p->pid, SIGKILL);
		p->kill_at = CLOCK_NEVER;
	}
}
