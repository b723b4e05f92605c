/* SPDX-License-Identifier: Apache-2.0 */
#include "process/watchdog.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "module/module.h"
#include "process/control.h"
#include "process/spawn.h"

enum { LOWEST_PRIORITY = 19, LOOKS = 4 /* at the threads, while the process burns what one of them may */ };

struct burning { /* a call, when the processor time of its thread was last looked at */
	uint64_t number;
	int64_t used; /* microseconds, before that */
};

struct watchdog {
	void *page;
	int64_t looked_at; /* the whole process's processor time then */
	struct burning seen[MOD_PAGE_SLOTS];
};

struct watchdog *watchdog_new(struct ipc_link *link)
{
	int fd = memfd_create("ostler-page", MFD_CLOEXEC);
	bool ok = fd >= 0 && ftruncate(fd, MOD_PAGE_SIZE) == 0;
	void *page = ok ? mmap(NULL, MOD_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	struct watchdog *dog = NULL;
	if (page != MAP_FAILED) {
		dog = MEM_NEW(struct watchdog);
		dog->page = page;
		if (!spawn_give(link, GIVE_PAGE, &fd, 1, 0))
			watchdog_free(&dog);
	}
	io_close(&fd);
	return dog;
}

void watchdog_free(struct watchdog **dp)
{
	if (!*dp)
		return;
	munmap((*dp)->page, MOD_PAGE_SIZE);
	free(*dp);
	*dp = NULL;
}

bool watchdog_end(const struct watchdog *dog, int status, char *text, size_t size)
{
	char where[256] = "";
	bool inside = dog && mod_page_describe(dog->page, where, sizeof where);
	bool killed = WIFSIGNALED(status), by_others = killed && WTERMSIG(status) == SIGKILL;
	const char *how = inside ? " in " : dog && !by_others && mod_page_last(dog->page, where, sizeof where) ? ", last in " : "";
	snprintf(text, size, "%s %d%s%s", killed ? "killed by signal" : "exit status",
		 killed ? WTERMSIG(status) : WEXITSTATUS(status), how, where);
	return inside;
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

/* Processor time of a process, microseconds; 0: it is gone. */
static int64_t process_time(pid_t pid)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (int64_t)used.tv_sec * CLOCK_SECOND + used.tv_nsec / 1000;
}

/* The same of one of its threads; -1: it has no such thread. See proc(5), /proc/PID/stat. */
static int64_t thread_time(pid_t pid, int thread)
{
	char path[64], text[512];
	unsigned long long user, system;
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, thread);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	io_close(&fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	const char *at = strrchr(text, ')'); /* the name may hold anything */
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return -1;
	return (int64_t)((user + system) * (unsigned long long)CLOCK_SECOND / (unsigned long long)sysconf(_SC_CLK_TCK));
}

struct look {
	struct watchdog *dog;
	pid_t pid;
	int64_t now, loop_time;
	bool at_time; /* look at processor time too */
	struct ost_why *why;
	bool found;
};

/* Has the thread used up in this one call what a call may use? */
static bool loops(struct look *l, const struct mod_call *c)
{
	struct burning *b = &l->dog->seen[c->slot];
	int64_t used = thread_time(l->pid, c->thread);
	if (used < 0)
		return false;
	if (b->number == c->number)
		return used - b->used >= l->loop_time;
	*b = (struct burning){ .number = c->number, .used = used };
	return false;
}

static void look_at(void *ctx, const struct mod_call *c)
{
	struct look *l = ctx;
	bool hangs = c->limit <= l->now;
	if (c->slot >= MOD_PAGE_SLOTS || (!hangs && !(l->at_time && loops(l, c))))
		return;
	if (!l->found)
		why_set(l->why, "%s in module %s, %s", hangs ? "hangs" : "loops", c->module, c->entry);
	l->found = true;
	if (thread_time(l->pid, c->thread) >= 0)
		setpriority(PRIO_PROCESS, (id_t)c->thread, LOWEST_PRIORITY);
}

bool watchdog_look(struct watchdog *dog, pid_t pid, int64_t now, int64_t loop_time, struct ost_why *why)
{
	struct look l = { .dog = dog, .pid = pid, .now = now, .loop_time = loop_time, .why = why };
	int64_t used = process_time(pid);
	l.at_time = used - dog->looked_at >= loop_time / LOOKS;
	if (l.at_time)
		dog->looked_at = used;
	mod_page_calls(dog->page, look_at, &l);
	return l.found;
}
