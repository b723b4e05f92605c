/* SPDX-License-Identifier: Apache-2.0 */
#include "smtpd/limits.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "process/rates.h"
#include "smtpd/restrict.h"

/* Postfix's words. */
static const struct limit {
	enum param_id param;
	enum rate_kind rate;
	const char *what, *much; /* of the log; of the reply */
} limits[LIMIT_KINDS] = {
	[LIMIT_CONNECTIONS] = { P_smtpd_client_connection_rate_limit, RATE_CONNECTIONS, "Connection rate limit exceeded",
				"too many connections" },
	[LIMIT_MESSAGES] = { P_smtpd_client_message_rate_limit, RATE_MESSAGES,
			     "Message delivery request rate limit exceeded", "too much mail" },
	[LIMIT_RECIPIENTS] = { P_smtpd_client_recipient_rate_limit, RATE_RECIPIENTS,
			       "Recipient address rate limit exceeded", "too many recipients" },
};

void limits_read(struct client_limits *to, const struct cfg_view *v)
{
	for (int i = 0; i < LIMIT_KINDS; i++)
		to->per_unit[i] = cfg_int(v, limits[i].param);
	to->unit = cfg_time(v, P_anvil_rate_time_unit) / CLOCK_SECOND;
	to->ipv4_bits = (int)cfg_int(v, P_smtpd_client_ipv4_prefix_length);
	to->ipv6_bits = (int)cfg_int(v, P_smtpd_client_ipv6_prefix_length);
}

void limits_begin(struct session *s)
{
	s->unlimited = restrict_client_listed(s, s->server->limit_exceptions);
}

/* Clears the bits of an address behind the first `keep`. */
static void cut(unsigned char *address, int bytes, int keep)
{
	for (int i = 0; i < bytes; i++, keep -= 8)
		if (keep < 8)
			address[i] &= (unsigned char)(keep <= 0 ? 0 : 0xff00 >> keep);
}

const char *limits_network(char out[INET6_ADDRSTRLEN], int family, const char *text, int bits)
{
	unsigned char address[sizeof(struct in6_addr)];
	if ((family != AF_INET && family != AF_INET6) || inet_pton(family, text, address) != 1)
		return text;
	cut(address, family == AF_INET6 ? 16 : 4, bits);
	return inet_ntop(family, address, out, INET6_ADDRSTRLEN);
}

const char *limits_key(struct session *s)
{
	const struct client_limits *l = &s->server->client_limits;
	char room[INET6_ADDRSTRLEN];
	if (!s->limit_key) {
		int bits = s->peer.family == AF_INET6 ? l->ipv6_bits : l->ipv4_bits;
		s->limit_key = arena_printf(s->arena, "%s:%s", cfg_service_name(s->server->view),
					    limits_network(room, s->peer.family, s->peer.address, bits));
	}
	return s->limit_key;
}

unsigned limits_count(struct session *s, enum limit_kind kind)
{
	const struct client_limits *l = &s->server->client_limits;
	if (l->per_unit[kind] == 0 || s->unlimited)
		return 0;
	return rates_count(limits[kind].rate, limits_key(s), clock_mono() / CLOCK_SECOND, l->unit);
}

bool limits_allow(struct session *s, enum limit_kind kind, unsigned count)
{
	const struct server *srv = s->server;
	const struct limit *limit = &limits[kind];
	if (count == 0 || count <= srv->client_limits.per_unit[kind])
		return true;
	log_warning("%s: %u from %s for service %s", limit->what, count, s->peer.namaddr, cfg_service_name(srv->view));
	if (kind == LIMIT_CONNECTIONS)
		reply(s, "421 4.7.0 %s Error: too many connections from %s", srv->myhostname, s->peer.address);
	else
		reply(s, "450 4.7.1 Error: %s from %s", limit->much, s->peer.address);
	return false;
}
