/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/smtpd/stage.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/tlv.h"
#include "smtpd/restrict.h"
#include "spool/spool.h"

static void count_hint(void *ctx, const void *hint, size_t len)
{
	struct stage *st = ctx;
	struct tlv_reader r = tlv_read(hint, len);
	struct hint_batch batch = { 0 };
	struct hint_message m;
	st->hints++;
	for (struct tlv f; tlv_next(&r, &f);) {
		if (f.type == HINT_BATCH) {
			memcpy(&batch, f.data, sizeof batch);
			continue;
		}
		memcpy(&m, f.data, sizeof m);
		st->last = (struct ticket){ .home = f.type == HINT_FILE ? TICKET_FILE : TICKET_JOURNAL, .serial = m.serial,
					    .number = batch.number, .length = m.length, .at = m.at, .salt = batch.salt };
	}
}

void stage_open(struct stage *st, const char *main_cf)
{
	memset(st, 0, sizeof *st);
	fixture_open(&st->fix, main_cf, NULL);
	stage_serve(st);
}

void stage_serve(struct stage *st)
{
	struct ost_why why = { "" };
	struct spool_options options = { .segment_size = 1 << 20, .segment_count = 4 };
	restrict_install_host();
	snprintf(st->spool_path, sizeof st->spool_path, "%s/spool", st->fix.dir);
	st->server = server_open(st->fix.view, st->fix.config, NULL, &why);
	if (!st->server || !spool_create(st->spool_path, &why) ||
	    !(st->server->spool = spool_open(st->spool_path, &options, &why)) ||
	    !(st->server->writer = spool_writer_open(st->server->spool, count_hint, st, &why))) {
		fprintf(stderr, "stage: %s\n", why.text);
		abort();
	}
	st->server->waiter = waiter_new();
}

void stage_close(struct stage *st)
{
	struct server *srv = st->server;
	assert(atomic_load(&srv->sessions) == 0);
	struct waiter *w = srv->waiter;
	struct spool_writer *writer = srv->writer;
	struct spool *spool = srv->spool;
	server_close(&st->server);
	spool_writer_close(&writer);
	spool_close(&spool);
	waiter_destroy(&w);
	fixture_close(&st->fix);
}

void stage_run(struct stage *st)
{
	void *owner;
	for (enum wait_why why; (why = waiter_take(st->server->waiter, 0, &owner)) != WAITED_NOTHING;)
		session_work(owner, why);
}

/* All that there is to read. */
static const char *client_read(struct client *c)
{
	size_t at = 0;
	ssize_t n;
	while ((n = recv(c->fd, c->text + at, sizeof c->text - at - 1, MSG_DONTWAIT)) > 0)
		at += (size_t)n;
	if (n == 0)
		at += (size_t)snprintf(c->text + at, sizeof c->text - at, "(closed)");
	c->text[at] = '\0';
	return c->text;
}

struct client *client_new(struct stage *st)
{
	struct client *c = MEM_NEW(struct client);
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(4000), .sin_addr.s_addr = htonl(0xc0000201) };
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		abort();
	c->fd = pair[1];
	c->stage = st;
	session_work(session_new(st->server, pair[0], (struct sockaddr *)&from), WAITED_IO);
	stage_run(st);
	client_read(c);
	return c;
}

void client_free(struct client **cp)
{
	struct client *c = *cp;
	close(c->fd);
	stage_run(c->stage);
	free(c);
	*cp = NULL;
}

const char *client_send(struct client *c, const void *p, size_t n)
{
	if (n > 0 && send(c->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		return "(cannot send)";
	stage_run(c->stage);
	return client_read(c);
}

const char *client_say(struct client *c, const char *text)
{
	return client_send(c, text, strlen(text));
}
