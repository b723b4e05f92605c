/* SPDX-License-Identifier: Apache-2.0 */
#include "process/addresses.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/view.h"

enum { MAX_ADDRESSES = 256 };

struct collecting {
	struct listen_address *list;
	size_t n;
	bool ipv4, ipv6;
};

/* Can the system make a socket of this family at all? */
static bool has_family(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void choose_families(struct arena *a, struct collecting *c, const char *protocols)
{
	for (const char **p = cfg_split(a, protocols); *p; p++) {
		bool all = strcasecmp(*p, "all") == 0;
		c->ipv4 |= all || strcasecmp(*p, "ipv4") == 0;
		c->ipv6 |= all || strcasecmp(*p, "ipv6") == 0;
	}
	c->ipv4 = c->ipv4 && has_family(AF_INET);
	c->ipv6 = c->ipv6 && has_family(AF_INET6);
}

static bool add_address(struct collecting *c, const struct sockaddr *sa, socklen_t len)
{
	struct listen_address *at = &c->list[c->n];
	bool wanted = (sa->sa_family == AF_INET && c->ipv4) || (sa->sa_family == AF_INET6 && c->ipv6);
	if (!wanted || c->n == MAX_ADDRESSES || len > sizeof at->sa)
		return false;
	memcpy(&at->sa, sa, len);
	at->len = len;
	if (getnameinfo(sa, len, at->text, sizeof at->text, NULL, 0, NI_NUMERICHOST) != 0)
		return false;
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->list[i].text, at->text) == 0)
			return true;
	}
	c->n++;
	return true;
}

/* A name or address. */
static bool add_host(struct collecting *c, const char *host, struct ost_why *why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	struct addrinfo *list;
	char bare[NI_MAXHOST];
	size_t len = strlen(host);
	if (len >= sizeof bare)
		return why_set(why, "host name is too long: %.60s", host);
	bool bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
	snprintf(bare, sizeof bare, "%.*s", (int)(bracketed ? len - 2 : len), bracketed ? host + 1 : host);
	int error = getaddrinfo(bare, NULL, &hints, &list);
	if (error)
		return why_set(why, "host not found: %s: %s", host, gai_strerror(error));
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next)
		add_address(c, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(list);
	return true;
}

static const struct {
	const char *word, *ipv4, *ipv6;
} words[] = {
	{ "all", "0.0.0.0", "::" },
	{ "loopback-only", "127.0.0.1", "::1" },
};

static bool add_word(struct collecting *c, const char *word, struct ost_why *why)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcasecmp(word, words[i].word) == 0)
			return (!c->ipv4 || add_host(c, words[i].ipv4, why)) &&
			       (!c->ipv6 || add_host(c, words[i].ipv6, why));
	}
	return add_host(c, word, why);
}

bool addresses_of(struct arena *a, const char *interfaces, const char *protocols,
		  struct listen_address **list, size_t *n, struct ost_why *why)
{
	struct collecting c = { .list = arena_alloc(a, (MAX_ADDRESSES + 1) * sizeof *c.list) };
	choose_families(a, &c, protocols);
	for (const char **word = cfg_split(a, interfaces); *word; word++) {
		if (!add_word(&c, *word, why))
			return false;
	}
	*list = c.list;
	*n = c.n;
	return true;
}
