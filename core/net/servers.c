/* SPDX-License-Identifier: Apache-2.0 */
#include "net/servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"
#include "base/mem.h"
#include "net/self.h"

enum { HOSTS_FILE_MAX = 1024 * 1024, HOSTS_MAX = 20, ADDRESSES_MAX = 32 };

/* The process's resolver and what it must know; set once at the start. */
static struct {
	struct dns *dns;
	struct self *self;
	bool ipv4, ipv6;
} net;

struct dns *net_dns(void)
{
	return net.dns;
}

void net_servers_end(void)
{
	dns_destroy(&net.dns);
	self_destroy(&net.self);
}

void net_servers_init(const struct cfg_view *view)
{
	const char *protocols = cfg_str(view, P_inet_protocols);
	net_servers_end();
	net.dns = dns_new(cfg_str(view, P_ostler_resolver_file));
	net.self = self_new(view);
	net.ipv4 = strstr(protocols, "ipv4") || strstr(protocols, "all");
	net.ipv6 = strstr(protocols, "ipv6") || strstr(protocols, "all");
}

/* ---- one lookup under way -------------------------------------------------------------------------------------------- */

struct search {
	struct arena *arena;
	unsigned flags;
	struct ost_mx *list;
	size_t max, count;
	int64_t deadline;
	struct ost_why *why;
};

static void add_server(struct search *s, const char *host, const char *address, uint16_t preference)
{
	if (s->count == s->max)
		return;
	struct ost_mx *m = &s->list[s->count++];
	*m = (struct ost_mx){ .preference = preference, .ipv6 = strchr(address, ':') != NULL };
	snprintf(m->host, sizeof m->host, "%s", host);
	snprintf(m->address, sizeof m->address, "%s", address);
}

/* "[1.2.3.4]", "[IPv6:::1]", "[::1]", "1.2.3.4"; false: not an address. */
static bool literal(const char *text, char address[64])
{
	struct in6_addr space;
	size_t len = strlen(text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len > 5 && strncasecmp(text, "IPv6:", 5) == 0) {
		text += 5;
		len -= 5;
	}
	if (len >= 64)
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	return inet_pton(AF_INET, address, &space) == 1 || inet_pton(AF_INET6, address, &space) == 1;
}

/* The next word of a line, which it cuts up; NULL: none. */
static char *next_word(char **line)
{
	char *word;
	while ((word = strsep(line, " \t\r")) && *word == '\0')
		;
	return word;
}

/* The addresses that the hosts file has for a name. */
static size_t from_hosts_file(struct search *s, const char *name, uint16_t preference)
{
	size_t len, before = s->count;
	char *text = io_read_file(AT_FDCWD, "/etc/hosts", HOSTS_FILE_MAX, &len);
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		char plain[64], *word;
		line[strcspn(line, "#")] = '\0';
		if (!(word = next_word(&line)) || !literal(word, plain) || !(strchr(plain, ':') ? net.ipv6 : net.ipv4))
			continue;
		while ((word = next_word(&line)) && strcasecmp(word, name) != 0)
			;
		if (word)
			add_server(s, name, plain, preference);
	}
	free(text);
	return s->count - before;
}

/* The reason in Postfix's words. */
static void explain(struct search *s, const char *name, enum dns_type type, const struct ost_why *reason)
{
	why_set(s->why, "Host or domain name not found. Name service error for name=%.120s type=%s: %s", name,
		dns_type_name(type), reason->text);
}

static enum ost_dns outcome_of(enum dns_outcome outcome)
{
	return outcome == DNS_FOUND ? OST_DNS_OK : outcome == DNS_TRY_LATER ? OST_DNS_TEMPFAIL : OST_DNS_NOTFOUND;
}

/* All addresses of a host. With one family found the other's failure does not matter. */
static enum ost_dns add_host(struct search *s, const char *host, uint16_t preference)
{
	static const enum dns_type families[] = { DNS_A, DNS_AAAA };
	enum ost_dns result = OST_DNS_NOTFOUND;
	size_t before = s->count;
	char address[64];
	if (literal(host, address)) { /* not RFC 5321, but seen as a mail exchanger */
		add_server(s, address, address, preference);
		return OST_DNS_OK;
	}
	if (s->flags & OST_SERVERS_NATIVE && from_hosts_file(s, host, preference) > 0)
		return OST_DNS_OK;
	for (size_t i = 0; i < 2; i++) {
		struct dns_answer answer;
		struct ost_why reason = { .text = "" };
		if (!(families[i] == DNS_A ? net.ipv4 : net.ipv6))
			continue;
		enum dns_outcome o = dns_lookup(net.dns, s->arena, host, families[i], s->deadline, &answer, &reason);
		for (size_t k = 0; k < answer.count && k < ADDRESSES_MAX; k++)
			add_server(s, host, answer.list[k].text, preference);
		if (o != DNS_FOUND && s->count == before && (result == OST_DNS_NOTFOUND || o == DNS_TRY_LATER)) {
			result = outcome_of(o);
			explain(s, host, families[i], &reason);
		}
	}
	return s->count > before ? OST_DNS_OK : result;
}

static bool is_self(const struct search *s, const struct ost_mx *m)
{
	return self_owns(net.self, m->address) || (s->flags & OST_SERVERS_MX && self_is_loopback(m->address));
}

/* Leaves out this machine and all servers that are not better; OST_DNS_LOOP when nothing is left (RFC 5321 5.1). */
static enum ost_dns drop_self(struct search *s, const char *domain)
{
	for (size_t i = 0; i < s->count; i++) {
		if (!is_self(s, &s->list[i]))
			continue;
		size_t keep = 0;
		while (keep < s->count && s->list[keep].preference < s->list[i].preference)
			keep++;
		s->count = keep;
		break;
	}
	if (s->count > 0)
		return OST_DNS_OK;
	why_set(s->why, "mail for %.200s loops back to myself", domain);
	return OST_DNS_LOOP;
}

/* Random order within each preference. */
static void shuffle(struct search *s)
{
	for (size_t from = 0; from < s->count;) {
		size_t to = from + 1;
		while (to < s->count && s->list[to].preference == s->list[from].preference)
			to++;
		for (size_t i = to - 1; i > from; i--) {
			size_t k = from + arc4random_uniform((uint32_t)(i - from + 1));
			struct ost_mx swap = s->list[i];
			s->list[i] = s->list[k];
			s->list[k] = swap;
		}
		from = to;
	}
}

static int by_preference(const void *a, const void *b)
{
	return (int)((const struct dns_record *)a)->preference - (int)((const struct dns_record *)b)->preference;
}

static enum ost_dns finish(struct search *s, const char *domain)
{
	enum ost_dns result = s->flags & OST_SERVERS_LOOPS ? drop_self(s, domain) : OST_DNS_OK;
	if (result == OST_DNS_OK && s->flags & OST_SERVERS_SHUFFLE)
		shuffle(s);
	return result;
}

/* The addresses of the mail exchangers, best first, of at most HOSTS_MAX of them. */
static enum ost_dns add_exchangers(struct search *s, const char *domain, struct dns_answer *mx)
{
	enum ost_dns result = OST_DNS_NOTFOUND;
	if (mx->count == 1 && mx->list[0].text[0] == '\0') {
		why_set(s->why, "Domain %.200s does not accept mail (nullMX)", domain);
		return OST_DNS_NULLMX;
	}
	qsort(mx->list, mx->count, sizeof *mx->list, by_preference);
	for (size_t i = 0; i < mx->count && i < HOSTS_MAX && s->count < s->max; i++) {
		if (mx->list[i].text[0] == '\0')
			continue;
		enum ost_dns one = add_host(s, mx->list[i].text, mx->list[i].preference);
		if (one == OST_DNS_TEMPFAIL)
			result = one;
	}
	if (s->count > 0)
		return finish(s, domain);
	if (s->why && !s->why->text[0])
		why_set(s->why, "unable to look up a mail exchanger of %.200s", domain);
	return result;
}

static enum ost_dns find_servers(struct search *s, const char *domain)
{
	char address[64];
	struct dns_answer mx;
	struct ost_why reason = { .text = "" };
	if (s->flags & OST_SERVERS_MX && !literal(domain, address)) {
		enum dns_outcome o = dns_lookup(net.dns, s->arena, domain, DNS_MX, s->deadline, &mx, &reason);
		if (o == DNS_FOUND)
			return add_exchangers(s, domain, &mx);
		if (o == DNS_TRY_LATER || o == DNS_BAD) {
			explain(s, domain, DNS_MX, &reason);
			return outcome_of(o);
		}
	}
	enum ost_dns result = add_host(s, domain, 0);
	return result == OST_DNS_OK ? finish(s, domain) : result;
}

enum ost_dns net_mail_servers(struct ost_instance *instance, const char *domain, unsigned flags, struct ost_mx *list,
			      size_t max, size_t *count, int64_t deadline, struct ost_why *why)
{
	char plain[256];
	size_t len = strlen(domain);
	(void)instance;
	*count = 0;
	if (why)
		why->text[0] = '\0';
	if (len > 2 && domain[0] == '[' && domain[len - 1] == ']' && len - 2 < sizeof plain) { /* a host, in brackets */
		snprintf(plain, sizeof plain, "%.*s", (int)(len - 2), domain + 1);
		domain = plain;
		flags &= ~OST_SERVERS_MX;
	}
	struct search s = { .arena = arena_new(), .flags = flags, .list = list, .max = max, .deadline = deadline,
			    .why = why };
	enum ost_dns result = find_servers(&s, domain);
	*count = result == OST_DNS_OK ? s.count : 0;
	arena_destroy(&s.arena);
	return result;
}
