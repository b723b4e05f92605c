/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { START_SECONDS = 30 };

static _Noreturn void give_up(const char *what, const char *which)
{
	fprintf(stderr, "server: %s: %s\n", what, which);
	exit(99);
}

bool server_installed(const char *program)
{
	if (access(program, X_OK) == 0)
		return true;
	fprintf(stderr, "# %s is not installed\n", program);
	return false;
}

static pid_t execute(const char *const argv[])
{
	pid_t parent = getpid(), pid = fork();
	if (pid != 0)
		return pid;
	int null = open("/dev/null", O_RDWR);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	dup2(null, 0);
	dup2(null, 1);
	if (!getenv("OST_TEST_VERBOSE"))
		dup2(null, 2);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof a.sun_path)
		give_up("too long", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	return a;
}

static bool accepts(const char *path)
{
	struct sockaddr_un a = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
	close(fd);
	return ok;
}

void server_start(struct server *s)
{
	int64_t until = clock_mono() + START_SECONDS * CLOCK_SECOND;
	unlink(s->socket);
	s->pid = execute(s->argv);
	while (!accepts(s->socket)) {
		if (waitpid(s->pid, NULL, WNOHANG) != 0 || clock_mono() > until)
			give_up("does not start", s->argv[0]);
		usleep(20000);
	}
}

void server_kill(struct server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void server_freeze(struct server *s)
{
	kill(s->pid, SIGSTOP);
	if (waitpid(s->pid, NULL, WUNTRACED) != s->pid)
		give_up("does not stop", s->argv[0]);
}

void server_unfreeze(struct server *s)
{
	kill(s->pid, SIGCONT);
}

void server_run(const char *const argv[])
{
	int status = 0;
	pid_t pid = execute(argv);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		give_up("fails", argv[0]);
}

static bool send_all(int fd, const char *text)
{
	size_t left = strlen(text);
	while (left > 0) {
		ssize_t n = write(fd, text, left);
		if (n < 0)
			return false;
		text += n;
		left -= (size_t)n;
	}
	return true;
}

bool server_asks(const char *path, const char *text, const char *answer)
{
	struct sockaddr_un a = address_of(path);
	char got[1024];
	size_t have = 0, want = strlen(answer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (want > sizeof got || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || !send_all(fd, text))
		give_up("cannot be told", path);
	for (ssize_t n = 1; n > 0 && have<want; have += n> 0 ? (size_t)n : 0)
		n = read(fd, got + have, want - have);
	close(fd);
	return have == want && memcmp(got, answer, want) == 0;
}

void server_tell(const char *path, const char *text, const char *answer)
{
	if (!server_asks(path, text, answer))
		give_up("answers something else to", text);
}

int server_silent(const char *path, int *port)
{
	struct sockaddr_un un = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;
	int fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (path)
		un = address_of(path);
	if (bind(fd, path ? (struct sockaddr *)&un : (struct sockaddr *)&in, path ? sizeof un : sizeof in) <
		    0 ||
	    listen(fd, 100) < 0)
		give_up("cannot listen", path ? path : "127.0.0.1");
	if (!path && getsockname(fd, (struct sockaddr *)&in, &len) == 0)
		*port = ntohs(in.sin_port);
	return fd;
}
