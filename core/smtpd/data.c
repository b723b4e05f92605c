/* SPDX-License-Identifier: Apache-2.0
 * DATA: from wire lines to stored lines, and storing the message.
 *
 * A chunk of input is rewritten in place (CRLF becomes LF, dots are unstuffed, stray CRs become spaces) and handed to the
 * cleanup in one piece. While a large message's body goes straight to its file, plain lines stay as they are on the wire: the rest
 * alone is rewritten, in the same way. Only CRLF "." CRLF ends the message (RFC 5321 4.1.1.4), unless the client is excluded from
 * smtpd_forbid_bare_newline. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/received.h"
#include "mail/wireform.h"
#include "smtpd/command.h"
#include "smtpd/restrict.h"

enum { LINE_KEEP = 4096 }; /* a line that is not over is kept back until it is so long */
/* A client that goes on sending beyond this many times the size limit is not listened to any longer. */
enum { OVERSHOOT_FACTOR = 4, OVERSHOOT_BYTES = 64 << 20 };

/* The first header lines: what access tables prepend, and our own. */
static void own_headers(struct session *s)
{
	struct transaction *tx = s->tx;
	struct buf b = BUF_INIT;
	struct received r = { .helo = s->helo, .name = s->peer.name, .address = s->peer.address,
			      .by = s->server->myhostname, .mail_name = s->server->mail_name,
			      .protocol = s->protocol == PROTO_ESMTP ? "ESMTP" : "SMTP", .queue_id = tx->queue_id,
			      .recipient = tx->rcpts == 1 ? tx->first_rcpt : NULL, .when = tx->arrival };
	if (tx->actions.prepend.len)
		cleanup_own_header(tx->cleanup, tx->actions.prepend.data, tx->actions.prepend.len);
	received_smtp(&b, &r);
	cleanup_own_header(tx->cleanup, b.data, b.len);
	buf_free(&b);
}

void data_begin(struct session *s)
{
	struct transaction *tx = s->tx;
	tx->info = (struct cleanup_info){ .queue_id = tx->queue_id, .sender = tx->sender, .arrival = tx->arrival,
					  .add_missing = s->local_rewrite || s->server->add_missing_always };
	tx->cleanup = cleanup_begin(s->server->cleaner, tx->arena, tx->draft, &tx->info);
	tx->scan = (struct scanner){ .after_crlf = true };
	tx->status = CLEANUP_OK;
	own_headers(s);
	s->mode = MODE_DATA;
}

/* A CR inside a line could be taken for a line end elsewhere. */
static void replace_stray_cr(const struct session *s, char *p, char *end)
{
	if (!s->server->keep_stray_cr)
		while ((p = memchr(p, '\r', (size_t)(end - p))))
			*p = ' ';
}

/* One line, line end included, moved to dst as it will be stored; answers the byte behind it. *over: it was the end. */
static char *take_line(struct session *s, char *dst, char *p, char *lf, bool *over)
{
	struct scanner *sc = &s->tx->scan;
	bool crlf = lf > p && lf[-1] == '\r';
	char *end = crlf ? lf - 1 : lf;
	sc->seen_bare_lf = sc->seen_bare_lf || !crlf;
	if (!sc->in_line && *p == '.') {
		p++;
		if (p == end) {
			*over = (crlf && sc->after_crlf) || s->bare_lf_excluded || s->server->bare_newline == BARE_ALLOW;
			sc->after_crlf = crlf;
			return dst;
		}
	}
	replace_stray_cr(s, p, end);
	size_t n = (size_t)(end - p);
	if (dst != p)
		memmove(dst, p, n);
	dst[n] = '\n';
	sc->in_line = false;
	sc->after_crlf = crlf;
	sc->size += n + 2;
	return dst + n + 1;
}

/* The beginning of a line that is too long to wait for its end: all but a CR that may belong to it. */
static char *take_part(struct session *s, char *dst, char *p, char *end)
{
	struct scanner *sc = &s->tx->scan;
	if (!sc->in_line && *p == '.')
		p++;
	replace_stray_cr(s, p, end);
	size_t n = (size_t)(end - p);
	memmove(dst, p, n);
	sc->in_line = true;
	sc->size += n;
	return dst + n;
}

/* smtpd_forbid_bare_newline = reject: the first bare LF ends the session. */
static bool refuse_bare_newline(struct session *s)
{
	struct transaction *tx = s->tx;
	if (!tx->scan.seen_bare_lf || s->bare_lf_excluded)
		return false;
	if (s->server->bare_newline == BARE_NOTE && !s->noted_bare_lf)
		log_info("%s: bare_lf after DATA from %s", tx->queue_id, s->peer.namaddr);
	s->noted_bare_lf = true;
	if (s->server->bare_newline != BARE_REJECT)
		return false;
	int code = s->server->bare_newline_code;
	log_info("reject: bare <LF> received after DATA (%llu bytes) from %s", (unsigned long long)tx->scan.bytes,
		 s->peer.namaddr);
	reply(s, "%d %s %s Error: bare <LF> received", code, code < 500 ? "4.5.2" : "5.5.2", s->server->myhostname);
	session_reset_transaction(s);
	session_finish(s);
	return true;
}

/* The size limit; a client that goes on for ever after it is cut off. Answers true when the session ends here. */
static bool check_size(struct session *s)
{
	struct transaction *tx = s->tx;
	uint64_t limit = s->server->message_limit;
	if (!limit || tx->scan.size <= limit)
		return false;
	if (tx->status == CLEANUP_OK)
		log_warning("%s: queue file size limit exceeded", tx->queue_id);
	tx->status = CLEANUP_TOO_BIG;
	if (tx->scan.bytes / OVERSHOOT_FACTOR <= limit || tx->scan.bytes - limit <= OVERSHOOT_BYTES)
		return false;
	log_info("message far too big after DATA (%llu bytes) from %s", (unsigned long long)tx->scan.bytes,
		 s->peer.namaddr);
	reply(s, "552 5.3.4 Error: message file too big");
	session_reset_transaction(s);
	session_finish(s);
	return true;
}

/* Hands over what was rewritten. */
static void put_lines(struct session *s, const char *from, const char *to)
{
	if (s->tx->status == CLEANUP_OK && to > from)
		cleanup_write(s->tx->cleanup, from, (size_t)(to - from));
}

/* Whole plain lines from p on, which begins one, as they are, behind what was rewritten before them (from … to); answers the byte
 * behind them, or p where there are none. */
static char *take_plain(struct session *s, const char *from, const char *to, char *p, const char *end)
{
	struct scanner *sc = &s->tx->scan;
	struct wire_tally tally = { 0 };
	size_t n = wire_plain_lines(&tally, p, (size_t)(end - p));
	if (n == 0)
		return p;
	put_lines(s, from, to);
	cleanup_write_wire(s->tx->cleanup, p, n, &tally);
	sc->after_crlf = true;
	sc->size += n;
	return p + n;
}

bool data_eat(struct session *s)
{
	struct transaction *tx = s->tx;
	char *start = input_start(&s->in), *end = s->in.data + s->in.len;
	char *base = start, *dst = start, *p = start; /* base … dst: rewritten, and not handed over yet */
	bool over = false, as_it_is = tx->status == CLEANUP_OK && cleanup_takes_wire(tx->cleanup);
	if (p == end)
		return false;
	while (p < end && !over) {
		char *behind = as_it_is ? take_plain(s, base, dst, p, end) : p;
		if (behind > p) {
			base = dst = p = behind;
			continue;
		}
		char *lf = memchr(p, '\n', (size_t)(end - p));
		if (lf) {
			dst = take_line(s, dst, p, lf, &over);
			p = lf + 1;
			continue;
		}
		if (end - p < LINE_KEEP)
			break;
		char *stop = end[-1] == '\r' ? end - 1 : end;
		dst = take_part(s, dst, p, stop);
		p = stop;
		break;
	}
	tx->scan.bytes += (uint64_t)(p - start);
	s->in.at = (size_t)(p - s->in.data);
	if (refuse_bare_newline(s) || check_size(s))
		return false;
	put_lines(s, base, dst);
	return over;
}

/* The message did not make it. */
static bool refuse(struct session *s, int code, const char *dsn, const char *text)
{
	reply(s, "%d %s %s", code, dsn, text);
	session_reset_transaction(s);
	s->errors++;
	s->mode = MODE_COMMAND;
	return false;
}

/* The answer to a message that the spool has, or could not take. From whichever thread the spool committed in. */
static void stored(void *ctx, enum spool_outcome outcome)
{
	struct session *s = ctx;
	if (outcome == SPOOL_STORED) {
		reply(s, "250 2.0.0 Ok: queued as %s", s->tx->queue_id);
		command_data_done(s);
	} else {
		bool full = outcome == SPOOL_NO_SPACE;
		log_warning("%s: %s", s->tx->queue_id, full ? "not enough space in the spool" : "queue file write error");
		refuse(s, full ? 452 : 451, full ? "4.3.1" : "4.3.0",
		       full ? "Insufficient system storage" : "Error: queue file write error");
	}
	session_reset_transaction(s);
	session_resume(s);
}

/* The envelope as the spool keeps it. */
static void fill_envelope(struct session *s, const char *message_id)
{
	struct transaction *tx = s->tx;
	struct spool_envelope *env = &tx->env;
	env->arrival = tx->arrival;
	env->sender = cleanup_rewrite_address(s->server->cleaner, tx->arena, tx->sender);
	env->flags = tx->flags | (tx->actions.hold ? MSG_HOLD : 0u);
	env->ret = tx->ret;
	env->envid = tx->envid;
	env->message_id = message_id;
	env->client = (struct spool_client){ .name = s->peer.name, .address = s->peer.address, .port = s->peer.port,
					     .proto = s->protocol == PROTO_ESMTP ? "ESMTP" : "SMTP",
					     .helo = s->helo, .reverse_name = s->peer.reverse_name };
	env->rewrite_context = s->local_rewrite ? "local" : "remote";
	env->content_filter = tx->actions.filter;
	env->redirect = tx->actions.redirect;
}

bool data_commit(struct session *s)
{
	struct transaction *tx = s->tx;
	const char *message_id;
	s->mode = MODE_COMMAND;
	s->where = "END-OF-MESSAGE";
	enum cleanup_status status = cleanup_finish(tx->cleanup, &message_id);
	tx->cleanup = NULL;
	if (tx->status != CLEANUP_OK)
		status = tx->status;
	log_info("%s: message-id=%s", tx->queue_id, message_id ? message_id : "<>");
	if (!restrict_end_of_data(s)) {
		reply_text(s, buf_str(&s->verdict.reply));
		session_reset_transaction(s);
		s->errors++;
		return false;
	}
	for (size_t i = 0; i < tx->actions.nbcc; i++)
		rcpt_set_add(tx->set, tx->actions.bcc[i], NULL, NOTIFY_NEVER);
	if (status == CLEANUP_OK)
		status = rcpt_set_finish(tx->set, &tx->env, tx->queue_id);
	if (status != CLEANUP_OK) {
		const struct cleanup_reply *r = cleanup_reply(status);
		return refuse(s, r->code, r->dsn, r->text);
	}
	if (tx->actions.discard) {
		reply(s, "250 2.0.0 Ok: queued as %s", tx->queue_id);
		command_data_done(s);
		session_reset_transaction(s);
		return false;
	}
	fill_envelope(s, message_id);
	s->mode = MODE_COMMIT;
	input_keep(&s->in); /* another thread may go on */
	/* Again: many may have come since MAIL was answered, and what is left belongs to the mail that is here. */
	if (s->server->spool && spool_has_room(s->server->spool, 0) == SPOOL_NO_SPACE) {
		spool_draft_discard(&tx->draft);
		stored(s, SPOOL_NO_SPACE);
		return true;
	}
	spool_draft_commit(&tx->draft, &tx->env, stored, s);
	return true; /* the session is another thread's by now, perhaps */
}
