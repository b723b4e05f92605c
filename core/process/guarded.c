/* SPDX-License-Identifier: Apache-2.0
 * The master's side of its guardian: says when all is up and when the end is wanted, and starts another one
 * when the guardian is dead. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <spawn.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "process/guardian.h"
#include "process/lock.h"
#include "process/master_state.h"

enum { LONGEST_PAUSE_SECONDS = 60 };

/* The descriptors that a guardian inherits: above all others, so that none of them is overwritten first. */
static int set_descriptors(posix_spawn_file_actions_t *actions, int lock, int keepsake)
{
	int error = posix_spawn_file_actions_adddup2(actions, lock, GUARD_LOCK_FD);
	if (!error && keepsake >= 0)
		error = posix_spawn_file_actions_adddup2(actions, keepsake, GUARD_KEEPSAKE_FD);
	return error;
}

/* A copy out of the way of the numbers that the child is given. */
static int high_copy(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, GUARD_KEEPSAKE_FD + 1);
}

static pid_t spawn_guardian(struct master *m)
{
	char number[24],
		*argv[] = { (char[]){ "ostler" }, (char[]){ "--guard" }, number, m->config_dir, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid = 0;
	int lock = high_copy(m->lock_fd), keepsake = high_copy(m->keepsake_fd);
	snprintf(number, sizeof number, "%d", (int)getpid());
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	int error = lock < 0 ? errno : set_descriptors(&actions, lock, keepsake);
	if (!error)
		error = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (lock >= 0)
		close(lock);
	if (keepsake >= 0)
		close(keepsake);
	return error ? 0 : pid;
}

/* Another one: now, or later when they die again and again. */
static void lost(struct master *m, int64_t now)
{
	struct guarded *g = &m->guarded;
	g->guardian = 0;
	if (m->phase == PHASE_STOPPING)
		return;
	if (m->options->foreground) { /* whoever started it knows that process, and starts it again */
		log_warning("the process that was started is gone: stopping");
		master_stop(m);
		return;
	}
	g->wanted = true;
	g->start_at = now + throttle_ended(&g->throttle, now, true, now - g->started,
					   LONGEST_PAUSE_SECONDS * CLOCK_SECOND);
	guarded_tick(m, now);
}

void guarded_tick(struct master *m, int64_t now)
{
	struct guarded *g = &m->guarded;
	if (!g->wanted || now < g->start_at || m->phase != PHASE_RUNNING)
		return;
	g->guardian = spawn_guardian(m);
	g->started = now;
	g->is_child = g->guardian != 0;
	g->wanted = g->guardian == 0;
	g->start_at = now + CLOCK_SECOND;
	if (g->guardian)
		log_info("guardian process %d watches over the master", (int)g->guardian);
	else
		log_warning(
			"cannot start a guardian: nobody will start another master if this one is killed");
}

static void on_orphaned(evutil_socket_t number, short what, void *arg)
{
	struct master *m = arg;
	(void)number;
	(void)what;
	if (m->guarded.guardian && !m->guarded.is_child && getppid() != m->guarded.guardian) {
		log_warning("the guardian process %d is gone", (int)m->guarded.guardian);
		lost(m, clock_mono());
	}
}

void guarded_begin(struct master *m)
{
	sigset_t set;
	m->guarded.orphaned = evsignal_new(m->base, GUARD_ORPHAN, on_orphaned, m);
	event_add(m->guarded.orphaned, NULL);
	sigemptyset(&set);
	sigaddset(&set, GUARD_ORPHAN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (!m->guarded.guardian)
		m->guarded.wanted = !m->options->foreground;
	else
		on_orphaned(-1, 0, m); /* it may have died before we could be told */
}

void guarded_ready(struct master *m)
{
	if (m->guarded.guardian)
		kill(m->guarded.guardian, GUARD_READY);
	guarded_tick(m, clock_mono());
}

void guarded_stopping(struct master *m)
{
	m->guarded.wanted = false;
	if (m->guarded.guardian)
		kill(m->guarded.guardian, SIGTERM);
}

bool guarded_child_ended(struct master *m, pid_t pid)
{
	if (!m->guarded.is_child || pid != m->guarded.guardian)
		return false;
	log_warning("the guardian process %d is gone", (int)pid);
	m->guarded.is_child = false;
	lost(m, clock_mono());
	return true;
}

void guarded_end(struct master *m)
{
	if (m->guarded.orphaned)
		event_free(m->guarded.orphaned);
	m->guarded.orphaned = NULL;
	if (!m->guarded.guardian && m->lock_fd >= 0)
		lock_leave(m->lock_fd);
}
