/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transports/smtp/smtp.h"

enum { GROUP_BYTES = 8 * 1024, PIECE = 128 * 1024, MEMORY_MAX = 1024 * 1024 };

enum step { STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_DOT };

static const struct {
	const char *doing, *command; /* for "lost connection … while", and "in reply to …" */
	size_t timeout;              /* in struct smtp_config */
} steps[] = {
	[STEP_RSET] = { "sending RSET", "RSET command", offsetof(struct smtp_config, rset_timeout) },
	[STEP_MAIL] = { "sending MAIL FROM", "MAIL FROM command", offsetof(struct smtp_config, mail_timeout) },
	[STEP_RCPT] = { "sending RCPT TO", "RCPT TO command", offsetof(struct smtp_config, rcpt_timeout) },
	[STEP_DATA] = { "sending DATA command", "DATA command", offsetof(struct smtp_config, data_init_timeout) },
	[STEP_DOT] = { "sending end of data -- message may be sent more than once", "end of DATA command",
		       offsetof(struct smtp_config, data_done_timeout) },
};

struct talk { /* one transaction */
	struct job *j, *began; /* its job; the one that the session was taken for */
	struct session *s;
	uint32_t *list, n;  /* the recipients that are left at its start */
	uint32_t accepted;  /* of them, by the server */
	struct text body;   /* the message as it goes out, when it is in memory */
	uint64_t wire_size; /* about, for SIZE= */
	bool as_it_is;      /* the message is stored as it goes out, and that is its size */
	struct text out;    /* commands to be written */
	uint32_t ahead;     /* so many commands went out with the message before */
	bool probe;         /* nothing is sent behind the recipients */
	bool mail_refused;  /* nothing that follows counts */
	bool answered;      /* the server has said something in this transaction */
	bool go_ahead;      /* 354 */
	struct reply reply; /* the last one */
	enum step step;     /* of the command whose reply was read last */
	struct talk *follower; /* its first commands went out behind this one's final dot (RFC 2920 3.1) */
};

static int64_t deadline_of(const struct talk *t, enum step step)
{
	int64_t timeout;
	memcpy(&timeout, (const char *)t->j->smtp->config + steps[step].timeout, sizeof timeout);
	return smtp_host->now() + timeout;
}

static enum reply_state stream_reply(enum stream_state state)
{
	return state == STREAM_OK ? REPLY_OK : state == STREAM_TIMEOUT ? REPLY_TIMEOUT : REPLY_LOST;
}

/* ---- the message as it goes out --------------------------------------------------------------------------------------- */

static struct wire new_wire(const struct job *j)
{
	return (struct wire){ .line_limit = (size_t)j->smtp->config->line_limit };
}

/* A message in memory is made ready at once, so that it leaves in one write and its size is known. */
static void prepare_body(struct talk *t)
{
	uint64_t size = 0;
	const char *content = smtp_host->content(t->j->d, &size);
	t->as_it_is = !content && smtp_host->content_wire_size(t->j->d, (uint64_t)t->j->smtp->config->line_limit, &t->wire_size);
	if (t->as_it_is)
		return;
	t->wire_size = t->j->d->content_size + t->j->d->content_size / 32;
	if (!content || size > MEMORY_MAX)
		return;
	struct wire w = new_wire(t->j);
	text_reserve_wire(&t->body, size);
	wire_put(&w, &t->body, content, size);
	t->wire_size = t->body.len;
	wire_end(&w, &t->body);
}

/* ---- what this server cannot take ---------------------------------------------------------------------------------------- */

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Does the envelope or the header hold anything that only SMTPUTF8 can carry? */
static bool needs_utf8(const struct job *j)
{
	char piece[4096];
	int64_t n;
	char before = '\n';
	if (!is_ascii(j->d->sender))
		return true;
	for (uint32_t i = 0; i < j->d->nrcpts; i++)
		if (!is_ascii(j->d->rcpts[i].address))
			return true;
	for (uint64_t at = 0; (n = smtp_host->content_read(j->d, at, piece, sizeof piece)) > 0; at += (uint64_t)n)
		for (int64_t i = 0; i < n; before = piece[i++]) {
			if ((unsigned char)piece[i] >= 0x80)
				return true;
			if (piece[i] == '\n' && before == '\n')
				return false;
		}
	return false;
}

/* False: the message does not go there; the recipients have their outcome. */
static bool acceptable(struct talk *t)
{
	char text[900];
	const char *dsn;
	if (t->j->d->flags & OST_MSG_SMTPUTF8 && !(t->s->can & CAN_SMTPUTF8) && needs_utf8(t->j)) {
		snprintf(text, sizeof text, "SMTPUTF8 is required, but was not offered by host %s", t->s->name);
		dsn = "5.6.7";
	} else if (t->s->size_limit > 0 && t->wire_size > t->s->size_limit) {
		snprintf(text, sizeof text, "message size %llu exceeds size limit %llu of server %s",
			 (unsigned long long)t->wire_size, (unsigned long long)t->s->size_limit, t->s->name);
		dsn = "5.3.4";
	} else {
		return true;
	}
	outcome_all(t->j, t->s, &(struct outcome_text){ .status = OST_BOUNCED, .dsn = dsn, .text = text });
	return false;
}

/* ---- the envelope: RSET MAIL RCPT … DATA ------------------------------------------------------------------------------- */

/* Command number `at` of the transaction; at 0 is a RSET that may not be needed. */
static enum step step_of(const struct talk *t, uint32_t at)
{
	return at == 0 ? STEP_RSET : at == 1 ? STEP_MAIL : at < t->n + 2 ? STEP_RCPT : STEP_DATA;
}

/* Behind the last command of the envelope. */
static uint32_t envelope_end(const struct talk *t)
{
	return t->n + (t->probe ? 2 : 3);
}

static void put_command(struct talk *t, uint32_t at)
{
	switch (step_of(t, at)) {
	case STEP_RSET:
		text_puts(&t->out, "RSET\r\n");
		break;
	case STEP_MAIL:
		put_mail(&t->out, t->j, t->s, t->wire_size);
		break;
	case STEP_RCPT:
		put_rcpt(&t->out, t->j, t->s, t->list[at - 2]);
		break;
	default:
		text_puts(&t->out, "DATA\r\n");
	}
}

/* What the reply to command `at` changes. */
static void take_reply(struct talk *t, uint32_t at)
{
	bool good = t->reply.code / 100 == 2;
	if (t->reply.code == 421 && step_of(t, at) != STEP_RSET) { /* the end of the session, whatever it answers */
		t->s->good = false;
		outcome_said_all(t->j, t->s, &t->reply, steps[step_of(t, at)].command);
		return;
	}
	switch (step_of(t, at)) {
	case STEP_RSET:
		t->s->good &= good;
		break;
	case STEP_MAIL:
		t->s->dirty = true;
		t->mail_refused = !good;
		if (!good)
			outcome_said_all(t->j, t->s, &t->reply, steps[STEP_MAIL].command);
		break;
	case STEP_RCPT:
		t->j->rcpts[t->list[at - 2]].accepted = good && !t->mail_refused;
		t->accepted += good && !t->mail_refused;
		if (!good && !t->mail_refused)
			outcome_said(t->j, t->s, t->list[at - 2], &t->reply, steps[STEP_RCPT].command);
		else if (good && t->probe)
			outcome_set(t->j, t->s, t->list[at - 2], &(struct outcome_text){ .status = OST_SENT, .dsn = t->reply.dsn,
											 .text = t->reply.text, .reply = &t->reply });
		break;
	default:
		t->go_ahead = t->reply.code == 354;
		if (!t->go_ahead && t->accepted > 0)
			outcome_said_all(t->j, t->s, &t->reply, steps[STEP_DATA].command);
	}
}

/* Sends commands from `from` on, as many as may go together; answers how many. */
static uint32_t put_group(struct talk *t, uint32_t from)
{
	uint32_t at = from;
	t->out.len = 0;
	do
		put_command(t, at++);
	while (at < envelope_end(t) && t->s->can & CAN_PIPELINING && t->out.len < GROUP_BYTES);
	return at - from;
}

/* Sends commands from `at` on; *group is how many. Those that went out ahead are not sent again. */
static enum reply_state send_group(struct talk *t, uint32_t at, uint32_t *group)
{
	t->step = step_of(t, at);
	*group = t->ahead;
	t->ahead = 0;
	if (*group > 0)
		return REPLY_OK;
	*group = put_group(t, at);
	return stream_reply(stream_write(&t->s->stream, t->out.data, t->out.len, deadline_of(t, t->step), false));
}

/* Says everything up to DATA. REPLY_OK: all replies are in, t->go_ahead and t->accepted tell what they came to. */
static enum reply_state say_envelope(struct talk *t)
{
	uint32_t at = t->s->dirty && t->ahead == 0 ? 0 : 1;
	while (at < envelope_end(t) && t->s->good && !t->mail_refused && !(step_of(t, at) == STEP_DATA && t->accepted == 0)) {
		uint32_t group;
		enum reply_state state = send_group(t, at, &group);
		for (; state == REPLY_OK && t->s->good && group > 0; group--, at++) {
			t->step = step_of(t, at);
			state = reply_read(&t->s->stream, &t->reply, deadline_of(t, t->step), NULL, NULL);
			if (state == REPLY_OK) {
				t->answered = true;
				take_reply(t, at);
			}
		}
		if (state == REPLY_OK && t->s->good && stream_unread(&t->s->stream))
			state = REPLY_MALFORMED; /* more replies than commands: whom they answer cannot be known */
		if (state != REPLY_OK)
			return state;
	}
	return REPLY_OK;
}

/* ---- which message comes next ------------------------------------------------------------------------------------------ */

static struct talk *talk_new(struct job *j, struct session *s, struct job *began)
{
	struct talk *t = calloc(1, sizeof *t);
	uint32_t *list = calloc(j->d->nrcpts, sizeof *list);
	if (!t || !list)
		abort();
	*t = (struct talk){ .j = j, .began = began, .s = s, .probe = j->d->flags & OST_MSG_PROBE, .list = list, .out = text_take(s), .body = text_take(s) };
	for (uint32_t i = 0; i < j->d->nrcpts; i++)
		if (j->rcpts[i].state == RCPT_LEFT) {
			j->rcpts[i].accepted = false;
			t->list[t->n++] = i;
		}
	prepare_body(t);
	return t;
}

static void talk_free(struct talk **tp)
{
	struct talk *t = *tp;
	text_give(t->s, &t->out);
	text_give(t->s, &t->body);
	free(t->list);
	free(t);
	*tp = NULL;
}

/* Nothing but the reply to the final dot is left to do for this message, nothing at all for those before. */
static bool may_take_along(const struct talk *t)
{
	const struct job *began = t->began;
	return !began->alone && !began->waiting && (t->j == began || began->left == 0) && t->accepted == t->j->left &&
	       t->s->can & CAN_PIPELINING && cache_worth_keeping(t->j->smtp, t->s, smtp_host->now());
}

/* The next message for the same next hop, its first commands in ->out; NULL: none. */
static struct talk *find_follower(struct talk *t)
{
	struct ost_delivery *d;
	while (may_take_along(t) && (d = smtp_host->next(t->j->d))) {
		struct job *j = job_begin(t->j->smtp, d);
		struct talk *f = j->left > 0 ? talk_new(j, t->s, t->began) : NULL;
		if (f && acceptable(f)) {
			f->ahead = put_group(f, 1);
			return f;
		}
		if (f)
			talk_free(&f);
		job_end(&j);
	}
	return NULL;
}

/* ---- the message ------------------------------------------------------------------------------------------------------- */

static enum reply_state send_piece(struct talk *t, const char *p, size_t n)
{
	return stream_reply(stream_write(&t->s->stream, p, n, t->j->smtp->config->data_xfer_timeout, true));
}

/* Sends a message that is stored as it goes out. False: it could not be read, or is not what was stored. */
static bool send_as_it_is(struct talk *t, enum reply_state *state)
{
	const char *piece;
	uint64_t at = 0;
	int64_t n = 0;
	*state = REPLY_OK;
	while (*state == REPLY_OK && at < t->wire_size && (n = smtp_host->content_wire(t->j->d, at, &piece)) > 0) {
		at += (uint64_t)n;
		*state = send_piece(t, piece, (size_t)n);
	}
	text_puts(&t->body, ".\r\n");
	return n >= 0 && (*state != REPLY_OK || at == t->wire_size);
}

/* Sends a message piece by piece. False: it could not be read. */
static bool send_pieces(struct talk *t, enum reply_state *state)
{
	struct wire w = new_wire(t->j);
	uint64_t at = 0;
	char piece[PIECE];
	int64_t n = 0;
	*state = REPLY_OK;
	while (*state == REPLY_OK && (n = smtp_host->content_read(t->j->d, at, piece, PIECE)) > 0) {
		at += (uint64_t)n;
		t->body.len = 0;
		wire_put(&w, &t->body, piece, (size_t)n);
		*state = send_piece(t, t->body.data, t->body.len);
	}
	t->body.len = 0;
	if (*state == REPLY_OK && n == 0)
		wire_end(&w, &t->body);
	return n >= 0 && (*state != REPLY_OK || at == t->j->d->content_size);
}

/* For those that the server has accepted. */
static void outcome_accepted(struct talk *t, const struct outcome_text *o)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->j->rcpts[t->list[i]].accepted)
			outcome_set(t->j, t->s, t->list[i], o);
}

/* The reply to the final dot. */
static void conclude(struct talk *t)
{
	t->s->dirty = false;
	if (t->reply.code == 421 || (!t->follower && stream_unread(&t->s->stream)))
		t->s->good = false;
	if (t->reply.code / 100 == 2) {
		uint32_t flags = t->s->can & CAN_DSN ? OST_REPORT_DSN_PASSED_ON : OST_REPORT_RELAYED_NO_DSN;
		outcome_accepted(t, &(struct outcome_text){ .status = OST_SENT, .dsn = t->reply.dsn, .text = t->reply.text,
							    .reply = &t->reply, .flags = flags });
		return;
	}
	for (uint32_t i = 0; i < t->n; i++)
		if (t->j->rcpts[t->list[i]].accepted)
			outcome_said(t->j, t->s, t->list[i], &t->reply, steps[STEP_DOT].command);
}

static void send_message(struct talk *t)
{
	const struct smtp_config *c = t->j->smtp->config;
	enum reply_state state = REPLY_OK;
	if (t->body.len == 0 && !(t->as_it_is ? send_as_it_is : send_pieces)(t, &state)) {
		t->s->good = false; /* without the final dot, the server forgets it all */
		outcome_accepted(t, &(struct outcome_text){ .status = OST_DEFERRED, .dsn = "4.3.0",
							    .text = "the message cannot be read from the spool" });
		return;
	}
	if (state == REPLY_OK && (t->follower = find_follower(t)))
		text_add(&t->body, t->follower->out.data, t->follower->out.len);
	if (state == REPLY_OK)
		state = stream_reply(
			stream_write(&t->s->stream, t->body.data, t->body.len, c->data_xfer_timeout, true));
	if (state != REPLY_OK) {
		outcome_broken(t->j, t->s, state, "sending message body");
		return;
	}
	state = reply_read(&t->s->stream, &t->reply, deadline_of(t, STEP_DOT), NULL, NULL);
	if (state != REPLY_OK)
		outcome_broken(t->j, t->s, state, steps[STEP_DOT].doing);
	else
		conclude(t);
}

/* DATA was granted although no recipient was: an empty message ends it. */
static void send_nothing(struct talk *t)
{
	struct reply r;
	if (session_command(t->j->smtp, t->s, ".\r\n", t->j->smtp->config->data_done_timeout, &r, NULL, NULL) != REPLY_OK ||
	    r.code == 421)
		t->s->good = false;
	t->s->dirty = true;
}

/* One message: its envelope, unless that is under way, and its text. */
static enum transacted talk_through(struct talk *t)
{
	struct session *s = t->s;
	if (!s->good) /* what it said ahead was in vain */
		return TRANSACT_STALE;
	s->uses++;
	if (t->ahead > 0)
		smtp_host->mark_connected(t->j->d);
	enum reply_state state = say_envelope(t);
	if ((state == REPLY_LOST && s->uses > 1 && !t->answered) || (!s->good && t->step == STEP_RSET)) {
		s->good = false;
		return TRANSACT_STALE;
	}
	if (state != REPLY_OK)
		outcome_broken(t->j, s, state, steps[t->step].doing);
	else if (t->go_ahead && t->accepted > 0)
		send_message(t);
	else if (t->go_ahead)
		send_nothing(t);
	return TRANSACTED;
}

/* What was taken along is through, or it waits until this session has been given back. */
static void follower_through(struct job *j, struct job *began)
{
	if (j->left == 0) {
		job_end(&j);
		return;
	}
	struct job **at = &began->waiting;
	while (*at)
		at = &(*at)->waiting;
	*at = j;
}

enum transacted transaction(struct job *j, struct session *s)
{
	struct talk *t = talk_new(j, s, j);
	enum transacted result = TRANSACTED;
	bool fits = acceptable(t);
	while (t) {
		enum transacted this = fits ? talk_through(t) : TRANSACTED;
		struct talk *follower = t->follower;
		if (t->j != j)
			follower_through(t->j, j);
		else if (j->left == 0)
			job_finish(j);
		else
			result = this;
		talk_free(&t);
		t = follower;
	}
	return result;
}
