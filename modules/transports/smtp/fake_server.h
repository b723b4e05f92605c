/* SPDX-License-Identifier: Apache-2.0
 * A server for tests that follows a script, one connection after the other, on a port of 127.0.0.1. */
#ifndef SMTP_FAKE_SERVER_H
#define SMTP_FAKE_SERVER_H

#include <stddef.h>
#include <stdint.h>

/* Lines of a script, each up to '\n':
 *   >text     sends text and CRLF
 *   >>text    sends text as it is, with \r, \n and \0 written as such
 *   <prefix   reads one line, which must start with prefix (in any case)
 *   body      reads up to the line that is a single dot
 *   flood N   sends N lines "250-x"
 *   long N    sends N bytes without a line end
 *   wait N    sleeps N milliseconds
 *   close     ends this connection; `reset` with a TCP reset
 *   again     waits for the next connection
 * At the end it waits for the client to close. */
struct fake_server;

struct fake_server *fake_start(const char *script);
uint16_t fake_port(const struct fake_server *);
/* Ends the server; answers a transcript of what the client sent, to be freed, and in *wrong the first line that was not as
 * scripted (NULL: none), which belongs to the transcript's memory. */
char *fake_stop(struct fake_server **, const char **wrong);

#endif
