/* SPDX-License-Identifier: Apache-2.0
 * What check modules, and through them policy servers, may know of a session: fields by their names in the policy
 * delegation protocol (SMTPD_POLICY_README of Postfix), and what the restriction that asks is about. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
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
	bool known = c->stage == STAGE_DATA || c->stage == STAGE_END_OF_DATA; /* before, it would be that of the moment */
	return known && c->s->tx ? arena_printf(c->arena, "%zu", c->s->tx->rcpts) : NULL;
}
/* The same for all questions about one message, and for no others. */
static const char *f_instance(const struct check *c)
{
	int64_t at = c->s->tx ? c->s->tx->arrival : 0;
	return arena_printf(c->arena, "%x.%llx.%llx.%x", (unsigned)getpid(), (unsigned long long)(at / CLOCK_SECOND),
			    (unsigned long long)(at % CLOCK_SECOND), (unsigned)c->s->fd);
}
static const char *f_stress(const struct check *c)
{
	return server_stressed(c->s->server) ? "yes" : "";
}
/* This end of the connection: its address, or its port. */
static const char *server_end(const struct check *c, bool port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { .v6 = { 0 } };
	socklen_t len = sizeof at;
	char text[INET6_ADDRSTRLEN];
	if (getsockname(c->s->fd, &at.any, &len) < 0 || (at.any.sa_family != AF_INET && at.any.sa_family != AF_INET6))
		return NULL;
	bool six = at.any.sa_family == AF_INET6, mapped = six && IN6_IS_ADDR_V4MAPPED(&at.v6.sin6_addr);
	if (port)
		return arena_printf(c->arena, "%u", ntohs(six ? at.v6.sin6_port : at.v4.sin_port));
	const void *bytes = !six ? (const void *)&at.v4.sin_addr : mapped ? at.v6.sin6_addr.s6_addr + 12 : at.v6.sin6_addr.s6_addr;
	return inet_ntop(six && !mapped ? AF_INET6 : AF_INET, bytes, text, sizeof text) ? arena_strdup(c->arena, text) : NULL;
}
static const char *f_server_address(const struct check *c)
{
	return server_end(c, false);
}
static const char *f_server_port(const struct check *c)
{
	return server_end(c, true);
}
/* Is the recipient's domain one that this system takes mail for? "yes", or NULL. */
static const char *f_recipient_authorized(const struct check *c)
{
	struct check run = *c;
	return core_restriction_find("permit_auth_destination")->run(&run, NULL) == OUTCOME_PERMIT ? "yes" : NULL;
}
static const char *f_checked_object(const struct check *c)
{
	return c->name;
}
static const char *f_checked_kind(const struct check *c)
{
	return c->kind;
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
	{ "instance", f_instance },
	{ "stress", f_stress },
	{ "server_address", f_server_address },
	{ "server_port", f_server_port },
	{ "recipient_authorized", f_recipient_authorized },
	{ "checked_object", f_checked_object },
	{ "checked_kind", f_checked_kind },
	{ "server_name", f_server_name },
};

const char *policy_field(const struct check *c, const char *name)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].get(c);
	return NULL;
}
