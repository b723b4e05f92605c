/* SPDX-License-Identifier: Apache-2.0 */
#include "deeds.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- deeds that do not come back, or late ------------------------------------------------------------------------------ */

static void crash(struct tried *t)
{
	(void)t;
	*(volatile int *)0 = 1;
}

static void end_by_abort(struct tried *t)
{
	(void)t;
	abort();
}

static void end_by_exit(struct tried *t)
{
	(void)t;
	exit(0);
}

static void end_at_once(struct tried *t)
{
	(void)t;
	_exit(0);
}

static void hang(struct tried *t)
{
	(void)t;
	for (;;)
		pause();
}

static volatile unsigned long turns;

static void loop(struct tried *t)
{
	(void)t;
	for (;;)
		turns++;
}

static void slow(struct tried *t)
{
	(void)t;
	sleep(5);
}

static unsigned deeper(unsigned n)
{
	volatile char room[4096] = { (char)n };
	return n == 0 ? 0 : deeper(n + 1) + (unsigned)room[n % sizeof room];
}

static void overflow(struct tried *t)
{
	(void)t;
	deeper(1);
}

static void *crash_alone(void *unused)
{
	crash(unused);
	return NULL;
}

static void crash_in_a_thread(struct tried *t)
{
	pthread_t thread;
	(void)t;
	if (pthread_create(&thread, NULL, crash_alone, NULL) == 0)
		pthread_join(thread, NULL);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

enum { MIB = 1 << 20, PIECE = 64 * MIB };
static const size_t ten_gigabytes = (size_t)10 << 30;

/* Takes and touches memory; NULL when there is no more. */
static char *take(size_t size)
{
	char *volatile piece = malloc(size);
	if (piece)
		memset(piece, 1, size);
	return piece; /* and nobody frees it */
}

static void leak(struct tried *t)
{
	(void)t;
	take(MIB);
}

/* As a module does that never looks whether there was memory. */
static void eat(struct tried *t)
{
	for (size_t all = 0; all < ten_gigabytes; all += PIECE)
		if (!take(PIECE))
			crash(t);
}

/* Leaves nothing for the others in the process, and goes on. */
static void hoard(struct tried *t)
{
	(void)t;
	size_t all = 0;
	for (size_t size = PIECE; size >= 4096; size /= 2)
		while (all < ten_gigabytes && take(size))
			all += size;
}

/* ---- descriptors ------------------------------------------------------------------------------------------------------- */

enum { FDS = 4096 };

static void close_all(struct tried *t)
{
	(void)t;
	(void)syscall(SYS_close_range, 3, ~0U, 0);
	for (int fd = 3; fd < FDS; fd++)
		close(fd);
}

/* The numbers come back, as files that take everything. */
static void replace_all(struct tried *t)
{
	close_all(t);
	for (int i = 0; i < 128; i++)
		(void)memfd_create("bad", 0);
}

/* ---- deeds that must be refused, or have no effect on others ----------------------------------------------------------- */

static void note(struct tried *t, const char *what, bool succeeded)
{
	t->times++;
	if (succeeded && t->succeeded++ == 0)
		snprintf(t->first, sizeof t->first, "%s", what);
}

static void become_root(struct tried *t)
{
	const gid_t none = 0;
	note(t, "setuid", setuid(0) == 0);
	note(t, "setresuid", setresuid(0, 0, 0) == 0);
	note(t, "seteuid", seteuid(0) == 0);
	note(t, "setgid", setgid(0) == 0);
	note(t, "setgroups", setgroups(1, &none) == 0);
}

/* Both of them go on from here. */
static void go_on_twice(struct tried *t)
{
	pid_t child = fork();
	note(t, "fork", child >= 0);
	note(t, "vfork by clone", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0);
	note(t, "execve", execl("/bin/true", "true", NULL) == 0);
}

/* Files that are somebody else's: OST_BAD_FILES, with colons between them. Existing ones are written to, others made. */
static void write_files(struct tried *t)
{
	char *names = strdup(getenv("OST_BAD_FILES") ? getenv("OST_BAD_FILES") : ""), *rest = names, *name;
	while ((name = strsep(&rest, ":")) != NULL) {
		if (!*name)
			continue;
		int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		note(t, name, fd >= 0);
		if (fd >= 0) {
			(void)!write(fd, "bad\n", 4);
			close(fd);
		}
	}
	free(names);
}

static void change_limits(struct tried *t)
{
	const struct rlimit none = { 0, 0 }, all = { RLIM_INFINITY, RLIM_INFINITY };
	const cpu_set_t nowhere = { { 1 } };
	note(t, "setrlimit files", setrlimit(RLIMIT_NOFILE, &none) == 0);
	note(t, "setrlimit size", setrlimit(RLIMIT_FSIZE, &none) == 0);
	note(t, "setrlimit memory", setrlimit(RLIMIT_DATA, &all) == 0);
	note(t, "prlimit", prlimit(getppid(), RLIMIT_FSIZE, &none, NULL) == 0);
	note(t, "setpriority", setpriority(PRIO_USER, 0, 19) == 0);
	note(t, "sched_setaffinity", sched_setaffinity(getppid(), sizeof nowhere, &nowhere) == 0);
}

static void kill_others(struct tried *t)
{
	const pid_t parent = getppid();
	siginfo_t info = { .si_code = SI_QUEUE };
	note(t, "kill everybody", kill(-1, SIGKILL) == 0);
	note(t, "kill the parent", kill(parent, SIGKILL) == 0);
	note(t, "kill the group", kill(0, SIGKILL) == 0);
	note(t, "tgkill", syscall(SYS_tgkill, parent, parent, SIGKILL) == 0);
	note(t, "tkill", syscall(SYS_tkill, parent, SIGKILL) == 0);
	note(t, "rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, parent, SIGTERM, &info) == 0);
	note(t, "pidfd_open", syscall(SYS_pidfd_open, parent, 0) >= 0);
	note(t, "fcntl owner", fcntl(0, F_SETOWN, parent) == 0);
}

extern char **environ;

/* Allowed: it is this process's alone. What was known stays known. */
static void spoil_environment(struct tried *t)
{
	static char preload[] = "LD_PRELOAD=/nowhere/evil.so", folder[] = "MAIL_CONFIG=/nowhere", orders[512];
	static char *other[] = { preload, folder, orders, NULL };
	const char *file = getenv("OST_BAD_ORDERS");
	snprintf(orders, sizeof orders, "OST_BAD_ORDERS=%s", file ? file : "");
	environ = other;
	note(t, "", false);
}

static void move_away(struct tried *t)
{
	note(t, "chdir", chdir("/tmp") == 0);
	note(t, "chroot", chroot("/tmp") == 0);
	note(t, "umask", umask(0777) != (mode_t)-1);
}

static void change_signals(struct tried *t)
{
	static const int numbers[] = { SIGPIPE, SIGTERM, SIGHUP, SIGINT, SIGSEGV, SIGABRT, SIGXFSZ };
	sigset_t all;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		note(t, "signal", signal(numbers[i], SIG_DFL) != SIG_ERR);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	alarm(1);
}

/* ------------------------------------------------------------------------------------------------------------------------ */

static const struct deed {
	const char *word;
	void (*act)(struct tried *);
} deeds[] = {
	{ "crash", crash },	  { "abort", end_by_abort },   { "exit", end_by_exit },
	{ "quit", end_at_once },  { "hang", hang },	       { "loop", loop },
	{ "slow", slow },	  { "leak", leak },	       { "overflow", overflow },
	{ "eat", eat },		  { "hoard", hoard },	       { "thread", crash_in_a_thread },
	{ "close", close_all },	  { "replace", replace_all },  { "root", become_root },
	{ "fork", go_on_twice },  { "files", write_files },    { "limits", change_limits },
	{ "kill", kill_others },  { "environ", spoil_environment }, { "move", move_away },
	{ "signals", change_signals },
};

bool deed_do(const char *word, struct tried *t)
{
	*t = (struct tried){ 0 };
	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
		if (strcmp(word, deeds[i].word) == 0) {
			deeds[i].act(t);
			return true;
		}
	}
	return false;
}

bool deed_ordered(const char *kind, const char *entry, char word[32])
{
	char of[32], where[32];
	bool found = false;
	FILE *f = getenv("OST_BAD_ORDERS") ? fopen(getenv("OST_BAD_ORDERS"), "re") : NULL;
	while (f && !found && fscanf(f, "%31s %31s %31s", of, where, word) == 3)
		found = strcmp(of, kind) == 0 && strcmp(where, entry) == 0;
	if (f)
		fclose(f);
	return found;
}
