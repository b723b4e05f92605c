/* SPDX-License-Identifier: Apache-2.0
 * What smtp-sink answers: the commands, the final dot, and the rules that change the answers. */
#include "sink.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define RCPTS_MAX     10000
#define SUBJECT_MAX   1024
#define GARBAGE_BYTES 4096

/* How a stage was answered. */
enum outcome {
	WELL,  /* as usual, or with another positive reply */
	BADLY, /* refused, or not answered at all */
	TAKEN, /* the message counts as received, though the client does not learn it */
};

static void put_text(struct sink_session *s, const char *text)
{
	sink_session_put(s, text, strlen(text));
}

static void put_garbage(struct sink_session *s)
{
	static const char start[] = "\377\376 no reply\r\n\r\n";
	char bytes[GARBAGE_BYTES];

	memset(bytes, 1, sizeof bytes);
	memcpy(bytes, start, sizeof start - 1);
	memcpy(bytes + sizeof bytes - 2, "\r\n", 2);
	sink_session_put(s, bytes, sizeof bytes);
}

static void close_hard(struct sink_session *s)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	s->closing = true;
}

/* Does what a rule says other than a reply. */
static void act(struct sink_session *s, enum sink_action action)
{
	switch (action) {
	case SINK_RESET:
		close_hard(s);
		break;
	case SINK_SILENT:
		s->silent = true;
		break;
	case SINK_GARBAGE:
		put_garbage(s);
		break;
	case SINK_ENDLESS:
		s->endless = true;
		break;
	case SINK_ANSWER:
	case SINK_CLOSE:
	case SINK_TAKE:
		s->closing = true;
		break;
	}
}

/* Queues the answer of a stage: the usual one, or what a rule says. */
static enum outcome answer(struct sink *k, struct sink_session *s, enum sink_stage stage, const char *subject,
			   const char *usual)
{
	struct sink_rule *rule = k->rules.n ? sink_rules_find(&k->rules, stage, subject) : NULL;

	if (k->rules.delay_ns[stage])
		sink_session_delay(k, s, k->rules.delay_ns[stage]);
	if (!rule) {
		put_text(s, usual);
		return WELL;
	}
	k->count.ruled++;
	if (rule->action != SINK_ANSWER) {
		act(s, rule->action);
		return rule->action == SINK_TAKE ? TAKEN : BADLY;
	}
	put_text(s, rule->text);
	put_text(s, "\r\n");
	if (strncmp(rule->text, "421", 3) == 0)
		s->closing = true;
	return rule->text[0] <= '3' ? WELL : BADLY;
}

static void reset_mail(struct sink_session *s)
{
	s->has_mail = false;
	s->rcpts = 0;
	s->rcpt_len = 0;
}

void sink_greet(struct sink *k, struct sink_session *s)
{
	char greeting[SINK_LINE_MAX + 32];

	reset_mail(s);
	snprintf(greeting, sizeof greeting, "220 %s ESMTP\r\n", k->hostname);
	answer(k, s, SINK_CONNECT, "", greeting);
}

/* What stands between the angle brackets, or the whole argument. */
static void subject_of(const char *arg, char out[SUBJECT_MAX])
{
	const char *open = strchr(arg, '<');
	const char *end = open ? strchr(open, '>') : NULL;

	if (end)
		snprintf(out, SUBJECT_MAX, "%.*s", (int)(end - open - 1), open + 1);
	else
		snprintf(out, SUBJECT_MAX, "%s", arg);
}

static void do_ehlo(struct sink *k, struct sink_session *s, const char *arg)
{
	char text[1024];
	int n = snprintf(text, sizeof text,
			 "250-%s\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n", k->hostname);

	for (unsigned i = 0; i < k->keywords; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "250-%s\r\n", k->keyword[i]);
	snprintf(text + n, sizeof text - (size_t)n, "250 ENHANCEDSTATUSCODES\r\n");
	reset_mail(s);
	answer(k, s, SINK_HELO, arg, text);
}

static void do_helo(struct sink *k, struct sink_session *s, const char *arg)
{
	char text[SINK_LINE_MAX + 32];

	snprintf(text, sizeof text, "250 %s\r\n", k->hostname);
	reset_mail(s);
	answer(k, s, SINK_HELO, arg, text);
}

static void do_mail(struct sink *k, struct sink_session *s, const char *arg)
{
	char subject[SUBJECT_MAX];

	subject_of(arg, subject);
	if (s->has_mail)
		put_text(s, "503 5.5.1 Nested MAIL\r\n");
	else
		s->has_mail = answer(k, s, SINK_MAIL, subject, "250 2.1.0 Ok\r\n") == WELL;
}

static void keep_rcpt(struct sink_session *s, const char *subject)
{
	size_t n = strlen(subject) + 1;

	if (s->rcpt_len + n > s->rcpt_size) {
		s->rcpt_size = 2 * (s->rcpt_len + n);
		s->rcpt = bench_realloc(s->rcpt, s->rcpt_size);
	}
	memcpy(s->rcpt + s->rcpt_len, subject, n);
	s->rcpt_len += n;
}

static void do_rcpt(struct sink *k, struct sink_session *s, const char *arg)
{
	char subject[SUBJECT_MAX];

	subject_of(arg, subject);
	if (!s->has_mail) {
		put_text(s, "503 5.5.1 Need MAIL\r\n");
	} else if (s->rcpts >= RCPTS_MAX) {
		put_text(s, "452 4.5.3 Too many recipients\r\n");
	} else if (answer(k, s, SINK_RCPT, subject, "250 2.1.5 Ok\r\n") == WELL) {
		s->rcpts++;
		if (k->ledger.fd >= 0)
			keep_rcpt(s, subject);
	}
}

static void do_data(struct sink *k, struct sink_session *s, const char *arg)
{
	(void)arg;
	if (s->rcpts == 0) {
		put_text(s, "554 5.5.1 No valid recipients\r\n");
		return;
	}
	s->in_text = answer(k, s, SINK_DATA, "", "354 End data with <CR><LF>.<CR><LF>\r\n") == WELL;
	sink_text_start(&s->text);
}

static void do_rset(struct sink *k, struct sink_session *s, const char *arg)
{
	(void)arg;
	reset_mail(s);
	answer(k, s, SINK_RSET, "", "250 2.0.0 Ok\r\n");
}

static void do_noop(struct sink *k, struct sink_session *s, const char *arg)
{
	(void)k;
	(void)arg;
	put_text(s, "250 2.0.0 Ok\r\n");
}

static void do_vrfy(struct sink *k, struct sink_session *s, const char *arg)
{
	(void)k;
	(void)arg;
	put_text(s, "252 2.0.0 Send some mail, I'll see\r\n");
}

static void do_quit(struct sink *k, struct sink_session *s, const char *arg)
{
	(void)arg;
	if (answer(k, s, SINK_QUIT, "", "221 2.0.0 Bye\r\n") == WELL)
		s->closing = true;
}

static const struct {
	const char *verb;
	void (*run)(struct sink *k, struct sink_session *s, const char *arg);
} commands[] = {
	{ "EHLO", do_ehlo }, { "HELO", do_helo }, { "MAIL", do_mail },
	{ "RCPT", do_rcpt }, { "DATA", do_data }, { "RSET", do_rset },
	{ "NOOP", do_noop }, { "VRFY", do_vrfy }, { "QUIT", do_quit },
};

void sink_command(struct sink *k, struct sink_session *s, char *line)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (strncasecmp(line, commands[i].verb, 4) == 0 && (line[4] == ' ' || line[4] == '\0')) {
			commands[i].run(k, s, line[4] ? line + 5 : line + 4);
			return;
		}
	}
	put_text(s, "500 5.5.2 Unknown command\r\n");
}

/* Counts a whole message, before its answer goes out. */
static void received(struct sink *k, struct sink_session *s, uint64_t now)
{
	const char *verdict = sink_text_verdict(&s->text);
	const char *rcpt = s->rcpt;

	if (k->first_ns == 0)
		k->first_ns = now;
	k->last_ns = now;
	k->count.messages++;
	k->count.recipients += s->rcpts;
	k->count.bytes += s->text.bytes;
	k->count.bad += verdict[0] == 'b';
	if (s->text.stamped && now > s->text.stamp.ns)
		hist_add(&k->latency, now - s->text.stamp.ns);
	if (k->ledger.fd < 0)
		return;
	for (unsigned i = 0; i < s->rcpts; i++) {
		ledger_add(&k->ledger, verdict, s->text.stamp.id, now, rcpt);
		rcpt += strlen(rcpt) + 1;
	}
	ledger_flush(&k->ledger);
}

void sink_dot(struct sink *k, struct sink_session *s)
{
	uint64_t now = bench_now();

	s->in_text = false;
	if (answer(k, s, SINK_DOT, s->text.stamp.id, "250 2.0.0 Ok\r\n") != BADLY)
		received(k, s, now);
	reset_mail(s);
	if (k->exit_after && k->count.messages >= k->exit_after)
		k->stopping = true;
}
