/* SPDX-License-Identifier: Apache-2.0
 * What check modules may ask of a session: the host services of ostler/host.h that this folder provides. */
#include <stdio.h>
#include <string.h>

#include "base/magic.h"
#include "module/hosts.h"
#include "smtpd/auth.h"
#include "smtpd/check.h"

static const char *f_client_address(const struct check *c)
{
	return c->s->peer.address;
}
static const char *f_client_name(const struct check *c)
{
	return c->s->peer.name;
}
static const char *f_reverse_client_name(const struct check *c)
{
	return c->s->peer.reverse_name;
}
static const char *f_client_port(const struct check *c)
{
	return c->s->peer.port;
}
static const char *f_helo_name(const struct check *c)
{
	return c->s->helo;
}
static const char *f_sender(const struct check *c)
{
	return c->s->tx ? c->s->tx->sender : NULL;
}
static const char *f_recipient(const struct check *c)
{
	return c->rcpt;
}
static const char *f_protocol_name(const struct check *c)
{
	return c->s->protocol == PROTO_ESMTP ? "ESMTP" : "SMTP";
}
static const char *f_protocol_state(const struct check *c)
{
	return c->s->where;
}
static const char *f_queue_id(const struct check *c)
{
	return c->s->tx && c->s->tx->draft ? c->s->tx->queue_id : NULL;
}
static const char *f_size(const struct check *c)
{
	const struct transaction *tx = c->s->tx;
	return tx ? arena_printf(c->arena, "%llu", (unsigned long long)(tx->scan.size ? tx->scan.size : tx->declared_size))
		  : NULL;
}
static const char *f_recipient_count(const struct check *c)
{
	return c->s->tx ? arena_printf(c->arena, "%zu", c->s->tx->rcpts) : NULL;
}
static const char *f_sasl_method(const struct check *c)
{
	return auth_method(c->s);
}
static const char *f_sasl_username(const struct check *c)
{
	return auth_user(c->s);
}
static const char *f_sasl_sender(const struct check *c)
{
	return c->s->tx ? c->s->tx->sasl_sender : NULL;
}
static const char *f_server_name(const struct check *c)
{
	return c->s->server->myhostname;
}

/* By the names of the policy delegation protocol. */
static const struct {
	const char *name;
	const char *(*get)(const struct check *);
} fields[] = {
	{ "client_address", f_client_address },
	{ "client_name", f_client_name },
	{ "reverse_client_name", f_reverse_client_name },
	{ "client_port", f_client_port },
	{ "helo_name", f_helo_name },
	{ "sender", f_sender },
	{ "recipient", f_recipient },
	{ "protocol_name", f_protocol_name },
	{ "protocol_state", f_protocol_state },
	{ "queue_id", f_queue_id },
	{ "size", f_size },
	{ "recipient_count", f_recipient_count },
	{ "server_name", f_server_name },
	{ "sasl_method", f_sasl_method },
	{ "sasl_username", f_sasl_username },
	{ "sasl_sender", f_sasl_sender },
};

static const char *session_field(const struct ost_session *os, const char *name)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].get(os->check);
	return NULL;
}

static void set_reply(struct ost_session *os, int code, const char *dsn, const char *text)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	os->code = code;
	snprintf(os->dsn, sizeof os->dsn, "%s", dsn ? dsn : "");
	snprintf(os->text, sizeof os->text, "%s", text ? text : "");
}

static enum ost_verdict access_action(struct ost_session *os, const char *action, const char *kind, const char *object)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	switch (access_apply(os->check, action, kind, object)) {
	case OUTCOME_PERMIT:
		return OST_PERMIT;
	case OUTCOME_REJECT:
		os->rejected = true;
		return OST_REJECT;
	case OUTCOME_DUNNO:
		break;
	}
	return OST_DUNNO;
}

static const struct mod_session_ops session_ops = {
	.session_field = session_field,
	.reply = set_reply,
	.access_action = access_action,
};

void restrict_install_host(void)
{
	mod_host_set_session(&session_ops);
}
