/* SPDX-License-Identifier: Apache-2.0
 * inject: watches processes and all their offspring, writes down each system call of theirs that changes a disk, and
 * makes one of them go wrong: the Nth that matches, counted over all processes and threads.
 *
 *     inject -u FOLDER -o TRACE [-r ROLE -c CALL -p PATTERN -n N -a ACTION [-m MS]] PID…
 *     inject …            -- PROGRAM ARGUMENT…
 *
 * PATTERN: of the path below FOLDER, which ends in a slash; * and ? match no slash.
 * ACTION: die (before it), after (die behind it), EIO, ENOSPC, EDQUOT, delay (MS milliseconds behind it).
 * A line of the trace: H (the one that went wrong) or -, process, role, call, path, offset or length, answer, time in ms.
 * SIGTERM lets all of them go on by themselves. */
#include "inject.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptrace.h>

enum action { NO_ACTION, DIE, DIE_AFTER, FAIL, DELAY };

struct wish {
	const char *under, *role, *call, *pattern;
	unsigned long nth;
	enum action action;
	long error, ms;
};

struct thread { /* one that is watched */
	struct thread *next;
	pid_t tid;
	bool in_call, watched, hit; /* watched: the call is one for the trace */
	int64_t held_until;         /* 0: not held */
	struct call call;
};

struct tracer {
	struct wish wish;
	FILE *trace;
	struct thread *threads;
	unsigned long seen;
	bool pending; /* a call was left out and has no answer yet */
	unsigned held;
	pid_t program; /* started by us: its status is ours; 0: none */
	int status;
};

static volatile sig_atomic_t leave;

static void on_signal(int number)
{
	(void)number;
	leave = 1;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static struct thread *thread_of(struct tracer *t, pid_t tid)
{
	struct thread *th = t->threads;
	while (th && th->tid != tid)
		th = th->next;
	if (!th) {
		th = calloc(1, sizeof *th);
		if (!th)
			abort();
		th->tid = tid;
		th->next = t->threads;
		t->threads = th;
	}
	return th;
}

static void forget(struct tracer *t, pid_t tid)
{
	struct thread **at = &t->threads;
	while (*at && (*at)->tid != tid)
		at = &(*at)->next;
	struct thread *th = *at;
	if (!th)
		return;
	*at = th->next;
	t->held -= th->held_until != 0;
	free(th);
}

/* Is this the one? */
static bool matches(const struct wish *w, const struct call *c)
{
	size_t n = strlen(w->role);
	return strncmp(c->role, w->role, n) == 0 && (c->role[n] == '\0' || c->role[n] == ' ') &&
	       strcmp(c->name, w->call) == 0 &&
	       fnmatch(w->pattern, c->path + strlen(w->under), FNM_PATHNAME) == 0;
}

static void before_call(struct tracer *t, struct thread *th, const struct ptrace_syscall_info *info)
{
	const struct wish *w = &t->wish;
	th->hit = false;
	th->watched = call_describe(&th->call, th->tid, info->entry.nr, (const uint64_t *)info->entry.args) &&
		      strncmp(th->call.path, w->under, strlen(w->under)) == 0;
	if (!th->watched)
		return;
	call_role(&th->call, th->tid);
	if (w->action == NO_ACTION || !matches(w, &th->call) || ++t->seen != w->nth)
		return;
	th->hit = true;
	if (w->action == DIE)
		kill(th->tid, SIGKILL);
	if (w->action == FAIL) {
		t->pending = true;
		call_skip(th->tid);
	}
}

static void write_down(struct tracer *t, const struct thread *th, long answer)
{
	const struct call *c = &th->call;
	fprintf(t->trace, "%s\t%d\t%s\t%s\t%s\t%llu\t%ld\t%lld\n", th->hit ? "H" : "-", (int)th->tid, c->role, c->name, c->path,
		(unsigned long long)c->at, answer, (long long)now_ms());
	fflush(t->trace);
}

/* Answers whether the thread is to be held. */
static bool behind_call(struct tracer *t, struct thread *th, const struct ptrace_syscall_info *info)
{
	const struct wish *w = &t->wish;
	long answer = (long)info->exit.rval;
	if (th->hit && w->action == FAIL) {
		answer = -w->error;
		call_answer(th->tid, answer);
		t->pending = false;
	}
	if (th->hit && w->action == DIE_AFTER)
		kill(th->tid, SIGKILL);
	if (th->watched)
		write_down(t, th, answer);
	th->watched = false;
	return th->hit && w->action == DELAY;
}

/* A stop before or behind a call; answers whether the thread goes on. */
static bool at_call(struct tracer *t, struct thread *th)
{
	struct ptrace_syscall_info info;
	if (ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, th->tid, sizeof info, &info) <= 0)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		th->in_call = true;
		before_call(t, th, &info);
		if (th->hit && t->wish.action == DIE)
			write_down(t, th, 0);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && th->in_call) {
		th->in_call = false;
		if (behind_call(t, th, &info)) {
			th->hit = false;
			th->held_until = now_ms() + t->wish.ms;
			t->held++;
			return false;
		}
		th->hit = false;
	}
	return true;
}

static void at_stop(struct tracer *t, pid_t tid, int status)
{
	struct thread *th = thread_of(t, tid);
	int sig = WSTOPSIG(status), event = status >> 16;
	if (sig == (SIGTRAP | 0x80)) {
		if (at_call(t, th))
			ptrace(PTRACE_SYSCALL, tid, 0, 0);
	} else if (event == PTRACE_EVENT_STOP && (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)) {
		ptrace(PTRACE_LISTEN, tid, 0, 0);
	} else {
		ptrace(PTRACE_SYSCALL, tid, 0, event ? 0 : sig);
	}
}

/* Lets those go on whose time has come. */
static void release(struct tracer *t)
{
	for (struct thread *th = t->threads; th; th = th->next)
		if (th->held_until && th->held_until <= now_ms()) {
			th->held_until = 0;
			t->held--;
			ptrace(PTRACE_SYSCALL, th->tid, 0, 0);
		}
}

/* A thread or process is no more. */
static void at_end(struct tracer *t, pid_t tid, int status)
{
	if (tid == t->program)
		t->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	forget(t, tid);
}

/* Until told to leave, or nobody is left. */
static void watch(struct tracer *t)
{
	static const struct timespec nap = { .tv_nsec = 2000000 };
	while (!leave || t->pending) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | (t->held ? WNOHANG : 0));
		if (tid < 0 && errno != EINTR)
			return;
		if (tid > 0 && WIFSTOPPED(status))
			at_stop(t, tid, status);
		else if (tid > 0)
			at_end(t, tid, status);
		release(t);
		if (tid == 0)
			nanosleep(&nap, NULL);
	}
}

static const unsigned long follow = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				    PTRACE_O_TRACEEXEC;

/* Begins to watch all threads of a process. */
static void seize(pid_t pid)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/task", (int)pid);
	DIR *d = opendir(name);
	for (const struct dirent *e; d && (e = readdir(d));) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		if (tid > 0 && ptrace(PTRACE_SEIZE, tid, 0, follow) == 0)
			ptrace(PTRACE_INTERRUPT, tid, 0, 0);
	}
	if (d)
		closedir(d);
}

/* Starts a program that is watched from its first call on. */
static pid_t start(char **argv)
{
	int go[2];
	char c;
	if (pipe(go) < 0)
		exit(71);
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(71);
		close(go[0]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(go[0]);
	if (pid < 0 || ptrace(PTRACE_SEIZE, pid, 0, follow) < 0 || write(go[1], "x", 1) != 1)
		exit(71);
	close(go[1]);
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	return pid;
}

static bool set_action(struct wish *w, const char *name)
{
	static const struct {
		const char *name;
		enum action action;
		int error;
	} actions[] = { { "die", DIE, 0 },         { "after", DIE_AFTER, 0 },    { "EIO", FAIL, EIO },
			{ "ENOSPC", FAIL, ENOSPC }, { "EDQUOT", FAIL, EDQUOT }, { "delay", DELAY, 0 } };
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(actions[i].name, name) == 0) {
			w->action = actions[i].action;
			w->error = actions[i].error;
			return true;
		}
	return false;
}

static bool set_option(struct tracer *t, int option, char *value)
{
	struct wish *w = &t->wish;
	switch (option) {
	case 'u':
		w->under = value;
		return true;
	case 'r':
		w->role = value;
		return true;
	case 'c':
		w->call = value;
		return true;
	case 'p':
		w->pattern = value;
		return true;
	case 'n':
		w->nth = strtoul(value, NULL, 10);
		return w->nth > 0;
	case 'a':
		return set_action(w, value);
	case 'm':
		w->ms = strtol(value, NULL, 10);
		return w->ms >= 0;
	case 'o':
		t->trace = fopen(value, "we");
		return t->trace != NULL;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct tracer t = { .wish = { .under = "/", .role = "", .call = "", .pattern = "*", .nth = 1 } };
	struct sigaction a = { .sa_handler = on_signal };
	int o;
	sigaction(SIGTERM, &a, NULL);
	while ((o = getopt(argc, argv, "+u:r:c:p:n:a:m:o:")) != -1)
		if (!set_option(&t, o, optarg))
			return 64;
	if (!t.trace || optind == argc)
		return 64;
	if (strcmp(argv[optind - 1], "--") == 0)
		t.program = start(argv + optind);
	for (int i = optind; !t.program && i < argc; i++)
		seize((pid_t)strtol(argv[i], NULL, 10));
	fprintf(t.trace, "ready\n");
	fflush(t.trace);
	watch(&t);
	fclose(t.trace);
	return t.status;
}
