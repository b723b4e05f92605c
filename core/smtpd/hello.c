/* SPDX-License-Identifier: Apache-2.0
 * HELO and EHLO: the client's name, and what the server can do. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/sanitize.h"
#include "smtpd/command.h"
#include "smtpd/restrict.h"

/* Each says whether its keyword is announced in this session, and appends the keyword's arguments. */

static bool announce_size(const struct session *s, struct buf *out)
{
	if (s->server->message_limit)
		buf_printf(out, " %llu", (unsigned long long)s->server->message_limit);
	return true;
}

static bool announce_vrfy(const struct session *s, struct buf *out)
{
	(void)out;
	return !s->server->vrfy_disabled;
}

static bool announce_etrn(const struct session *s, struct buf *out)
{
	(void)out;
	return s->server->flush_site != NULL;
}

static bool announce_smtputf8(const struct session *s, struct buf *out)
{
	(void)out;
	return s->server->smtputf8;
}

/* RFC 9422: those that hold for every client; a transaction more, or a domain, costs nobody anything. */
static bool announce_limits(const struct session *s, struct buf *out)
{
	buf_printf(out, " RCPTMAX=%lld", (long long)s->server->recipient_limit);
	return s->server->announce_limits;
}

static const struct {
	const char *word;
	unsigned bit;
	bool (*announce)(const struct session *, struct buf *); /* NULL: always, without arguments */
} ehlo_words[] = { /* in the order in which they are announced */
	{ "PIPELINING", EHLO_PIPELINING, NULL },
	{ "SIZE", EHLO_SIZE, announce_size },
	{ "VRFY", EHLO_VRFY, announce_vrfy },
	{ "ETRN", EHLO_ETRN, announce_etrn },
	{ "ENHANCEDSTATUSCODES", EHLO_ENHANCEDSTATUSCODES, NULL },
	{ "8BITMIME", EHLO_8BITMIME, NULL },
	{ "DSN", EHLO_DSN, NULL },
	{ "SMTPUTF8", EHLO_SMTPUTF8, announce_smtputf8 },
	{ "LIMITS", EHLO_LIMITS, announce_limits },
};
enum { NEHLO = sizeof ehlo_words / sizeof *ehlo_words };

const char *hello_with(const struct session *s)
{
	if (s->tx->flags & MSG_SMTPUTF8)
		return "UTF8SMTP";
	return s->protocol == PROTO_ESMTP ? "ESMTP" : "SMTP";
}

/* The name that the client gave itself, fit for the log and for headers. */
static void set_helo(struct session *s, const struct words *w)
{
	size_t len;
	const char *name = words_rest(w, 1, &len);
	char clean[256];
	sanitize_into(clean, sizeof clean, name, len, s->server->smtputf8 ? SANITIZE_LOG : SANITIZE_REPLY);
	for (char *p = clean; *p; p++)
		if (strchr(" <>()\\\";@", *p))
			*p = '?';
	free(s->helo);
	s->helo = mem_strdup(clean);
}

/* What HELO and EHLO have in common; false: answered already. */
static bool hello(struct session *s, struct words *w, const char *verb)
{
	if (w->count < 2) {
		reply(s, "501 Syntax: %s hostname", verb);
		return false;
	}
	char *old = s->helo;
	s->helo = NULL;
	set_helo(s, w);
	if (!s->server->delay_reject && !restrict_helo(s)) {
		free(s->helo);
		s->helo = old;
		reply_text(s, buf_str(&s->verdict.reply));
		return false;
	}
	free(old);
	session_reset_transaction(s);
	return true;
}

bool cmd_helo(struct session *s, struct words *w)
{
	if (!hello(s, w, "HELO"))
		return false;
	reply(s, "250 %s", s->server->myhostname);
	return true;
}

bool cmd_ehlo(struct session *s, struct words *w)
{
	const struct server *srv = s->server;
	if (!hello(s, w, "EHLO"))
		return false;
	if (!hidden_tell(s))
		return false;
	s->protocol = PROTO_ESMTP;
	struct buf *out = &s->out;
	size_t last = out->len;
	reply(s, "250-%s", srv->myhostname);
	for (int i = 0; i < NEHLO; i++) {
		size_t start = out->len;
		if (s->ehlo_hidden & ehlo_words[i].bit)
			continue;
		buf_printf(out, "250-%s", ehlo_words[i].word);
		if (ehlo_words[i].announce && !ehlo_words[i].announce(s, out)) {
			buf_truncate(out, start);
			continue;
		}
		buf_add(out, "\r\n", 2);
		last = start;
	}
	out->data[last + 3] = ' ';
	return true;
}
