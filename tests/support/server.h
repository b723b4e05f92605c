/* SPDX-License-Identifier: Apache-2.0
 * Real servers for tests: a program that is started on a UNIX socket of the test's folder, killed and started
 * again. It ends with the test. */
#ifndef SUPPORT_SERVER_H
#define SUPPORT_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

enum { SERVER_ARGS = 16 };

struct server {
	const char *argv[SERVER_ARGS]; /* as it is executed; ends with NULL */
	char socket[108];              /* accepts connections here when it is ready */
	pid_t pid;
};

bool server_installed(const char *program); /* is it there to be executed? */
/* Starts it and waits until it accepts; ends the test program when it does not. */
void server_start(struct server *);
void server_kill(struct server *);     /* with SIGKILL */
void server_freeze(struct server *);   /* from now on it does nothing */
void server_unfreeze(struct server *); /* goes on */
/* Runs a program to its end; ends the test program unless it succeeds. */
void server_run(const char *const argv[]);
/* Sends the text to a server's socket, and takes an answer of so many bytes; ends the test program unless it
 * is this one. */
bool server_asks(const char *socket, const char *text,
		 const char *answer); /* the same, answers whether it is this one */
void server_tell(const char *socket, const char *text, const char *answer);
/* A socket at that path, or in memory of the kernel alone on a port of 127.0.0.1, that takes connections and
 * never answers: its descriptor. path NULL: *port is set. */
int server_silent(const char *path, int *port);

#endif
