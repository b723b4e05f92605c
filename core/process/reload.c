/* SPDX-License-Identifier: Apache-2.0
 * A new configuration in a running system: read and checked, then tried with one process of each kind; only
 * when all of them serve does it take over. Whatever fails before leaves the old one as it is. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "process/check.h"
#include "process/keepsake.h"
#include "process/lock.h"
#include "process/logging.h"
#include "process/master_state.h"
#include "process/spawn.h"

enum {
	TRIAL_SECONDS = 60,
	CHECK_SECONDS = 120,
	RETIRE_SECONDS = 3,
	OLD_GENERATIONS = 2,
	ROOM_SECONDS = 60, /* how long sessions and deliveries of the oldest generation may take to end … */
	END_SECONDS = 45,  /* … before they are stopped, which takes no longer than this */
};

enum reload_step {
	STEP_CHECK,  /* modules and maps, in a process of their own */
	STEP_ROOM,   /* too many old generations are in use: the oldest has to end first */
	STEP_TRIAL,  /* one process of each kind */
	STEP_RETIRE, /* it has taken over; the old processes hear of it */
};

struct reload {
	enum reload_step step;
	struct generation *next;
	struct admin *admin; /* who waits for the result; NULL: nobody */
	int64_t deadline;
	struct findings *findings;
	struct check_child *child; /* STEP_CHECK */
	struct event *readable;
	bool stopped; /* STEP_ROOM: the oldest generation has been stopped */
};

static unsigned old_generations(const struct master *);
static struct generation *oldest_generation(struct master *);

/* ---- how it ends --------------------------------------------------------------------------------------------- */

/* Gives the memory of the undertaking back; next, when it is still there, has processes that end first. */
static void reload_end(struct master *m)
{
	struct reload *r = m->reload;
	if (r->readable)
		event_free(r->readable);
	check_child_end(&r->child);
	findings_destroy(&r->findings);
	m->reload = NULL;
	free(r);
}

/* The old configuration goes on. */
static void refuse(struct master *m, const char *reason)
{
	struct reload *r = m->reload;
	struct generation *g = r->next;
	log_error("reload refused, the old configuration goes on: %s", reason);
	admin_line(r->admin, true, "ostler: reload refused, the old configuration goes on: %s", reason);
	admin_done(r->admin, 1);
	reload_end(m);
	if (!g)
		return;
	g->retired = true;
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->duty->generation == g)
			proc_stop(p);
	}
	g->next = m->generations->next;
	m->generations->next = g;
	generations_tidy(m);
}

static void tell_findings(struct reload *r)
{
	const struct finding *list;
	size_t n = findings_count(r->findings, &list);
	check_print(r->findings);
	for (size_t i = 0; i < n; i++)
		admin_line(r->admin, true, "ostler: %s: %s",
			   list[i].grade == FINDING_FATAL ? "fatal" : "warning", list[i].text);
}

/* ---- the switch ---------------------------------------------------------------------------------------------- */

/* Agents that are in use are in use afterwards. */
static void carry_wanted(struct generation *from, struct generation *to)
{
	for (struct duty *d = from->duties; d; d = d->next) {
		if (d->plan.kind != DUTY_ON_DEMAND || !d->wanted)
			continue;
		struct duty *same = generation_duty(to, d->plan.role, d->plan.name);
		if (same)
			same->wanted = true;
	}
}

static void take_over(struct master *m)
{
	struct reload *r = m->reload;
	struct generation *old = m->current, *g = r->next;
	g->next = m->generations;
	m->generations = m->current = g;
	/* The old one's log goes with it. */
	logging_open(config_main_view(g->config), "master", g->log_fd, m->options->foreground && g->log_fd < 0);
	old->retired = true;
	carry_wanted(old, g);
	keepsake_put(m->keepsake_fd, g->snapshot);
	master_log(m, g, m->options->foreground && g->log_fd < 0);
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->duty->generation != old)
			continue;
		if (strcmp(p->duty->plan.role, "qmgr") == 0)
			proc_stop(p);
		else
			proc_retire(p);
	}
	for (struct duty *d = g->duties; d; d = d->next)
		duty_fill(m, d);
	peers_retry(m);
	log_info("reload -- version %s, configuration %s, generation %u", PACKAGE_VERSION,
		 cfg_folder(config_main_view(g->config)), g->number);
	r->next = NULL;
	r->step = STEP_RETIRE;
	r->deadline = clock_mono() + RETIRE_SECONDS * CLOCK_SECOND;
	generations_tidy(m);
	reload_proc_retired(m);
}

/* When no old process takes a new session any more, the reload is over. */
void reload_proc_retired(struct master *m)
{
	struct reload *r = m->reload;
	if (!r || r->step != STEP_RETIRE)
		return;
	for (const struct proc *p = m->procs; p && clock_mono() < r->deadline; p = p->next) {
		if (p->retired && !p->has_retired)
			return;
	}
	admin_done(r->admin, 0);
	reload_end(m);
}

/* ---- the trial ----------------------------------------------------------------------------------------------- */

static bool is_tried(const struct duty *d)
{
	return d->plan.kind == DUTY_ALWAYS && strcmp(d->plan.role, "qmgr") != 0;
}

/* Listeners, log, and one process of each kind. */
static void begin_trial(struct master *m)
{
	struct reload *r = m->reload;
	struct ost_why why = { "" };
	r->step = STEP_TRIAL;
	r->deadline = clock_mono() + TRIAL_SECONDS * CLOCK_SECOND;
	if (!generation_open(m, r->next, 0, &why)) {
		refuse(m, why.text);
		return;
	}
	for (struct duty *d = r->next->duties; d; d = d->next) {
		if (is_tried(d) && !proc_start(m, d, &why)) {
			refuse(m, why.text);
			return;
		}
	}
	reload_proc_ready(m);
}

/* Sessions between transactions go home at once, all others finish; afterwards there is no mercy. */
static void make_room(struct master *m)
{
	struct reload *r = m->reload;
	if (old_generations(m) < OLD_GENERATIONS) {
		begin_trial(m);
		return;
	}
	if (r->step == STEP_ROOM)
		return;
	const struct generation *g = oldest_generation(m);
	r->step = STEP_ROOM;
	r->deadline = clock_mono() + ROOM_SECONDS * CLOCK_SECOND;
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->duty->generation == g && p->kill_at == CLOCK_NEVER)
			proc_tell(p, CTL_RETIRE, "");
	}
	log_info("reload waits: two older configurations are in use by sessions or deliveries");
	admin_line(r->admin, false,
		   "ostler: two older configurations are in use: waiting until the work of the "
		   "oldest ends, at most %d seconds",
		   ROOM_SECONDS + END_SECONDS);
}

/* The oldest generation has had its time. */
static void force_room(struct master *m, int64_t now)
{
	struct reload *r = m->reload;
	const struct generation *g = oldest_generation(m);
	if (r->stopped) {
		refuse(m, "older processes do not end");
		return;
	}
	r->stopped = true;
	r->deadline = now + END_SECONDS * CLOCK_SECOND;
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->duty->generation == g && p->kill_at == CLOCK_NEVER)
			proc_stop(p);
	}
}

void reload_proc_ready(struct master *m)
{
	struct reload *r = m->reload;
	if (!r || r->step != STEP_TRIAL)
		return;
	for (const struct proc *p = m->procs; p; p = p->next) {
		if (p->duty->generation == r->next && p->state == PROC_STARTING)
			return;
	}
	take_over(m);
}

void reload_proc_failed(struct master *m, const struct proc *p, const char *reason)
{
	char text[600];
	if (!m->reload || p->duty->generation != m->reload->next)
		return;
	snprintf(text, sizeof text, "%s: %s", proc_label(p), reason);
	refuse(m, text);
}

/* ---- the check ----------------------------------------------------------------------------------------------- */

static void check_finished(struct master *m)
{
	struct reload *r = m->reload;
	event_free(r->readable);
	r->readable = NULL;
	check_child_end(&r->child);
	tell_findings(r);
	if (findings_fatal(r->findings))
		refuse(m, "the new configuration cannot be used");
	else
		make_room(m);
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	(void)fd;
	(void)what;
	if (!check_child_read(m->reload->child, m->reload->findings, 0))
		check_finished(m);
}

/* What may not change while the system runs. */
static bool same_place(const struct master *m, const struct generation *g)
{
	const struct cfg_view *old = config_main_view(m->current->config), *new = config_main_view(g->config);
	return strcmp(cfg_str(old, P_queue_directory), cfg_str(new, P_queue_directory)) == 0 &&
	       cfg_postfix_folder(old) == cfg_postfix_folder(new) &&
	       strcmp(cfg_str(old, P_mail_owner), cfg_str(new, P_mail_owner)) == 0;
}

void reload_begin(struct master *m, struct admin *admin)
{
	struct ost_why why = { "" };
	if (m->reload || m->phase != PHASE_RUNNING) {
		admin_line(admin, true, "ostler: %s",
			   m->reload ? "a reload is under way" : "the mail system is starting or stopping");
		admin_done(admin, 1);
		return;
	}
	struct reload *r = m->reload = MEM_NEW(struct reload);
	r->admin = admin;
	r->findings = findings_new();
	r->deadline = clock_mono() + CHECK_SECONDS * CLOCK_SECOND;
	r->next = generation_read(m, r->findings);
	if (!r->next) {
		tell_findings(r);
		refuse(m, "the new configuration cannot be used");
		return;
	}
	m->last_number = r->next->number;
	if (!same_place(m, r->next)) {
		refuse(m, "queue_directory and mail_owner change with a stop and a start only");
		return;
	}
	r->child = check_child_start(r->next->config, r->next->snapshot, &why);
	if (!r->child) {
		refuse(m, why.text);
		return;
	}
	r->readable = event_new(m->base, check_child_fd(r->child), EV_READ | EV_PERSIST, on_check, m);
	event_add(r->readable, NULL);
}

bool reload_child_ended(struct master *m, pid_t pid, int status)
{
	return m->reload && m->reload->child && check_child_reaped(m->reload->child, pid, status);
}

void reload_forget(struct master *m, const struct admin *admin)
{
	if (m->reload && m->reload->admin == admin)
		m->reload->admin = NULL;
}

void reload_tick(struct master *m, int64_t now)
{
	if (m->reload && m->reload->child)
		check_child_look(m->reload->child);
	if (m->reload && m->reload->step == STEP_RETIRE)
		reload_proc_retired(m);
	else if (m->reload && m->reload->step == STEP_ROOM && now >= m->reload->deadline)
		force_room(m, now);
	else if (m->reload && now >= m->reload->deadline)
		refuse(m, m->reload->step == STEP_CHECK ? "the check does not end"
							: "the new processes are not up in time");
}

/* ---- old generations ----------------------------------------------------------------------------------------- */

static bool has_processes(const struct master *m, const struct generation *g)
{
	for (const struct proc *p = m->procs; p; p = p->next) {
		if (p->duty->generation == g)
			return true;
	}
	return false;
}

static unsigned old_generations(const struct master *m)
{
	unsigned n = 0;
	for (const struct generation *g = m->generations; g; g = g->next)
		n += g->retired;
	return n;
}

static struct generation *oldest_generation(struct master *m)
{
	struct generation *oldest = NULL;
	for (struct generation *g = m->generations; g; g = g->next)
		oldest = g->retired ? g : oldest;
	return oldest;
}

void generations_tidy(struct master *m)
{
	for (struct generation **at = &m->generations; *at;) {
		struct generation *g = *at;
		if (!g->retired || has_processes(m, g)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		generation_free(m, &g);
	}
	if (m->reload && m->reload->step == STEP_ROOM)
		make_room(m);
}
