/* SPDX-License-Identifier: Apache-2.0
 * From input to command lines: their ends, their length, and bare line feeds. */
#include <string.h>

#include "base/log.h"
#include "smtpd/auth.h"

/* A line that is longer than line_length_limit: its beginning is taken for a command, the rest is passed over. */
static size_t cut_line(struct session *s, const char *line, size_t len)
{
	size_t limit = auth_line_limit(s, line, len);
	if (len <= limit)
		return len;
	if (auth_under_way(s)) /* what it says is nothing for the log */
		return limit;
	log_warning("%s: request longer than %zu: %.30s...", s->peer.namaddr, limit, line);
	return limit;
}

/* A command line that ended in LF alone. True: the session ends here. */
static bool bare_newline(struct session *s)
{
	enum bare_newline how = s->bare_lf_excluded ? BARE_ALLOW : s->server->bare_newline;
	if (how == BARE_NOTE && !s->noted_bare_lf)
		log_info("bare_lf after %s from %s", s->where, s->peer.namaddr);
	s->noted_bare_lf = true;
	if (how != BARE_REJECT)
		return false;
	log_info("reject: bare <LF> received after %s from %s", s->where, s->peer.namaddr);
	reply(s, "%d %s %s Error: bare <LF> received", s->server->bare_newline_code,
	      s->server->bare_newline_code < 500 ? "4.5.2" : "5.5.2", s->server->myhostname);
	session_finish(s);
	return true;
}

bool line_run(struct session *s)
{
	size_t left = input_unread(&s->in);
	const char *line = input_start(&s->in);
	const char *lf = left ? memchr(line, '\n', left) : NULL;
	size_t len = lf ? (size_t)(lf - line) : left;
	if (left == 0)
		return false;
	if (s->skipping) {
		s->in.at += lf ? len + 1 : left;
		s->skipping = !lf;
		return lf != NULL;
	}
	if (!lf && left <= auth_line_limit(s, line, left))
		return false;
	size_t cut = cut_line(s, line, len);
	bool too_long = cut < len;
	s->in.at += lf ? len + 1 : left;
	s->skipping = !lf;
	if (lf && (len == 0 || line[len - 1] != '\r') && bare_newline(s))
		return true;
	while (cut > 0 && line[cut - 1] == '\r')
		cut--;
	if (auth_under_way(s))
		auth_answer(s, line, cut, too_long);
	else
		command_run(s, line, cut, input_unread(&s->in) > 0);
	return true;
}
