/* SPDX-License-Identifier: Apache-2.0
 * The command table, what holds for all commands, and the commands that begin no message. */
#include "smtpd/command.h"

#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "mail/ascii.h"
#include "smtpd/restrict.h"

enum {
	MUST_BE_LAST = 1, /* of a pipelined group: RFC 2920 3.1 */
	JUNK = 2,         /* counts against smtpd_junk_command_limit */
};

static bool cmd_rset(struct session *, struct words *);
static bool cmd_noop(struct session *, struct words *);
static bool cmd_vrfy(struct session *, struct words *);
static bool cmd_etrn(struct session *, struct words *);
static bool cmd_quit(struct session *, struct words *);

struct command {
	const char *name, *log_name;
	bool (*run)(struct session *, struct words *); /* false: it counts as an error */
	unsigned flags;
};
static const struct command commands[] = {
	{ "HELO", "helo", cmd_helo, MUST_BE_LAST | JUNK }, { "EHLO", "ehlo", cmd_ehlo, MUST_BE_LAST | JUNK },
	{ "MAIL", "mail", cmd_mail, 0 },                   { "RCPT", "rcpt", cmd_rcpt, 0 },
	{ "DATA", "data", cmd_data, MUST_BE_LAST },        { "RSET", "rset", cmd_rset, JUNK },
	{ "NOOP", "noop", cmd_noop, MUST_BE_LAST | JUNK }, { "VRFY", "vrfy", cmd_vrfy, MUST_BE_LAST | JUNK },
	{ "ETRN", "etrn", cmd_etrn, JUNK },                { "QUIT", "quit", cmd_quit, 0 },
};
enum { NCOMMANDS = sizeof commands / sizeof *commands };
_Static_assert((int)NCOMMANDS <= (int)COMMAND_COUNT, "the session counts each command");

/* ---- words ---- */

void words_split(struct words *w, const char *line, size_t len)
{
	*w = (struct words){ .line = line, .len = len };
	size_t at = 0;
	while (at < len && w->count < WORDS_MAX) {
		while (at < len && ascii_space((unsigned char)line[at]))
			at++;
		size_t start = at;
		while (at < len && !ascii_space((unsigned char)line[at]))
			at++;
		if (at > start)
			w->word[w->count++] = (struct word){ line + start, at - start };
	}
}

bool word_is(const struct word *w, const char *text)
{
	return w->len == strlen(text) && strncasecmp(w->at, text, w->len) == 0;
}

const char *words_rest(const struct words *w, size_t from, size_t *len)
{
	const char *start = w->word[from].at, *end = w->line + w->len;
	while (end > start && ascii_space((unsigned char)end[-1]))
		end--;
	*len = (size_t)(end - start);
	return start;
}

/* ---- running ---- */

static bool in_list(const char *const *list, const struct word *w)
{
	for (; list && *list; list++)
		if (word_is(w, *list))
			return true;
	return false;
}

/* What speaks another protocol: HTTP, mail headers, binary. */
static bool forbidden(const struct session *s, const struct words *w)
{
	const struct word *first = &w->word[0];
	if (memchr(first->at, ':', first->len) && first->at[0] != ':')
		return true;
	if (s->server->forbid_odd_commands && !ascii_alpha((unsigned char)first->at[0]))
		return true;
	return in_list(s->server->forbidden_commands, first);
}

/* A line that is no command of ours. */
static void unknown_command(struct session *s, const struct words *w)
{
	s->where = "UNKNOWN";
	s->counts[COMMAND_COUNT].all++;
	if (forbidden(s, w)) {
		char clean[LOG_ESCAPED_ROOM];
		log_warning("non-SMTP command from %s: %s", s->peer.namaddr, log_escaped(clean, w->line, w->len));
		reply(s, "221 2.7.0 Error: I can break rules, too. Goodbye.");
		session_finish(s);
		return;
	}
	reply(s, "500 5.5.2 Error: command not recognized");
	s->errors++;
}

/* More input behind a command that must be the last of its group, or from a client that may not pipeline at all. */
static bool out_of_turn(struct session *s, const struct command *c)
{
	if (s->protocol == PROTO_ESMTP && !(c->flags & MUST_BE_LAST))
		return false;
	char clean[LOG_ESCAPED_ROOM];
	if (!s->ill_pipelining)
		log_info("improper command pipelining after %s from %s: %s", c->name, s->peer.namaddr,
			 log_escaped(clean, input_start(&s->in), input_unread(&s->in)));
	s->ill_pipelining = true;
	if (!s->server->forbid_pipelining)
		return false;
	reply(s, "554 5.5.0 Error: SMTP protocol synchronization");
	session_finish(s);
	return true;
}

/* A command of the table. */
static void known_command(struct session *s, size_t number, struct words *w, bool more_input)
{
	const struct command *c = &commands[number];
	s->where = c->name;
	s->counts[number].all++;
	if (more_input && out_of_turn(s, c))
		return;
	if (s->access_denied && c->run != cmd_quit) {
		reply(s, "503 5.7.0 Error: access denied for %s", s->peer.namaddr);
		s->errors++;
		return;
	}
	if (!c->run(s, w))
		s->errors++;
	else if (s->mode != MODE_DATA)
		s->counts[number].ok++;
	if (c->flags & JUNK && s->junk++ > server_limits(s->server)->junk_limit)
		s->errors++;
}

void command_run(struct session *s, const char *line, size_t len, bool more_input)
{
	struct words w;
	if (!utf8_valid(line, len)) {
		reply(s, "500 5.5.2 Error: bad UTF-8 syntax");
		s->errors++;
		return;
	}
	words_split(&w, line, len);
	if (w.count == 0) {
		reply(s, "500 5.5.2 Error: bad syntax");
		s->errors++;
		return;
	}
	if (in_list(s->server->noop_commands, &w.word[0])) {
		reply(s, "250 2.0.0 Ok");
		if (s->junk++ > server_limits(s->server)->junk_limit)
			s->errors++;
		return;
	}
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (word_is(&w.word[0], commands[i].name)) {
			known_command(s, i, &w, more_input);
			return;
		}
	}
	unknown_command(s, &w);
}

/* One " name=ok/all" of the disconnect line. */
static void count(struct buf *b, const char *name, unsigned ok, unsigned all)
{
	buf_printf(b, ok == all ? " %s=%u" : " %s=%u/%u", name, ok, all);
}

void command_data_done(struct session *s)
{
	s->errors = s->junk = 0; /* who sends mail is pardoned, as by Postfix */
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (commands[i].run == cmd_data)
			s->counts[i].ok++;
}

void command_counts(const struct session *s, struct buf *b)
{
	unsigned ok = 0, all = 0;
	for (size_t i = 0; i <= COMMAND_COUNT; i++) {
		ok += s->counts[i].ok;
		all += s->counts[i].all;
		if (s->counts[i].all)
			count(b, i < NCOMMANDS ? commands[i].log_name : "unknown", s->counts[i].ok, s->counts[i].all);
	}
	if (all == 0)
		buf_puts(b, " commands=0/0");
	else
		count(b, "commands", ok, all);
}

/* ---- the small ones ---- */

static bool cmd_rset(struct session *s, struct words *w)
{
	if (w->count != 1) {
		reply(s, "501 5.5.4 Syntax: RSET");
		return false;
	}
	session_reset_transaction(s);
	reply(s, "250 2.0.0 Ok");
	return true;
}

static bool cmd_noop(struct session *s, struct words *w)
{
	(void)w;
	reply(s, "250 2.0.0 Ok");
	return true;
}

static bool cmd_vrfy(struct session *s, struct words *w)
{
	if (s->server->vrfy_disabled) {
		reply(s, "502 5.5.1 VRFY command is disabled");
		return false;
	}
	if (w->count < 2) {
		reply(s, "501 5.5.4 Syntax: VRFY address");
		return false;
	}
	return command_verify(s, w);
}

static bool cmd_etrn(struct session *s, struct words *w)
{
	if (!s->helo && s->server->helo_required) {
		reply(s, "503 Error: send HELO/EHLO first");
		return false;
	}
	if (s->tx) {
		reply(s, "503 Error: MAIL transaction in progress");
		return false;
	}
	if (w->count != 2) {
		reply(s, "500 Syntax: ETRN domain");
		return false;
	}
	return command_etrn(s, w);
}

static bool cmd_quit(struct session *s, struct words *w)
{
	(void)w;
	reply(s, "221 2.0.0 Bye");
	s->quit = true;
	session_finish(s);
	return true;
}
