/* SPDX-License-Identifier: Apache-2.0
 * What check modules may ask of a session: the host services of ostler/host.h that this folder provides. */
#include <stdio.h>
#include <string.h>

#include "base/magic.h"
#include "module/hosts.h"
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
static const char *f_recipient_routed(const struct check *c)
{
	struct check run = *c;
	return c->rcpt && !c->r->untrusted_routing && check_resolve_rcpt(&run)->routed ? "yes" : NULL;
}
static const char *f_etrn_domain(const struct check *c)
{
	return c->etrn;
}
static const char *f_client(const struct check *c)
{
	return c->s->peer.namaddr;
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
static const char *f_server_name(const struct check *c)
{
	return c->s->server->myhostname;
}

/* By the names of the policy delegation protocol. */
static const struct {
	const char *name;
	const char *(*get)(const struct check *);
} fields[] = {
	{ "client", f_client },
	{ "client_address", f_client_address },
	{ "client_name", f_client_name },
	{ "reverse_client_name", f_reverse_client_name },
	{ "client_port", f_client_port },
	{ "helo_name", f_helo_name },
	{ "sender", f_sender },
	{ "recipient", f_recipient },
	{ "recipient_routed", f_recipient_routed },
	{ "etrn_domain", f_etrn_domain },
	{ "protocol_name", f_protocol_name },
	{ "protocol_state", f_protocol_state },
	{ "queue_id", f_queue_id },
	{ "size", f_size },
	{ "recipient_count", f_recipient_count },
	{ "server_name", f_server_name },
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
		os->permitted = true;
		return OST_PERMIT;
	case OUTCOME_REJECT:
		os->rejected = true;
		return OST_REJECT;
	case OUTCOME_DUNNO:
		break;
	}
	return OST_DUNNO;
}

static enum ost_dns session_servers(struct ost_session *os, const char *domain, enum ost_servers kind, const char *const **names,
				    struct ost_why *why)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	return check_servers(os->check, domain, kind == OST_SERVERS_OF_MAIL ? DNS_MX : DNS_NS, names, why);
}

static const struct mod_session_ops session_ops = {
	.session_field = session_field,
	.reply = set_reply,
	.access_action = access_action,
	.session_servers = session_servers,
};

void restrict_install_host(void)
{
	mod_host_set_session(&session_ops);
}
