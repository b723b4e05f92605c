/* SPDX-License-Identifier: Apache-2.0
 * smtp: delivery to other mail servers by SMTP. */
#include <stdlib.h>
#include <string.h>

#include "transports/smtp/smtp.h"

const struct ost_host *smtp_host;

enum { LINE_LIMIT_LEAST = 12 };

#define AT(member, kind) OST_PARAM_AT(struct smtp_config, member, OST_PARAM_##kind)
static const struct ost_param params[] = {
	{ .name = "smtp_helo_name", AT(helo_name, STRING), .defval = "$myhostname", .help = "The name sent with EHLO and HELO." },
	{ .name = "myhostname", AT(myhostname, STRING), .help = "The fully qualified name of this host." },
	{ .name = "smtp_tcp_port", AT(tcp_port, STRING), .defval = "smtp", .help = "The port that mail is sent to." },
	{ .name = "known_tcp_ports", AT(known_ports, STRING), .help = "Names of ports that need no services file." },
	{ .name = "smtp_fallback_relay", AT(fallback_relay, STRING), .defval = "$fallback_relay",
	  .help = "Where mail goes that no mail exchanger takes." },
	{ .name = "smtp_bind_address", AT(bind4, STRING), .defval = "",
	  .help = "The IPv4 address that connections are made from." },
	{ .name = "smtp_bind_address6", AT(bind6, STRING), .defval = "",
	  .help = "The IPv6 address that connections are made from." },
	{ .name = "smtp_address_preference", AT(preference, STRING), .defval = "any",
	  .help = "Which address family is tried first: any, ipv4, ipv6." },
	{ .name = "smtp_host_lookup", AT(host_lookup, STRING), .defval = "dns",
	  .help = "How hosts are looked up: dns, native (the hosts file, too)." },
	{ .name = "smtp_discard_ehlo_keywords", AT(discard_ehlo, STRING), .defval = "",
	  .help = "EHLO keywords of servers that are not used." },
	{ .name = "smtp_tls_security_level", AT(tls_level, STRING), .defval = "",
	  .help = "Only levels that allow mail in clear are supported: none, may, dane." },
	{ .name = "smtp_connection_cache_destinations", AT(cache_destinations, STRING), .defval = "",
	  .help = "Destinations whose connections are kept for reuse." },
	{ .name = "smtp_connection_cache_on_demand", AT(cache_on_demand, BOOL), .defval = "yes",
	  .help = "Keep connections for reuse." },
	{ .name = "smtp_never_send_ehlo", AT(never_ehlo, BOOL), .defval = "no", .help = "Greet with HELO." },
	{ .name = "smtp_quote_rfc821_envelope", AT(quote_envelope, BOOL), .defval = "yes",
	  .help = "Quote local parts where RFC 5321 asks for it." },
	{ .name = "smtp_randomize_addresses", AT(randomize, BOOL), .defval = "yes",
	  .help = "Shuffle mail exchangers of equal preference." },
	{ .name = "smtp_skip_5xx_greeting", AT(skip_5xx_greeting, BOOL), .defval = "yes",
	  .help = "Try the next mail exchanger when one greets with a 5xx code." },
	{ .name = "smtp_skip_quit_response", AT(skip_quit_response, BOOL), .defval = "yes",
	  .help = "Do not wait for the reply to QUIT." },
	{ .name = "disable_dns_lookups", AT(no_dns, BOOL), .defval = "no", .help = "No DNS: hosts file and relayhost alone." },
	{ .name = "smtp_defer_if_no_mx_address_found", AT(defer_no_mx_address, BOOL), .defval = "no",
	  .help = "Put mail off when no mail exchanger has an address." },
	{ .name = "ignore_mx_lookup_error", AT(ignore_mx_error, BOOL), .defval = "no",
	  .help = "Use the address of the domain itself when its MX lookup fails." },
	{ .name = "smtp_mx_address_limit", AT(address_limit, INT), .defval = "5", .max = INT32_MAX,
	  .help = "How many addresses of mail exchangers are tried (0: all)." },
	{ .name = "smtp_mx_session_limit", AT(session_limit, INT), .defval = "2", .max = INT32_MAX,
	  .help = "How many sessions one delivery makes before it is put off (0: no limit)." },
	{ .name = "smtp_connection_reuse_count_limit", AT(reuse_count_limit, INT), .defval = "0", .max = INT32_MAX,
	  .help = "How many messages go over one connection (0: no limit)." },
	{ .name = "smtp_line_length_limit", AT(line_limit, SIZE), .defval = "998", .max = INT32_MAX,
	  .help = "Longer lines are broken when sent (0: never; else at least 12)." },
	{ .name = "smtp_connection_cache_time_limit", AT(cache_time, TIME), .defval = "2s",
	  .help = "How long an unused connection is kept." },
	{ .name = "smtp_connection_reuse_time_limit", AT(reuse_time, TIME), .defval = "300s",
	  .help = "How long one connection is used." },
	{ .name = "smtp_connect_timeout", AT(connect_timeout, TIME), .defval = "30s",
	  .help = "Time to connect (0: the system's)." },
	{ .name = "smtp_helo_timeout", AT(helo_timeout, TIME), .defval = "300s",
	  .help = "Time for the greeting and for the reply to EHLO and HELO." },
	{ .name = "smtp_mail_timeout", AT(mail_timeout, TIME), .defval = "300s", .help = "Time for the reply to MAIL FROM." },
	{ .name = "smtp_rcpt_timeout", AT(rcpt_timeout, TIME), .defval = "300s", .help = "Time for the reply to RCPT TO." },
	{ .name = "smtp_data_init_timeout", AT(data_init_timeout, TIME), .defval = "120s",
	  .help = "Time for the reply to DATA." },
	{ .name = "smtp_data_xfer_timeout", AT(data_xfer_timeout, TIME), .defval = "180s",
	  .help = "Time without progress while the message is sent." },
	{ .name = "smtp_data_done_timeout", AT(data_done_timeout, TIME), .defval = "600s",
	  .help = "Time for the reply to the end of the message." },
	{ .name = "smtp_rset_timeout", AT(rset_timeout, TIME), .defval = "20s", .help = "Time for the reply to RSET." },
	{ .name = "smtp_quit_timeout", AT(quit_timeout, TIME), .defval = "300s", .help = "Time for the reply to QUIT." },
	{ .name = NULL },
};

static bool smtp_load(const struct ost_host *h, struct ost_why *why)
{
	(void)why;
	smtp_host = h;
	return true;
}

/* Mail that must not go in clear is not sent by a client that cannot do otherwise. */
static bool smtp_config_check(const void *config, struct ost_why *why)
{
	static const char *const in_clear[] = { "", "none", "may", "dane" };
	const struct smtp_config *c = config;
	if (c->line_limit > 0 && c->line_limit < LINE_LIMIT_LEAST)
		return smtp_host->why(why, "smtp_line_length_limit: %lld is too small", (long long)c->line_limit);
	for (size_t i = 0; i < sizeof in_clear / sizeof *in_clear; i++)
		if (strcmp(c->tls_level, in_clear[i]) == 0)
			return true;
	return smtp_host->why(why, "smtp_tls_security_level = %s: this transport has no TLS", c->tls_level);
}

static bool smtp_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	const struct smtp_config *c = config;
	struct smtp *s = calloc(1, sizeof *s);
	if (!s)
		return smtp_host->why(why, "out of memory");
	s->config = c;
	s->instance = instance;
	s->port = port_number(c, c->tcp_port);
	if (s->port == 0) {
		free(s);
		return smtp_host->why(why, "smtp_tcp_port: unknown service: %s/tcp", c->tcp_port);
	}
	pthread_mutex_init(&s->lock, NULL);
	*self = s;
	return true;
}

static void smtp_close(void *self)
{
	struct smtp *s = self;
	cache_expire(s, true);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void deliver(void *self, struct ost_delivery *d)
{
	smtp_deliver(self, d);
}

static void idle(void *self)
{
	cache_expire(self, false);
}

static const struct ost_transport_ops smtp_ops = {
	.ops = { .size = sizeof smtp_ops, .flags = OST_TRANSPORT_PROBES,
		 .params = params,
		 .config_size = sizeof(struct smtp_config),
		 .config_check = smtp_config_check,
		 .open = smtp_open,
		 .close = smtp_close },
	.deliver = deliver,
	.idle = idle,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_TRANSPORT, "smtp", &smtp_ops.ops },
	{ .kind = OST_KIND_END },
};

OST_MODULE(smtp, .version = "1.0", .summary = "delivers to other mail servers by SMTP", .license = "Apache-2.0",
	   .provides = provides, .load = smtp_load);
