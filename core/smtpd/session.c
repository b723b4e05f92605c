/* SPDX-License-Identifier: Apache-2.0
 * The life of a session: greeting, waiting, reading, writing, ending. */
#include "smtpd/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "smtpd/limits.h"
#include "smtpd/restrict.h"

enum { LARGE = 256 * 1024 }; /* a message that is so large already is read in larger pieces */
#define LINGER_TIME (2 * CLOCK_SECOND) /* so long words that cross a 421 are thrown away, that the client reads the 421 */

struct session *session_new(struct server *srv, int fd, const struct sockaddr *from)
{
	CHECK_MAGIC(srv, SERVER_MAGIC);
	struct session *s = MEM_NEW(struct session);
	s->magic = SESSION_MAGIC;
	s->server = srv;
	s->fd = fd;
	s->mode = MODE_CONNECT;
	s->arena = arena_new();
	s->where = "CONNECT";
	peer_lookup(s, from);
	if (srv->waiter)
		s->wait = waiter_add(srv->waiter, fd, s);
	atomic_fetch_add(&srv->sessions, 1);
	return s;
}

void session_transaction_begin(struct session *s)
{
	struct arena *a = arena_new();
	s->tx = ARENA_NEW(a, struct transaction);
	s->tx->arena = a;
	s->tx->arrival = clock_utc();
}

void session_reset_transaction(struct session *s)
{
	struct transaction *tx = s->tx;
	s->overshoot = 0;
	s->checked_rcpt = NULL;
	if (!tx)
		return;
	if (tx->cleanup)
		cleanup_abandon(tx->cleanup);
	spool_draft_discard(&tx->draft);
	buf_free(&tx->actions.prepend);
	struct arena *a = tx->arena;
	s->tx = NULL;
	arena_destroy(&a);
}

void session_destroy(struct session **sp)
{
	struct session *s = *sp;
	if (!s)
		return;
	CHECK_MAGIC(s, SESSION_MAGIC);
	struct server *srv = s->server;
	session_reset_transaction(s);
	restrict_session_end(s);
	if (s->counted)
		srv->client_end(srv->client_ctx, limits_key(s));
	if (srv->waiter)
		waiter_remove_closing(srv->waiter, &s->wait);
	close(s->fd);
	free(s->helo);
	input_free(&s->in);
	buf_free(&s->out);
	verdict_free(&s->verdict);
	arena_destroy(&s->arena);
	atomic_fetch_sub(&srv->sessions, 1);
	s->magic = 0;
	free(s);
	*sp = NULL;
}

/* The end, with its log line. */
static void end(struct session *s)
{
	struct buf counts = BUF_INIT;
	command_counts(s, &counts);
	log_info("disconnect from %s%s", s->peer.namaddr, buf_str(&counts));
	buf_free(&counts);
	session_destroy(&s);
}

/* Where the session was, for "lost connection after …": within DATA with the bytes that came. */
static const char *after(const struct session *s, char text[64])
{
	if (s->mode != MODE_DATA)
		return s->where;
	snprintf(text, 64, "%s (%llu bytes)", s->where, (unsigned long long)s->tx->scan.bytes);
	return text;
}

void session_finish(struct session *s)
{
	s->mode = MODE_CLOSING;
}

void session_renew_deadline(struct session *s)
{
	s->deadline = clock_mono() + server_limits(s->server)->timeout;
}

enum io { IO_DONE, IO_WAIT, IO_LOST };

/* Sends what is queued. */
static enum io flush(struct session *s)
{
	size_t sent = 0;
	/* The answer to QUIT leaves together with the end of the connection, unless unread input would cut both off. */
	int more = s->mode == MODE_CLOSING && s->quit && s->in.drained && input_unread(&s->in) == 0 ? MSG_MORE : 0;
	while (sent < s->out.len) {
		ssize_t n = send(s->fd, s->out.data + sent, s->out.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT | more);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return IO_LOST;
		if (n < 0) {
			buf_consume(&s->out, sent);
			return IO_WAIT;
		}
		sent += (size_t)n;
	}
	buf_reset(&s->out);
	return IO_DONE;
}

/* Reads more. A read that took all there was is not tried again before the session has waited. */
static enum io fill(struct session *s)
{
	size_t n, room = s->mode == MODE_DATA && s->tx->scan.bytes >= LARGE ? INPUT_ROOM : INPUT_USUAL;
	if (s->in.drained)
		return IO_WAIT;
	switch (input_read(&s->in, s->fd, room, &n)) {
	case INPUT_NONE_YET:
		return IO_WAIT;
	case INPUT_END:
		return IO_LOST;
	case INPUT_SOME:
		break;
	}
	if (!server_limits(s->server)->per_request)
		session_renew_deadline(s);
	else if (s->mode == MODE_DATA)
		s->deadline += (int64_t)n * CLOCK_SECOND / s->server->min_data_rate;
	return IO_DONE;
}

/* Hands the session over to the waiter; buffers that hold nothing are given back. */
static void park(struct session *s, enum wait_for want, int64_t deadline)
{
	input_keep(&s->in);
	if (s->out.len == 0)
		buf_free(&s->out);
	verdict_free(&s->verdict);
	waiter_park(s->server->waiter, s->wait, want, deadline);
}

/* For the client's next words. */
static void park_to_read(struct session *s)
{
	park(s, s->in.drained ? WAIT_READ | WAIT_NEWS : WAIT_READ, s->deadline);
}

/* The client did not answer in time. */
static void timed_out(struct session *s)
{
	char text[64];
	if (s->mode == MODE_LINGER) {
		end(s);
		return;
	}
	log_info("timeout after %s from %s", after(s, text), s->peer.namaddr);
	if (s->out.len == 0) {
		reply(s, "421 4.4.2 %s Error: timeout exceeded", s->server->myhostname);
		(void)flush(s);
	}
	end(s);
}

static void lost(struct session *s)
{
	char text[64];
	bool after_message = s->mode == MODE_COMMAND && strcmp(s->where, "END-OF-MESSAGE") == 0; /* as good as a QUIT */
	if (s->mode != MODE_CLOSING && s->mode != MODE_LINGER && !after_message)
		log_info("lost connection after %s from %s", after(s, text), s->peer.namaddr);
	end(s);
}

/* After each command and reply: too many errors, sleeping, 421. */
static void after_step(struct session *s)
{
	if (s->mode != MODE_COMMAND)
		return;
	const struct limits *limits = server_limits(s->server);
	if (s->errors >= limits->hard_error_limit) {
		log_info("too many errors after %s from %s", s->where, s->peer.namaddr);
		reply(s, "421 4.7.0 %s Error: too many errors", s->server->myhostname);
		session_finish(s);
	}
	if (s->errors >= s->server->soft_error_limit && s->server->error_sleep > 0)
		s->sleep_until = clock_mono() + s->server->error_sleep;
	if (s->disconnect)
		session_finish(s);
}

/* A new generation serves: a client between transactions is told to come again. */
static bool told_to_leave(struct session *s)
{
	if (!atomic_load(&s->server->retiring) || s->mode != MODE_COMMAND || s->tx || input_unread(&s->in))
		return false;
	reply(s, "421 4.3.2 %s Error: service is being restarted", s->server->myhostname);
	session_finish(s);
	s->linger = true;
	return true;
}

/* The last reply is sent. Input that is not read would make the system cut the connection before the client has seen it. */
static void close_or_linger(struct session *s)
{
	if (!s->linger || shutdown(s->fd, SHUT_WR) < 0) {
		end(s);
		return;
	}
	s->mode = MODE_LINGER;
	s->deadline = clock_mono() + LINGER_TIME;
	park(s, WAIT_READ, s->deadline);
}

/* Is there something that can be done without waiting? *gone: the session has been handed on. */
static bool step(struct session *s, bool *gone)
{
	*gone = false;
	switch (s->mode) {
	case MODE_CONNECT:
		command_greet(s);
		after_step(s);
		session_renew_deadline(s);
		return true;
	case MODE_COMMAND:
		if (!line_run(s))
			return false;
		after_step(s);
		session_renew_deadline(s);
		return true;
	case MODE_DATA:
		if (!data_eat(s))
			return false;
		*gone = data_commit(s);
		if (!*gone)
			after_step(s);
		return true;
	case MODE_LINGER:
		s->in.at = s->in.len;
		break;
	case MODE_COMMIT:
	case MODE_CLOSING:
		break;
	}
	return false;
}

/* Sends all that is queued; false: the session has been handed on, until the client reads, or is over. */
static bool sent_all(struct session *s)
{
	switch (flush(s)) {
	case IO_WAIT:
		park(s, WAIT_WRITE, s->deadline);
		return false;
	case IO_LOST:
		lost(s);
		return false;
	case IO_DONE:
		break;
	}
	return true;
}

/* Flushes, then ends, or reads more, or parks when there is nothing to read or read is false. Answers true when there is
 * new input. */
static bool wait_for_client(struct session *s, bool read)
{
	if (!sent_all(s))
		return false;
	if (s->mode == MODE_CLOSING) {
		close_or_linger(s);
		return false;
	}
	switch (read ? fill(s) : IO_WAIT) {
	case IO_WAIT:
		if (read && told_to_leave(s))
			return true;
		park_to_read(s);
		return false;
	case IO_LOST:
		lost(s);
		return false;
	case IO_DONE:
		break;
	}
	return true;
}

void session_resume(struct session *s)
{
	s->mode = MODE_COMMAND;
	after_step(s);
	session_renew_deadline(s);
	if (input_unread(&s->in) || s->sleep_until) { /* work for a pool thread */
		waiter_wake(s->server->waiter, s->wait);
		park(s, WAIT_NOTHING, CLOCK_NEVER);
		return;
	}
	(void)wait_for_client(s, false);
}

/* The pause before a reply: is it over? false: the session has been handed on. */
static bool pause_over(struct session *s)
{
	if (s->sleep_until > clock_mono()) {
		park(s, WAIT_NOTHING, s->sleep_until);
		return false;
	}
	s->sleep_until = 0;
	session_renew_deadline(s);
	return sent_all(s);
}

void session_work(struct session *s, enum wait_why why)
{
	CHECK_MAGIC(s, SESSION_MAGIC);
	char room[INPUT_ROOM];
	if (why == WAITED_DEADLINE && !s->sleep_until) {
		timed_out(s);
		return;
	}
	if (why == WAITED_WAKE)
		told_to_leave(s);
	input_lend(&s->in, room);
	s->in.drained = s->mode == MODE_CONNECT; /* it has nothing to say before its greeting; the first wait looks anyway */
	for (;;) {
		bool gone;
		if (s->sleep_until && !pause_over(s))
			return;
		if (step(s, &gone)) {
			if (gone)
				return;
		} else if (!wait_for_client(s, true)) {
			return;
		}
	}
}
