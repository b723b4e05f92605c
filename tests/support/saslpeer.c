/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/saslpeer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_ROOM = 65536 };

static const char handshake[] = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\tINTERNAL\tprivate\nSPID\t1\n"
				"CUID\t1\nCOOKIE\t0123456789abcdef\nDONE\n";

static bool say(int fd, const char *text)
{
	return peer_write(fd, text, strlen(text));
}

static bool refuse(const struct sasl_peer *p, int fd, const char *id)
{
	char line[128];
	if (p->pause_ms)
		usleep((useconds_t)p->pause_ms * 1000);
	snprintf(line, sizeof line, "FAIL\t%s\tuser=known\n", id);
	return say(fd, line);
}

static bool accept_user(int fd, const char *id)
{
	char line[128];
	snprintf(line, sizeof line, "OK\t%s\tuser=known\n", id);
	return say(fd, line);
}

static bool ask(int fd, const char *id, const char *challenge)
{
	char line[128];
	snprintf(line, sizeof line, "CONT\t%s\t%s\n", id, challenge);
	return say(fd, line);
}

/* AUTH and its fields. */
static bool on_auth(const struct sasl_peer *p, int fd, const char *id, const char *mechanism, const char *fields)
{
	const char *initial = strstr(fields, "\tresp=");
	char line[512];
	if (p->answer) {
		snprintf(line, sizeof line, "%s", p->answer);
		char *mark = strstr(line, "%s");
		if (mark)
			snprintf(mark, sizeof line - (size_t)(mark - line), "%s%s", id, strstr(p->answer, "%s") + 2);
		return say(fd, line);
	}
	if (strcmp(mechanism, "LOGIN") == 0)
		return ask(fd, id, initial ? "UGFzc3dvcmQ6" : "VXNlcm5hbWU6");
	if (!initial)
		return ask(fd, id, "");
	return strcmp(initial + 6, SASL_PLAIN_RIGHT) == 0 ? accept_user(fd, id) : refuse(p, fd, id);
}

/* CONT: PLAIN's one response, or LOGIN's two; who has sent "known" gets asked for more. */
static bool on_cont(const struct sasl_peer *p, int fd, const char *id, const char *response)
{
	if (strcmp(response, SASL_PLAIN_RIGHT) == 0 || strcmp(response, SASL_PASSWORD) == 0)
		return accept_user(fd, id);
	return strcmp(response, SASL_USER) == 0 ? ask(fd, id, "UGFzc3dvcmQ6") : refuse(p, fd, id);
}

void peer_serve_dovecot(void *ctx, int fd)
{
	static const struct sasl_peer plain = { 0 };
	const struct sasl_peer *p = ctx ? ctx : &plain;
	char *line = malloc(LINE_ROOM);
	size_t n;
	if (!line || !say(fd, p->hello ? p->hello : handshake)) {
		free(line);
		return;
	}
	while ((n = peer_read_to(fd, '\n', line, LINE_ROOM)) > 0) {
		char *rest = line;
		line[n - 1] = '\0';
		if (p->seen && strncmp(line, "AUTH\t", 5) == 0)
			snprintf(p->seen + strlen(p->seen), SASL_PEER_SEEN - strlen(p->seen), "%s\n", line);
		const char *word = strsep(&rest, "\t"), *id = rest ? strsep(&rest, "\t") : "";
		bool ok = true;
		if (strcmp(word, "AUTH") == 0 && rest) {
			const char *mechanism = strsep(&rest, "\t");
			char fields[LINE_ROOM / 2];
			snprintf(fields, sizeof fields, "\t%s", rest ? rest : "");
			ok = on_auth(p, fd, id, mechanism, fields);
		} else if (strcmp(word, "CONT") == 0) {
			ok = on_cont(p, fd, id, rest ? rest : "");
		}
		if (!ok)
			break;
	}
	free(line);
}

/* A text with its length in front. */
static bool read_counted(int fd, char *text, size_t size)
{
	uint16_t n;
	if (!peer_read(fd, &n, sizeof n) || (n = ntohs(n)) >= size || (n > 0 && !peer_read(fd, text, n)))
		return false;
	text[n] = '\0';
	return true;
}

void peer_serve_saslauthd(void *ctx, int fd)
{
	char user[1024], password[1024], rest[1024];
	(void)ctx;
	if (!read_counted(fd, user, sizeof user) || !read_counted(fd, password, sizeof password) || !read_counted(fd, rest, sizeof rest) ||
	    !read_counted(fd, rest, sizeof rest))
		return;
	bool right = strcmp(user, "known") == 0 && strcmp(password, "secret") == 0;
	(void)peer_write(fd, right ? "\0\2OK" : "\0\2NO", 4);
}
