/* SPDX-License-Identifier: Apache-2.0
 * The AUTH command and the exchange behind it. */
#include "smtpd/auth.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "mail/ascii.h"
#include "smtpd/auth_module.h"
#include "smtpd/command.h"
#include "smtpd/restrict.h"

enum { METHOD_MAX = 64, NAME_MAX_BYTES = 256, RESERVE = 8 };

struct auth_state { /* of a session that has said AUTH */
	void *exchange;   /* the module's; NULL: none, or it needs none */
	bool running;     /* a challenge waits for its answer */
	char *user;       /* logged in; NULL: not */
	char method[METHOD_MAX + 1];
};

/* ---- questions ---- */

bool auth_enabled(const struct session *s)
{
	return s->server->auth != NULL && !(s->server->ehlo_hidden & EHLO_AUTH);
}

bool auth_under_way(const struct session *s)
{
	return s->auth && s->auth->running;
}

const char *auth_user(const struct session *s)
{
	return s->auth ? s->auth->user : NULL;
}

const char *auth_method(const struct session *s)
{
	return auth_user(s) ? s->auth->method : NULL;
}

bool auth_known(const struct session *s)
{
	return auth_user(s) && strcasecmp(s->auth->method, "ANONYMOUS") != 0;
}

bool auth_in_header(const struct session *s)
{
	return auth_user(s) && s->server->auth->in_header;
}

size_t auth_line_limit(const struct session *s, const char *line, size_t len)
{
	size_t usual = s->server->line_limit;
	bool sasl = auth_under_way(s) || (auth_enabled(s) && len > 5 && strncasecmp(line, "AUTH ", 5) == 0);
	return sasl && (auth_under_way(s) || s->server->auth->response_limit > usual) ? s->server->auth->response_limit : usual;
}

/* ---- asking the module ---- */

/* This side of the connection, numeric. */
static void local_end(const struct session *s, char address[INET6_ADDRSTRLEN], char port[RESERVE])
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	const struct sockaddr_in *in = (const void *)&ss;
	const struct sockaddr_in6 *in6 = (const void *)&ss;
	address[0] = port[0] = '\0';
	if (getsockname(s->channel.fd, (struct sockaddr *)&ss, &len) < 0)
		return;
	if (ss.ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, address, INET6_ADDRSTRLEN);
		snprintf(port, RESERVE, "%u", (unsigned)ntohs(in->sin_port));
	} else if (ss.ss_family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
		inet_ntop(mapped ? AF_INET : AF_INET6, mapped ? in6->sin6_addr.s6_addr + 12 : in6->sin6_addr.s6_addr, address,
			  INET6_ADDRSTRLEN);
		snprintf(port, RESERVE, "%u", (unsigned)ntohs(in6->sin6_port));
	}
}

struct question { /* facts about a session, and the memory that they need */
	struct ost_auth_session facts;
	char address[INET6_ADDRSTRLEN], port[RESERVE];
};

static void ask_about(struct question *q, const struct session *s)
{
	const struct auth *a = s->server->auth;
	const struct peer *p = &s->peer;
	bool encrypted = session_encrypted(s), known = strcmp(p->address, "unknown") != 0;
	local_end(s, q->address, q->port);
	q->facts = (struct ost_auth_session){
		.size = sizeof q->facts,
		.without = a->properties[encrypted].without,
		.with = a->properties[encrypted].with,
		.encrypted = encrypted,
		.service = a->service,
		.server_name = s->server->myhostname,
		.realm = a->realm,
		.client_address = known ? p->address : "",
		.client_port = known ? p->port : "",
		.server_address = q->address,
		.server_port = q->port,
	};
}

/* The mechanisms that the session may use: those of the module that smtpd_sasl_mechanism_filter lets through. */
static enum ost_auth mechanisms(const struct session *s, struct arena *arena, const char ***list, struct ost_why *why)
{
	const struct auth *a = s->server->auth;
	struct question q;
	struct auth_answer answer;
	ask_about(&q, s);
	enum ost_auth got = auth_module_mechanisms(a, &q.facts, arena, &answer, why);
	*list = cfg_split(arena, got == OST_AUTH_DONE ? answer.text : "");
	size_t n = 0;
	for (const char **at = *list; *at; at++) {
		struct lookup found = { 0 };
		if (!a->mechanism_filter || matchlist_name(a->mechanism_filter, arena, *at, &found) == OST_FOUND)
			(*list)[n++] = *at;
	}
	(*list)[n] = NULL;
	return got;
}

/* ---- EHLO ---- */

bool auth_announce(const struct session *s, const char *before, struct buf *out)
{
	const struct auth *a = s->server->auth;
	struct ost_why why = { "" };
	const char **list;
	if (!auth_enabled(s) || (a->tls_only && !session_encrypted(s)))
		return false;
	if (a->exceptions && restrict_client_listed((struct session *)(uintptr_t)s, a->exceptions))
		return false;
	struct arena *arena = arena_new();
	mechanisms(s, arena, &list, &why);
	bool any = list[0] != NULL;
	for (; *list; list++) {
		buf_puts(out, before);
		buf_puts(out, *list);
		before = " ";
	}
	arena_destroy(&arena);
	if (why.text[0])
		log_warning("SASL: %s", why.text);
	return any;
}

bool auth_announce_old(const struct session *s, struct buf *out)
{
	return s->server->auth && s->server->auth->old_clients && auth_announce(s, "", out);
}

/* ---- the exchange ---- */

static struct auth_state *state_of(struct session *s)
{
	if (!s->auth)
		s->auth = MEM_NEW(struct auth_state);
	return s->auth;
}

/* The exchange is over, whatever came of it. */
static void end_exchange(struct session *s)
{
	struct auth_state *st = s->auth;
	if (st->exchange)
		auth_module_end(s->server->auth, st->exchange);
	st->exchange = NULL;
	st->running = false;
}

void auth_reset(struct session *s)
{
	if (!s->auth)
		return;
	end_exchange(s);
	free(s->auth->user);
	free(s->auth);
	s->auth = NULL;
}

/* The client is not let in. */
static bool failed(struct session *s, enum ost_auth how, const char *reason, const char *user)
{
	struct auth_state *st = s->auth;
	char clean[NAME_MAX_BYTES];
	const char *why = *reason ? reason : "(reason unavailable)";
	if (!user || !*user)
		user = "(unavailable)";
	log_warning("%s: SASL %s authentication failed: %s, sasl_username=%s", s->peer.namaddr, st->method, why,
		    sanitize_into(clean, sizeof clean, user, strlen(user), SANITIZE_LOG));
	if (how == OST_AUTH_TEMPFAIL)
		reply(s, "454 4.7.0 Temporary authentication failure: %s", why);
	else
		reply(s, "535 5.7.8 Error: authentication failed: %s", why);
	end_exchange(s);
	return false;
}

/* In: the session is the user's. */
static bool succeeded(struct session *s, const struct auth_answer *answer)
{
	struct auth_state *st = s->auth;
	char clean[NAME_MAX_BYTES];
	if (answer->len == 0 || answer->len >= NAME_MAX_BYTES || strlen(answer->text) != answer->len)
		return failed(s, OST_AUTH_TEMPFAIL, "Authentication backend error", NULL);
	st->user = mem_strdup(sanitize_into(clean, sizeof clean, answer->text, answer->len, SANITIZE_LOG));
	end_exchange(s);
	reply(s, "235 2.7.0 Authentication successful");
	return true;
}

/* Well-formed base64 (RFC 4648 4)? Whether it makes sense is the module's to say. */
static bool base64_valid(const char *text, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t padding = 0;
	if (len % 4 != 0)
		return false;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < len - padding; i++)
		if (!text[i] || !strchr(letters, text[i]))
			return false;
	return true;
}

/* 334 and the challenge. */
static bool challenge(struct session *s, const struct auth_answer *answer)
{
	struct auth_state *st = s->auth;
	if (answer->len > s->server->auth->response_limit || !base64_valid(answer->text, answer->len))
		return failed(s, OST_AUTH_TEMPFAIL, "Authentication backend error", NULL);
	st->running = true;
	buf_reserve(&s->out, answer->len + 64);
	buf_printf(&s->out, "334 %s\r\n", answer->text); /* no reply(): it may be long, and is clean */
	return true;
}

/* What the module has answered, to the client. False: an error. */
static bool go_on(struct session *s, enum ost_auth got, const struct auth_answer *answer, const struct ost_why *why)
{
	char clean[sizeof why->text];
	switch (got) {
	case OST_AUTH_CONTINUE:
		return challenge(s, answer);
	case OST_AUTH_DONE:
		return succeeded(s, answer);
	case OST_AUTH_FAILED:
	case OST_AUTH_TEMPFAIL:
		break;
	}
	return failed(s, got, sanitize_into(clean, sizeof clean, why->text, strlen(why->text), SANITIZE_REPLY), answer->text);
}

/* ---- AUTH ---- */

/* Why AUTH cannot be given now; NULL: it can. */
static const char *refusal(const struct session *s, const struct words *w)
{
	if (s->server->helo_required && !s->helo)
		return "503 5.5.1 Error: send HELO/EHLO first";
	if (!auth_enabled(s) || (s->server->auth->tls_only && !session_encrypted(s)))
		return "503 5.5.1 Error: authentication not enabled";
	if (s->tx)
		return "503 5.5.1 Error: MAIL transaction in progress";
	if (auth_user(s))
		return "503 5.5.1 Error: already authenticated";
	if (w->count < 2 || w->count > 3)
		return "501 5.5.4 Syntax: AUTH mechanism";
	return NULL;
}

/* The mechanism's name in upper case, for the log in any case; false: it is none (RFC 4422 3.1). */
static bool take_method(struct auth_state *st, const struct word *w)
{
	char name[METHOD_MAX + 1];
	bool ok = w->len <= METHOD_MAX;
	sanitize_into(name, sizeof name, w->at, w->len, SANITIZE_REPLY);
	for (size_t i = 0; name[i]; i++) {
		unsigned char c = (unsigned char)name[i];
		ok = ok && (ascii_alnum(c) || c == '-' || c == '_');
		st->method[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
		st->method[i + 1] = '\0';
	}
	return ok && name[0];
}

/* The initial response; NULL: there is none. "=" is an empty one. */
static char *initial_response(const struct words *w, struct arena *arena)
{
	if (w->count < 3)
		return NULL;
	return arena_strndup(arena, w->word[2].at, w->word[2].len == 1 && w->word[2].at[0] == '=' ? 0 : w->word[2].len);
}

/* May this session use the mechanism? Otherwise says so to the client. */
static bool may_use(struct session *s, struct arena *arena)
{
	const char **list;
	struct ost_why why = { "" };
	if (mechanisms(s, arena, &list, &why) != OST_AUTH_DONE)
		return failed(s, OST_AUTH_TEMPFAIL, why.text, NULL);
	for (; *list; list++)
		if (strcasecmp(*list, s->auth->method) == 0)
			return true;
	return failed(s, OST_AUTH_FAILED, "Invalid authentication mechanism", NULL);
}

/* The first step. False: an error. */
static bool begin(struct session *s, struct arena *arena, const char *initial)
{
	struct question q;
	struct auth_answer answer;
	struct ost_why why = { "" };
	ask_about(&q, s);
	enum ost_auth got = auth_module_begin(s->server->auth, &q.facts, s->auth->method, initial, arena, &s->auth->exchange,
					      &answer, &why);
	return go_on(s, got, &answer, &why);
}

bool cmd_auth(struct session *s, struct words *w)
{
	const char *no = refusal(s, w);
	if (no) {
		reply_text(s, no);
		return false;
	}
	struct auth_state *st = state_of(s);
	struct arena *arena = arena_new();
	char *initial = initial_response(w, arena);
	bool ok = false;
	if (!take_method(st, &w->word[1]))
		failed(s, OST_AUTH_FAILED, "Invalid authentication mechanism", NULL);
	else if (!may_use(s, arena))
		;
	else if (initial && !base64_valid(initial, strlen(initial)))
		failed(s, OST_AUTH_FAILED, "Invalid base64 data in initial response", NULL);
	else
		ok = begin(s, arena, initial);
	if (initial)
		explicit_bzero(initial, strlen(initial));
	arena_destroy(&arena);
	return ok;
}

/* One answer of the client. False: an error. */
static bool answered(struct session *s, const char *line, size_t len)
{
	struct auth_state *st = s->auth;
	struct auth_answer answer;
	struct ost_why why = { "" };
	if (!base64_valid(line, len))
		return failed(s, OST_AUTH_FAILED, "Invalid base64 data in continued response", NULL);
	struct arena *arena = arena_new();
	char *response = arena_strndup(arena, line, len);
	enum ost_auth got = auth_module_step(s->server->auth, st->exchange, response, arena, &answer, &why);
	bool ok = go_on(s, got, &answer, &why);
	explicit_bzero(response, len);
	arena_destroy(&arena);
	return ok;
}

void auth_answer(struct session *s, const char *line, size_t len, bool too_long)
{
	struct auth_state *st = s->auth;
	bool ok = false;
	if (too_long) {
		log_warning("%s: SASL %s authentication failed: response too long", s->peer.namaddr, st->method);
		reply(s, "500 5.5.6 SASL response limit exceeded");
		end_exchange(s);
	} else if (len == 1 && line[0] == '*') {
		log_warning("%s: SASL %s authentication aborted", s->peer.namaddr, st->method);
		reply(s, "501 5.7.0 Authentication aborted");
		end_exchange(s);
	} else {
		ok = answered(s, line, len);
	}
	if (!ok)
		s->errors++;
	else if (!st->running)
		command_auth_done(s);
}
