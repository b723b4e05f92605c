/* SPDX-License-Identifier: Apache-2.0
 * STARTTLS (RFC 3207) and handshakes. */
#include "smtpd/starttls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/param.h"
#include "net/tls.h"
#include "smtpd/auth.h"
#include "smtpd/command.h"

/* ---- parameters ---- */

static const struct {
	const char *word;
	enum tls_level level;
	bool client_only; /* a server cannot know whom to expect: it asks for TLS and no more */
} levels[] = {
	{ "none", TLS_LEVEL_NONE, false },
	{ "may", TLS_LEVEL_MAY, false },
	{ "encrypt", TLS_LEVEL_ENCRYPT, false },
	{ "dane", TLS_LEVEL_ENCRYPT, true },
	{ "dane-only", TLS_LEVEL_ENCRYPT, true },
	{ "fingerprint", TLS_LEVEL_ENCRYPT, true },
	{ "half-dane", TLS_LEVEL_ENCRYPT, true },
	{ "verify", TLS_LEVEL_ENCRYPT, true },
	{ "secure", TLS_LEVEL_ENCRYPT, true },
};

static bool read_level(const struct cfg_view *v, enum tls_level *level, struct ost_why *why)
{
	const char *word = cfg_str(v, P_smtpd_tls_security_level);
	*level = cfg_bool(v, P_smtpd_enforce_tls) ? TLS_LEVEL_ENCRYPT :
		 cfg_bool(v, P_smtpd_use_tls)	  ? TLS_LEVEL_MAY :
						    TLS_LEVEL_NONE;
	if (!*word)
		return true;
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		if (strcasecmp(levels[i].word, word) != 0)
			continue;
		*level = levels[i].level;
		if (levels[i].client_only)
			log_warning("smtpd_tls_security_level: unsupported TLS level \"%s\", using \"encrypt\"", word);
		return true;
	}
	return why_set(why, "smtpd_tls_security_level: Invalid TLS level \"%s\"", word);
}

bool starttls_read(struct server *srv, const struct cfg_view *v, struct ost_why *why)
{
	if (!read_level(v, &srv->tls_level, why))
		return false;
	srv->tls_wrapper = cfg_bool(v, P_smtpd_tls_wrappermode);
	if (srv->tls_wrapper)
		srv->tls_level = TLS_LEVEL_ENCRYPT;
	srv->tls_header = cfg_bool(v, P_smtpd_tls_received_header);
	srv->tls_loglevel = cfg_int(v, P_smtpd_tls_loglevel);
	srv->limits[0].starttls_timeout = cfg_time(v, P_smtpd_starttls_timeout);
	srv->limits[1].starttls_timeout = cfg_time(cfg_stress_view(v), P_smtpd_starttls_timeout);
	return true;
}

typedef int open_fn(void *ctx, const char *path, struct ost_why *);

static bool load(struct tls_server *t, const struct cfg_view *v, enum tls_level level, open_fn *open, void *ctx, struct ost_why *why)
{
	struct arena *a = arena_new();
	const struct tls_pair pairs[] = {
		{ cfg_str(v, P_smtpd_tls_cert_file), cfg_str(v, P_smtpd_tls_key_file) },
		{ cfg_str(v, P_smtpd_tls_dcert_file), cfg_str(v, P_smtpd_tls_dkey_file) },
		{ cfg_str(v, P_smtpd_tls_eccert_file), cfg_str(v, P_smtpd_tls_eckey_file) },
		{ NULL, NULL },
	};
	bool mandatory = level == TLS_LEVEL_ENCRYPT;
	const struct tls_server_options options = {
		.pairs = pairs,
		.chain_files = (const char *const *)cfg_split(a, cfg_str(v, P_smtpd_tls_chain_files)),
		.protocols = cfg_str(v, mandatory ? P_smtpd_tls_mandatory_protocols : P_smtpd_tls_protocols),
		.open = open,
		.ctx = ctx,
	};
	bool ok = tls_server_load(t, &options, why);
	arena_destroy(&a);
	return ok;
}

void starttls_open(struct server *srv, open_fn *open, void *ctx)
{
	struct ost_why why = { "" };
	if (srv->tls_level == TLS_LEVEL_NONE)
		return;
	srv->tls = tls_server_new();
	if (!load(srv->tls, srv->view, srv->tls_level, open, ctx, &why))
		log_warning("%s: disabling TLS support", why.text);
}

void starttls_renew(struct server *srv, open_fn *open, void *ctx)
{
	struct ost_why why = { "" };
	if (!srv->tls || load(srv->tls, srv->view, srv->tls_level, open, ctx, &why))
		return;
	if (tls_server_usable(srv->tls))
		log_warning("%s: the keys and certificates of before stay in use", why.text);
	else
		log_warning("%s: TLS support stays disabled", why.text);
}

/* ---- `ostler check` ---- */

/* What an unprivileged process may not read it cannot judge. */
static int open_to_check(void *ctx, const char *path, struct ost_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		*(bool *)ctx = errno == EACCES;
	if (fd < 0)
		why_set(why, "%s", strerror(errno));
	return fd;
}

/* Which parameter the reason is about: the one whose value it quotes. */
static const char *culprit(const struct cfg_view *v, const char *reason)
{
	static const enum param_id ids[] = {
		P_smtpd_tls_chain_files, P_smtpd_tls_key_file,	P_smtpd_tls_cert_file,	    P_smtpd_tls_eckey_file, P_smtpd_tls_eccert_file,
		P_smtpd_tls_dkey_file,	 P_smtpd_tls_dcert_file, P_smtpd_tls_mandatory_protocols, P_smtpd_tls_protocols,
	};
	const char *name = NULL;
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof ids / sizeof *ids && !name; i++)
		for (const char **word = cfg_split(a, cfg_str(v, ids[i])); *word && !name; word++)
			if (strstr(reason, *word))
				name = param_get(ids[i])->name;
	arena_destroy(&a);
	return name ? name : "smtpd_tls_security_level";
}

void starttls_check(const struct cfg_view *v, struct findings *findings)
{
	struct ost_why why = { "" };
	enum tls_level level;
	bool denied = false;
	if (!read_level(v, &level, &why)) {
		findings_add(findings, FINDING_FATAL, "%s: %s", cfg_where(v, "smtpd_tls_security_level"), why.text);
		return;
	}
	if (cfg_bool(v, P_smtpd_tls_wrappermode))
		level = TLS_LEVEL_ENCRYPT;
	if (level == TLS_LEVEL_NONE)
		return;
	struct tls_server *t = tls_server_new();
	if (!load(t, v, level, open_to_check, &denied, &why) && !denied) {
		const char *name = culprit(v, why.text);
		findings_add(findings, FINDING_WARNING, "%s: %s: %s: STARTTLS will be refused", cfg_where(v, name), name, why.text);
	}
	tls_server_destroy(&t);
}

/* ---- the command ---- */

bool cmd_starttls(struct session *s, struct words *w)
{
	const struct server *srv = s->server;
	if (w->count != 1) {
		reply(s, "501 5.5.4 Syntax: STARTTLS");
		return false;
	}
	if (session_encrypted(s)) {
		reply(s, "554 5.5.1 Error: TLS already active");
		return false;
	}
	if (srv->tls_level == TLS_LEVEL_NONE || srv->ehlo_hidden & EHLO_STARTTLS) {
		reply(s, "502 5.5.1 Error: command not implemented");
		return false;
	}
	if (!tls_server_usable(srv->tls)) {
		reply(s, "454 4.7.0 TLS not available due to local problem");
		return false;
	}
	reply(s, "220 2.0.0 Ready to start TLS");
	session_begin_tls(s);
	return true;
}

/* ---- the handshake ---- */

bool session_encrypted(const struct session *s)
{
	return s->channel.ssl != NULL;
}

void session_begin_tls(struct session *s)
{
	s->mode = MODE_HANDSHAKE;
	s->deadline = clock_mono() + server_limits(s->server)->starttls_timeout;
	s->in.at = s->in.len; /* RFC 3207 4.2: nothing that came in clear is taken for a command */
}

/* RFC 3207 4.2: what was said in clear is forgotten. */
static void forget(struct session *s)
{
	session_reset_transaction(s);
	auth_reset(s);
	free(s->helo);
	s->helo = NULL;
	s->protocol = PROTO_SMTP;
	s->mode = s->server->tls_wrapper ? MODE_CONNECT : MODE_COMMAND;
}

enum handshake session_handshake(struct session *s)
{
	struct ost_why why = { "" };
	s->in.at = s->in.len;
	switch (tls_accept(s->server->tls, &s->channel, &why)) {
	case TLS_WAIT:
		return HANDSHAKE_WAITS;
	case TLS_FAILED:
		log_info("SSL_accept error from %s: %s", s->peer.namaddr, why.text);
		tls_log_errors();
		return HANDSHAKE_FAILED;
	case TLS_DONE:
		break;
	}
	if (s->server->tls_loglevel >= 1) {
		struct buf b = BUF_INIT;
		tls_describe(&s->channel, "", &b);
		log_info("Anonymous TLS connection established from %s: %s", s->peer.namaddr, buf_str(&b));
		buf_free(&b);
	}
	if (!s->server->tls_wrapper)
		command_starttls_done(s);
	forget(s);
	return HANDSHAKE_OVER;
}

/* ---- what a message's headers say ---- */

const char *session_with_protocol(const struct session *s)
{
	if (s->protocol != PROTO_ESMTP)
		return "SMTP";
	if (auth_in_header(s))
		return session_encrypted(s) ? "ESMTPSA" : "ESMTPA";
	return session_encrypted(s) ? "ESMTPS" : "ESMTP";
}

const char *session_tls_header(const struct session *s)
{
	struct buf b = BUF_INIT;
	if (!session_encrypted(s) || !s->server->tls_header)
		return NULL;
	buf_puts(&b, "(using ");
	tls_describe(&s->channel, "\n\t", &b);
	buf_puts(&b, ")\n\t(No client certificate requested)");
	const char *text = arena_strdup(s->tx ? s->tx->arena : s->arena, buf_str(&b));
	buf_free(&b);
	return text;
}
