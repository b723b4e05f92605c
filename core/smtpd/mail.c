/* SPDX-License-Identifier: Apache-2.0
 * MAIL, RCPT, DATA, VRFY, ETRN: the commands that carry addresses. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "mail/address.h"
#include "mail/ascii.h"
#include "smtpd/command.h"
#include "smtpd/esmtp.h"
#include "smtpd/limits.h"
#include "smtpd/restrict.h"

/* Says which address was refused, for the log. */
static void log_bad_address(const struct session *s, const char *text, size_t len)
{
	char clean[101];
	log_warning("Illegal address syntax from %s in %s command: %s", s->peer.namaddr, s->where,
		    sanitize_into(clean, sizeof clean, text, len, SANITIZE_LOG));
}

/* Does it make sense as an envelope address, whatever tables say? */
static bool address_sane(const struct session *s, const char *address)
{
	const char *domain = address_domain(address);
	if (address[0] == '-' && !cfg_bool(s->server->view, P_allow_min_user))
		return false;
	if (!domain)
		return true;
	size_t len = strlen(domain);
	if (len > 1 && domain[len - 1] == '.')
		len--;
	return domain_valid(domain, len) || domain_literal_valid(domain, len);
}

/* "FROM:<address> parameters": the address, and the parameters as words. */
struct path_line {
	const char *address;
	struct words params;
};
enum path_outcome { PATH_OK, PATH_SYNTAX, PATH_BAD_ADDRESS };

/* Reads what follows the command. keyword: "FROM:" or "TO:". */
static enum path_outcome read_path(struct session *s, struct arena *a, const struct words *w, const char *keyword,
				   struct path_line *out)
{
	size_t klen = strlen(keyword), used;
	if (w->count < 2 || w->word[1].len < klen || strncasecmp(w->word[1].at, keyword, klen) != 0)
		return PATH_SYNTAX;
	const char *text = w->word[1].at + klen, *end = w->line + w->len;
	if (w->count == 2 && w->word[1].len == klen)
		return PATH_SYNTAX;
	while (text < end && ascii_space((unsigned char)*text))
		text++;
	enum address_outcome got =
		address_parse_path(a, text, (size_t)(end - text), s->server->strict_rfc821, &out->address, &used);
	const char *rest = text + used;
	if (got != ADDRESS_OK || (rest < end && !ascii_space((unsigned char)*rest)) || !address_sane(s, out->address)) {
		if (*text != '<' || memchr(text, '>', (size_t)(end - text)))
			log_bad_address(s, text, (size_t)(end - text));
		return PATH_BAD_ADDRESS;
	}
	words_split(&out->params, rest, (size_t)(end - rest));
	return PATH_OK;
}

/* Is there room for a message of the size that the client announced? */
static bool check_size(struct session *s, uint64_t size)
{
	const struct server *srv = s->server;
	const char *text = NULL;
	if (srv->message_limit && size > srv->message_limit)
		text = "552 5.3.4 Message size exceeds fixed limit";
	else if (srv->spool && spool_has_room(srv->spool, size) != SPOOL_STORED)
		text = "452 4.3.1 Insufficient system storage";
	if (!text)
		return true;
	log_whatsup(s, "reject", text);
	reply_text(s, text);
	return false;
}

bool cmd_mail(struct session *s, struct words *w)
{
	struct path_line path;
	if (s->server->helo_required && !s->helo) {
		reply(s, "503 5.5.1 Error: send HELO/EHLO first");
		return false;
	}
	if (s->tx) {
		reply(s, "503 5.5.1 Error: nested MAIL command");
		return false;
	}
	session_transaction_begin(s);
	struct transaction *tx = s->tx;
	enum path_outcome got = read_path(s, tx->arena, w, "FROM:", &path);
	if (got != PATH_SYNTAX && !limits_pass(s, LIMIT_MESSAGES)) {
		session_reset_transaction(s);
		return false;
	}
	switch (got) {
	case PATH_SYNTAX:
		reply(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
		break;
	case PATH_BAD_ADDRESS:
		reply(s, "501 5.1.7 Bad sender address syntax");
		break;
	case PATH_OK:
		tx->sender = path.address;
		if (!esmtp_mail_params(s, &path.params) || !check_size(s, tx->declared_size))
			break;
		if (!s->server->delay_reject && !restrict_mail(s)) {
			reply_text(s, buf_str(&s->verdict.reply));
			break;
		}
		reply(s, "250 2.1.0 Ok");
		return true;
	}
	session_reset_transaction(s);
	return false;
}

/* The first recipient: the message gets its name. */
static void open_message(struct session *s)
{
	struct transaction *tx = s->tx;
	tx->draft = spool_draft_new(s->server->writer);
	queue_id_text(tx->queue_id, spool_draft_serial(tx->draft), s->server->long_queue_ids);
	tx->set = rcpt_set_new(s->server->cleaner, tx->arena);
	log_info("%s: client=%s", tx->queue_id, s->peer.namaddr);
}

/* RCPT: all that is checked before the restrictions. */
static bool rcpt_begin(struct session *s, struct words *w, struct path_line *path, struct rcpt_params *params)
{
	if (!s->tx) {
		reply(s, "503 5.5.1 Error: need MAIL command");
		return false;
	}
	enum path_outcome got = read_path(s, s->tx->arena, w, "TO:", path);
	if (got == PATH_SYNTAX) {
		reply(s, "501 5.5.4 Syntax: RCPT TO:<address>");
		return false;
	}
	if (!limits_pass(s, LIMIT_RECIPIENTS))
		return false;
	if (got == PATH_OK && !*path->address) {
		log_bad_address(s, "<>", 2);
		got = PATH_BAD_ADDRESS;
	}
	if (got == PATH_BAD_ADDRESS) {
		reply(s, "501 5.1.3 Bad recipient address syntax");
		return false;
	}
	return esmtp_rcpt_params(s, &path->params, params);
}

bool cmd_rcpt(struct session *s, struct words *w)
{
	struct path_line path;
	struct rcpt_params params = { 0 };
	if (!rcpt_begin(s, w, &path, &params))
		return false;
	struct transaction *tx = s->tx;
	if (tx->rcpts >= (uint64_t)s->server->recipient_limit) {
		reply(s, "452 4.5.3 Error: too many recipients");
		return s->overshoot++ < s->server->overshoot_limit;
	}
	s->checked_rcpt = path.address;
	bool ok = restrict_rcpt(s, path.address);
	if (!ok) {
		reply_text(s, buf_str(&s->verdict.reply));
	} else {
		if (!tx->draft)
			open_message(s);
		rcpt_set_add(tx->set, path.address, params.orcpt, params.notify);
		if (tx->rcpts++ == 0)
			tx->first_rcpt = path.address;
		reply(s, "250 2.1.5 Ok");
	}
	s->checked_rcpt = NULL;
	return ok;
}

bool cmd_data(struct session *s, struct words *w)
{
	if (!s->tx || s->tx->rcpts == 0) {
		if (!s->tx)
			reply(s, "503 5.5.1 Error: need RCPT command");
		else
			reply(s, "554 5.5.1 Error: no valid recipients");
		return false;
	}
	if (w->count != 1) {
		reply(s, "501 5.5.4 Syntax: DATA");
		return false;
	}
	if (!restrict_data(s)) {
		reply_text(s, buf_str(&s->verdict.reply));
		return false;
	}
	reply(s, "354 End data with <CR><LF>.<CR><LF>");
	data_begin(s);
	return true;
}

bool command_verify(struct session *s, struct words *w)
{
	size_t len, used;
	const char *text = words_rest(w, 1, &len), *address;
	struct arena *a = arena_new();
	bool ok = address_parse_path(a, text, len, false, &address, &used) == ADDRESS_OK && used == len && *address &&
		  address_sane(s, address);
	if (!ok) {
		log_bad_address(s, text, len);
		reply(s, "501 5.1.3 Bad recipient address syntax");
	} else {
		s->checked_rcpt = address;
		ok = restrict_vrfy(s, address);
		s->checked_rcpt = NULL;
		if (ok)
			reply(s, "252 2.0.0 %.*s", (int)len, text);
		else
			reply_text(s, buf_str(&s->verdict.reply));
	}
	arena_destroy(&a);
	return ok;
}

bool command_etrn(struct session *s, struct words *w)
{
	struct arena *a = arena_new();
	char *domain = arena_strndup(a, w->word[1].at, w->word[1].len);
	struct ost_why why;
	const char *name = domain + (*domain == '@' || *domain == '#');
	bool ok = false;
	if (!domain_valid(name, strlen(name)) && !domain_literal_valid(name, strlen(name))) {
		reply(s, "501 Error: invalid parameter syntax");
	} else if (!restrict_etrn(s)) {
		reply_text(s, buf_str(&s->verdict.reply));
	} else if (!s->server->flush_site || resolver_domain_class(s->server->resolver, a, name, &why) != CLASS_RELAY) {
		log_warning("reject: ETRN %.100s... from %s", domain, s->peer.namaddr);
		reply(s, "459 <%s>: service unavailable", domain);
	} else if (!s->server->flush_site(s->server->flush_ctx, name)) {
		reply(s, "458 Unable to queue messages");
	} else {
		reply(s, "250 Queuing started");
		ok = true;
	}
	arena_destroy(&a);
	return ok;
}
