/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "transports/smtp/smtp.h"

static const struct {
	const char *keyword;
	unsigned can;
} keywords[] = {
	{ "PIPELINING", CAN_PIPELINING }, { "8BITMIME", CAN_8BITMIME }, { "SIZE", CAN_SIZE },
	{ "DSN", CAN_DSN },               { "SMTPUTF8", CAN_SMTPUTF8 },
};

/* ---- EHLO -------------------------------------------------------------------------------------------------------------- */

struct ehlo {
	const struct smtp_config *config;
	struct session *session;
	bool first_seen, is_me; /* the server calls itself by our name */
};

/* Is the keyword of n bytes in a list of words? */
static bool listed(const char *list, const char *word, size_t n)
{
	for (const char *p = list; *p;) {
		p += strspn(p, ", \t\r\n");
		size_t len = strcspn(p, ", \t\r\n");
		if (len == n && strncasecmp(p, word, n) == 0)
			return true;
		p += len;
	}
	return false;
}

/* One line of an EHLO reply: the first names the server, the others are keywords. */
static void ehlo_line(void *ctx, const char *text)
{
	struct ehlo *e = ctx;
	size_t n = strcspn(text, " \t=");
	if (!e->first_seen) {
		e->first_seen = true;
		e->is_me = n == strlen(e->config->myhostname) && strncasecmp(text, e->config->myhostname, n) == 0;
		return;
	}
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
		if (strlen(keywords[i].keyword) != n || strncasecmp(keywords[i].keyword, text, n) != 0 ||
		    listed(e->config->discard_ehlo, text, n))
			continue;
		e->session->can |= keywords[i].can;
		if (keywords[i].can == CAN_SIZE && text[n])
			e->session->size_limit = strtoull(text + n + 1, NULL, 10);
	}
}

enum reply_state session_command(struct smtp *smtp, struct session *s, const char *command, int64_t timeout, struct reply *r,
				 reply_each_fn *each, void *ctx)
{
	int64_t deadline = smtp_host->now() + timeout;
	(void)smtp;
	switch (stream_write(&s->stream, command, strlen(command), deadline, false)) {
	case STREAM_OK:
		return reply_read(&s->stream, r, deadline, each, ctx);
	case STREAM_TIMEOUT:
		return REPLY_TIMEOUT;
	default:
		return REPLY_LOST;
	}
}

/* A server that does not want us: "host X refused to talk to me: 554 …". 4xx, and 5xx that may be another server's luck. */
static void refused(struct job *j, struct session *s, const struct reply *r, bool for_good)
{
	char dsn[12], text[1400];
	s->good = false;
	snprintf(dsn, sizeof dsn, "%c%s", for_good ? '5' : '4', r->dsn + 1);
	snprintf(text, sizeof text, "host %.255s refused to talk to me: %s", s->name, r->text);
	outcome_all(j, s, &(struct outcome_text){ .status = for_good ? OST_BOUNCED : OST_DEFERRED, .dsn = dsn, .text = text,
						  .reply = r, .flags = OST_REPORT_DESTINATION });
}

static bool greeting(struct job *j, struct session *s)
{
	struct reply r;
	int64_t deadline = smtp_host->now() + j->smtp->config->helo_timeout;
	enum reply_state state = reply_read(&s->stream, &r, deadline, NULL, NULL);
	if (state == REPLY_OK && r.code / 100 == 2)
		return true;
	if (state != REPLY_OK)
		outcome_broken(j, s, state, "receiving the initial server greeting");
	else
		refused(j, s, &r, r.code / 100 == 5 && !j->smtp->config->skip_5xx_greeting);
	return false;
}

/* EHLO, then HELO for servers that do not know it. */
static bool hello(struct job *j, struct session *s)
{
	const struct smtp_config *c = j->smtp->config;
	struct ehlo e = { .config = c, .session = s };
	struct reply r = { .code = 0 };
	char line[600];
	enum reply_state state = REPLY_OK;
	const char *doing = "performing the EHLO handshake";
	if (!c->never_ehlo) {
		snprintf(line, sizeof line, "EHLO %.500s\r\n", c->helo_name);
		state = session_command(j->smtp, s, line, c->helo_timeout, &r, ehlo_line, &e);
		if (state == REPLY_OK && r.code / 100 == 2)
			s->can |= CAN_EHLO;
		else
			s->can = 0;
	}
	if (state == REPLY_OK && !(s->can & CAN_EHLO) && r.code != 421) {
		snprintf(line, sizeof line, "HELO %.500s\r\n", c->helo_name);
		doing = "performing the HELO handshake";
		e.first_seen = false;
		state = session_command(j->smtp, s, line, c->helo_timeout, &r, ehlo_line, &e);
		s->can = 0;
	}
	if (state != REPLY_OK) {
		outcome_broken(j, s, state, doing);
		return false;
	}
	if (r.code / 100 != 2) {
		refused(j, s, &r, r.code / 100 == 5);
		return false;
	}
	if (e.is_me && j->loops) {
		char text[600];
		snprintf(text, sizeof text, "mail for %.500s loops back to myself", j->d->nexthop);
		s->good = false;
		outcome_all(j, s, &(struct outcome_text){ .status = OST_BOUNCED, .dsn = "5.4.6", .text = text });
		return false;
	}
	return true;
}

/* ---- connecting ---------------------------------------------------------------------------------------------------------- */

static const char *bind_address(const struct smtp_config *c, bool ipv6)
{
	const char *address = ipv6 ? c->bind6 : c->bind4;
	return *address ? address : NULL;
}

static int connect_to(struct job *j, const struct ost_mx *mx, uint16_t port)
{
	const struct smtp_config *c = j->smtp->config;
	int64_t limit = c->connect_timeout > 0 ? c->connect_timeout : INT64_C(600000000);
	struct ost_why why = { .text = "" };
	char text[800];
	int fd = smtp_host->tcp_connect(mx->address, port, bind_address(c, mx->ipv6), smtp_host->now() + limit, &why);
	if (fd >= 0)
		return fd;
	snprintf(text, sizeof text, "connect to %s[%s]:%u: %s", mx->host, mx->address, port, why.text);
	smtp_host->log(j->smtp->instance, OST_LOG_INFO, "%s", text);
	outcome_all(j, NULL, &(struct outcome_text){ .status = OST_DEFERRED, .dsn = "4.4.1", .text = text,
						     .flags = OST_REPORT_DESTINATION });
	return -1;
}

struct session *session_open(struct job *j, const struct ost_mx *mx, uint16_t port, const char *key, bool *greeted)
{
	*greeted = false;
	int fd = connect_to(j, mx, port);
	if (fd < 0)
		return NULL;
	struct session *s = calloc(1, sizeof *s);
	char *copy = strdup(key);
	if (!s || !copy)
		abort();
	stream_init(&s->stream, fd, smtp_host->now);
	s->key = copy;
	s->good = true;
	s->opened = smtp_host->now();
	snprintf(s->host, sizeof s->host, "%s", mx->host);
	snprintf(s->name, sizeof s->name, "%s[%s]", mx->host, mx->address);
	snprintf(s->relay, sizeof s->relay, "%s[%s]:%u", mx->host, mx->address, port);
	*greeted = greeting(j, s);
	if (!*greeted || !hello(j, s))
		session_close(j->smtp, &s);
	return s;
}

void session_close(struct smtp *smtp, struct session **sp)
{
	struct session *s = *sp;
	const struct smtp_config *c = smtp->config;
	if (!s)
		return;
	if (s->good) {
		struct reply r;
		int64_t deadline = smtp_host->now() + (c->skip_quit_response ? 0 : c->quit_timeout);
		if (c->skip_quit_response)
			stream_write(&s->stream, "QUIT\r\n", 6, deadline, false);
		else
			session_command(smtp, s, "QUIT\r\n", c->quit_timeout, &r, NULL, NULL);
	}
	stream_close(&s->stream);
	for (int i = 0; i < SPARE_TEXTS; i++)
		text_free(&s->spare[i]);
	free(s->key);
	free(s);
	*sp = NULL;
}
