/* SPDX-License-Identifier: Apache-2.0
 * The beginning of a session: who may come, and 220. */
#include <sys/socket.h>

#include "base/log.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/restrict.h"

/* Bytes from a client that has not been spoken to yet: it does not listen. */
static bool early_talker(struct session *s)
{
	char seen[LOG_ESCAPED_SHOWN], clean[LOG_ESCAPED_ROOM];
	ssize_t n = recv(s->fd, seen, sizeof seen, MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return false;
	log_info("improper command pipelining after CONNECT from %s: %s", s->peer.namaddr, log_escaped(clean, seen, (size_t)n));
	return true;
}

void command_greet(struct session *s)
{
	const struct server *srv = s->server;
	int64_t now;
	s->mode = MODE_COMMAND;
	peer_lookup_name(s);
	log_info("connect from %s", s->peer.namaddr);
	if (srv->session_limit && atomic_load(&srv->sessions) > srv->session_limit) {
		log_warning("session limit reached: %lld", (long long)srv->session_limit);
		reply(s, "421 4.3.2 %s All server ports are busy", srv->myhostname);
		session_finish(s);
		return;
	}
	limits_begin(s);
	unsigned rate = limits_count(s, LIMIT_CONNECTIONS); /* of those too that are too many at a time */
	if (srv->client_begin && srv->client_connections && !s->unlimited) {
		s->counted = srv->client_begin(srv->client_ctx, limits_key(s), srv->client_connections, &now);
		if (!s->counted) {
			log_warning("Connection concurrency limit exceeded: %lld from %s for service %s", (long long)now,
				    s->peer.namaddr, cfg_service_name(srv->view));
			reply(s, "421 4.7.0 %s Error: too many connections from %s", srv->myhostname, s->peer.address);
			session_finish(s);
			return;
		}
	}
	if (!limits_allow(s, LIMIT_CONNECTIONS, rate)) {
		session_finish(s);
		return;
	}
	if (srv->forbid_pipelining && early_talker(s)) {
		reply(s, "554 5.5.0 Error: SMTP protocol synchronization");
		session_finish(s);
		return;
	}
	s->bare_lf_excluded = restrict_client_listed(s, srv->bare_newline_exclusions);
	s->local_rewrite = restrict_local_rewrite(s);
	if (!srv->delay_reject && !restrict_connect(s)) {
		s->access_denied = arena_strdup(s->arena, buf_str(&s->verdict.reply));
		s->errors++;
		reply_text(s, s->access_denied);
		return;
	}
	reply(s, "220 %s", srv->banner);
}
