/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transports/smtp/smtp.h"

enum { SERVERS_MAX = 32, SMTP_PORT = 25 };

struct tries { /* how much of smtp_mx_address_limit and smtp_mx_session_limit is used up */
	int64_t addresses, sessions;
};

/* One transaction on a session, then the session goes where it belongs. */
static enum transacted use_session(struct job *j, struct session *s)
{
	smtp_host->mark_connected(j->d);
	enum transacted result = transaction(j, s);
	cache_give(j->smtp, s);
	return result;
}

/* Connections that are there already. */
static void try_cached(struct job *j, const char *key)
{
	struct session *s;
	while (j->left > 0 && (s = cache_take(j->smtp, key)))
		if (use_session(j, s) == TRANSACTED)
			return;
}

static bool limit_reached(int64_t used, int64_t limit)
{
	return limit > 0 && used >= limit;
}

static void try_server(struct job *j, const struct ost_mx *mx, uint16_t port, const char *key, struct tries *tries)
{
	bool greeted;
	tries->addresses++;
	struct session *s = session_open(j, mx, port, key, &greeted);
	tries->sessions += greeted;
	if (s)
		use_session(j, s);
}

/* smtp_address_preference, within each preference of the servers. */
static void sort_families(const struct smtp_config *c, struct ost_mx *list, size_t n)
{
	bool ipv6 = strcmp(c->preference, "ipv6") == 0;
	if (!ipv6 && strcmp(c->preference, "ipv4") != 0)
		return;
	for (size_t i = 1; i < n; i++) /* few, and mostly sorted */
		for (size_t k = i; k > 0 && list[k].preference == list[k - 1].preference && list[k].ipv6 == ipv6 &&
				   list[k - 1].ipv6 != ipv6; k--) {
			struct ost_mx swap = list[k];
			list[k] = list[k - 1];
			list[k - 1] = swap;
		}
}

/* No server was found. */
static void no_server(struct job *j, enum ost_dns why_not, const struct ost_why *why)
{
	static const struct {
		enum ost_delivered status;
		const char *dsn;
	} outcomes[] = {
		[OST_DNS_NOTFOUND] = { OST_BOUNCED, "5.4.4" },
		[OST_DNS_NULLMX] = { OST_BOUNCED, "5.1.0" },
		[OST_DNS_TEMPFAIL] = { OST_DEFERRED, "4.4.3" },
		[OST_DNS_LOOP] = { OST_BOUNCED, "5.4.6" },
	};
	bool later = why_not == OST_DNS_NOTFOUND && j->smtp->config->defer_no_mx_address;
	outcome_all(j, NULL, &(struct outcome_text){ .status = later ? OST_DEFERRED : outcomes[why_not].status,
						     .dsn = later ? "4.4.4" : outcomes[why_not].dsn, .text = why->text,
						     .flags = OST_REPORT_DESTINATION });
}

static unsigned lookup_flags(const struct job *j, const struct hop *hop)
{
	const struct smtp_config *c = j->smtp->config;
	unsigned flags = hop->mx && !c->no_dns ? OST_SERVERS_MX : 0;
	if (c->randomize)
		flags |= OST_SERVERS_SHUFFLE;
	if (c->no_dns || strstr(c->host_lookup, "native"))
		flags |= OST_SERVERS_NATIVE;
	return flags | (j->loops ? OST_SERVERS_LOOPS : 0);
}

/* All servers of one destination, until nobody is left or a limit is reached. */
static void try_hop(struct job *j, const struct hop *hop, const char *key, bool more)
{
	struct ost_mx list[SERVERS_MAX];
	struct ost_why why = { .text = "" };
	struct tries tries = { 0 };
	const struct smtp_config *c = j->smtp->config;
	size_t n = 0;
	j->loops = hop->port == SMTP_PORT;
	enum ost_dns found = smtp_host->mail_servers(j->smtp->instance, hop->host, lookup_flags(j, hop), list, SERVERS_MAX, &n,
						     smtp_host->now() + INT64_C(60000000), &why);
	if (found == OST_DNS_TEMPFAIL && c->ignore_mx_error && hop->mx)
		found = smtp_host->mail_servers(j->smtp->instance, hop->host, lookup_flags(j, hop) & ~OST_SERVERS_MX, list,
						SERVERS_MAX, &n, smtp_host->now() + INT64_C(60000000), &why);
	if (found != OST_DNS_OK) {
		if (!more)
			no_server(j, found, &why);
		return;
	}
	sort_families(c, list, n);
	for (size_t i = 0; i < n && j->left > 0; i++) {
		if (limit_reached(tries.addresses, c->address_limit) || limit_reached(tries.sessions, c->session_limit))
			break;
		try_server(j, &list[i], hop->port, key, &tries);
	}
}

/* The destinations of a list. more: others follow, so that a failed lookup says nothing yet. */
static void try_list(struct job *j, const char *list, const char *key, bool more)
{
	struct ost_why why = { .text = "" };
	struct hop hop;
	int got;
	while (j->left > 0 && (got = hop_next(j->smtp, &list, &hop, &why)) != 0) {
		if (got > 0) {
			bool another = list[strspn(list, ", \t\r\n")] != '\0';
			try_hop(j, &hop, key, more || another);
			continue;
		}
		smtp_host->log(j->smtp->instance, OST_LOG_WARNING, "%s", why.text);
		outcome_all(j, NULL, &(struct outcome_text){ .status = OST_DEFERRED, .dsn = "4.3.5",
							     .text = "mail system configuration error" });
	}
}

/* The cache knows destinations by their name in lower case. */
static void make_key(char *key, size_t size, const char *nexthop)
{
	size_t i = 0;
	for (; nexthop[i] && i + 1 < size; i++)
		key[i] = (char)tolower((unsigned char)nexthop[i]);
	key[i] = '\0';
}

struct job *job_begin(struct smtp *smtp, struct ost_delivery *d)
{
	struct job *j = calloc(1, sizeof *j);
	struct rcpt *rcpts = calloc(d->nrcpts, sizeof *rcpts);
	if (!j || !rcpts)
		abort();
	*j = (struct job){ .smtp = smtp, .d = d, .rcpts = rcpts, .left = d->nrcpts };
	if (d->flags & OST_MSG_REQUIRETLS)
		outcome_all(j, NULL, &(struct outcome_text){ .status = OST_BOUNCED, .dsn = "5.7.30",
							     .text = "REQUIRETLS support required" });
	return j;
}

void job_finish(struct job *j)
{
	outcome_report_left(j);
	smtp_host->finish(j->d);
	j->d = NULL;
}

void job_end(struct job **jp)
{
	struct job *j = *jp;
	if (j->d)
		job_finish(j);
	free(j->lasts);
	free(j->rcpts);
	free(j);
	*jp = NULL;
}

/* Connections that are there, then new ones, to all servers of the next hop. */
static void deliver_job(struct job *j)
{
	char key[512];
	const char *fallback = j->smtp->config->fallback_relay;
	make_key(key, sizeof key, j->d->nexthop);
	if (strlen(j->d->nexthop) < sizeof key)
		try_cached(j, key);
	if (j->left > 0)
		try_list(j, j->d->nexthop, key, *fallback != '\0');
	if (j->left > 0 && *fallback)
		try_list(j, fallback, key, false);
}

void smtp_deliver(struct smtp *smtp, struct ost_delivery *d)
{
	struct job *j = job_begin(smtp, d);
	deliver_job(j);
	struct job *waiting = j->waiting;
	job_end(&j);
	while (waiting) {
		j = waiting;
		waiting = j->waiting;
		j->waiting = NULL;
		j->alone = true;
		deliver_job(j);
		job_end(&j);
	}
}
