/* SPDX-License-Identifier: Apache-2.0 */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/mem.h"
#include "process/control.h"

static int set_actions(posix_spawn_file_actions_t *actions, int control, bool keep_output)
{
	int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO && !keep_output && !error; fd++)
		error = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_WRONLY, 0);
	return error ? error : posix_spawn_file_actions_adddup2(actions, control, CONTROL_FD);
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setsigmask(attributes, &none);
	return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

pid_t spawn_worker(const char *role, const char *name, bool keep_output, struct ipc_link **link,
		   struct ost_why *why)
{
	char *argv[] = { (char[]){ "ostler" }, (char[]){ "--worker" }, mem_strdup(role), mem_strdup(name),
			 NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int pair[2];
	pid_t pid = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		why_errno(why, "socketpair");
		goto out;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	int error = set_actions(&actions, pair[1], keep_output);
	if (!error)
		error = set_attributes(&attributes);
	if (!error)
		error = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	close(pair[1]);
	if (error) {
		close(pair[0]);
		pid = -1;
		errno = error;
		why_errno(why, "start a process");
	} else {
		*link = ipc_link_new(pair[0], "master");
	}
out:
	free(argv[2]);
	free(argv[3]);
	return pid;
}

bool spawn_give(struct ipc_link *link, unsigned what, const int *fds, size_t n, unsigned column)
{
	bool ok = true;
	for (size_t at = 0; at < n && ok; at += IPC_FDS_MAX) {
		struct buf body = BUF_INIT;
		size_t some = n - at < IPC_FDS_MAX ? n - at : IPC_FDS_MAX;
		tlv_put_u64(&body, K_WHAT, what);
		tlv_put_u64(&body, K_COLUMN, column);
		ok = ipc_send_fds(link, CTL_GIVE, body.data, body.len, fds + at, (int)some);
		buf_free(&body);
	}
	return ok;
}

/* ---- environment --------------------------------------------------------------------------------------------- */

/* Beside import_environment: what diagnostic builds read. */
static const char *const always_kept[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS",
					   "NOTIFY_SOCKET" };

static void keep(struct arena *a, const char **kept, size_t *n, const char *name)
{
	const char *value = getenv(name);
	if (strchr(name, '='))
		kept[(*n)++] = name;
	else if (value)
		kept[(*n)++] = arena_printf(a, "%s=%s", name, value);
}

void spawn_environment(const struct cfg_view *view)
{
	struct arena *a = arena_new();
	const char **names = cfg_split(a, cfg_str(view, P_import_environment));
	size_t count = 0, n = 0;
	while (names[count])
		count++;
	const size_t extra = sizeof always_kept / sizeof always_kept[0];
	const char **kept = arena_alloc(a, (count + extra) * sizeof *kept);
	for (size_t i = 0; i < count; i++)
		keep(a, kept, &n, names[i]);
	for (size_t i = 0; i < extra; i++)
		keep(a, kept, &n, always_kept[i]);
	clearenv();
	setenv("PATH", "/usr/bin:/usr/sbin:/bin:/sbin", 1);
	for (size_t i = 0; i < n; i++) {
		char *equals = strchr(kept[i], '=');
		char *name = arena_strndup(a, kept[i], (size_t)(equals - kept[i]));
		setenv(name, equals + 1, 1);
	}
	arena_destroy(&a);
}
