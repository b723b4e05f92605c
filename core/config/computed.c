/* SPDX-License-Identifier: Apache-2.0
 * Defaults that depend on the machine: its name and its networks. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/internal.h"

#define DEFAULT_DOMAIN "localdomain"

/* An address as bytes. */
struct address {
	int family;
	size_t len; /* 4 or 16 */
	unsigned char bytes[16];
};

/* An interface's network, and the next one. */
struct network {
	struct address address;
	unsigned bits;
	bool loopback;
	struct network *next;
};

enum style { STYLE_HOST, STYLE_SUBNET, STYLE_CLASS };

const char *computed_myhostname(struct arena *arena, const char *mydomain)
{
	char name[HOST_NAME_MAX + 1] = "";
	if (gethostname(name, sizeof name - 1) != 0 || !*name)
		memcpy(name, "localhost", sizeof "localhost");
	if (strchr(name, '.'))
		return arena_strdup(arena, name);
	return arena_printf(arena, "%s.%s", name, mydomain ? mydomain : DEFAULT_DOMAIN);
}

const char *computed_mydomain(struct arena *arena, const char *myhostname)
{
	const char *dot = strchr(myhostname, '.');
	return dot ? arena_strdup(arena, dot + 1) : DEFAULT_DOMAIN;
}

/* False when the family is none that mail uses. */
static bool address_from(const struct sockaddr *sa, struct address *a)
{
	*a = (struct address){ 0 };
	if (!sa)
		return false;
	a->family = sa->sa_family;
	if (sa->sa_family == AF_INET) {
		a->len = 4;
		memcpy(a->bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, a->len);
	} else if (sa->sa_family == AF_INET6) {
		a->len = 16;
		memcpy(a->bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, a->len);
	}
	return a->len > 0;
}

static bool same_address(const struct address *a, const struct address *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, a->len);
}

/* How many bits of a netmask are set. */
static unsigned mask_bits(const struct sockaddr *mask, unsigned all)
{
	struct address a;
	unsigned bits = 0;
	if (!address_from(mask, &a))
		return all;
	for (size_t i = 0; i < a.len; i++)
		bits += (unsigned)__builtin_popcount(a.bytes[i]);
	return bits;
}

/* The networks of the interfaces that are up, in the system's order. */
static struct network *interface_networks(struct arena *arena, bool v4, bool v6)
{
	struct ifaddrs *list, *ifa;
	struct network *first = NULL, **last = &first;
	if (getifaddrs(&list) != 0)
		return NULL;
	for (ifa = list; ifa; ifa = ifa->ifa_next) {
		struct address a;
		if (!(ifa->ifa_flags & IFF_UP) || !address_from(ifa->ifa_addr, &a) ||
		    !(a.family == AF_INET ? v4 : v6))
			continue;
		struct network *n = ARENA_NEW(arena, struct network);
		n->address = a;
		n->bits = mask_bits(ifa->ifa_netmask, (unsigned)a.len * 8);
		n->loopback = (ifa->ifa_flags & IFF_LOOPBACK) != 0;
		*last = n;
		last = &n->next;
	}
	freeifaddrs(list);
	return first;
}

/* Is the address one that the host name stands for? */
static bool host_has(const char *host, const struct address *a)
{
	struct addrinfo hints = { .ai_family = a->family, .ai_socktype = SOCK_STREAM }, *list, *ai;
	size_t n = strlen(host);
	char name[NI_MAXHOST];
	bool found = false;
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (n >= sizeof name)
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return false;
	for (ai = list; ai && !found; ai = ai->ai_next) {
		struct address b;
		found = address_from(ai->ai_addr, &b) && same_address(a, &b);
	}
	freeaddrinfo(list);
	return found;
}

/* Does inet_interfaces name this interface? */
static bool is_wanted(const struct network *n, const char *const *interfaces)
{
	for (; *interfaces; interfaces++) {
		if (!strcasecmp(*interfaces, "all") ||
		    (!strcasecmp(*interfaces, "loopback-only") && n->loopback))
			return true;
		if (strcasecmp(*interfaces, "loopback-only") != 0 && host_has(*interfaces, &n->address))
			return true;
	}
	return false;
}

/* How many bits of the address name its network. */
static unsigned network_bits(const struct network *n, enum style style)
{
	unsigned char first = n->address.bytes[0];
	if (style == STYLE_HOST)
		return (unsigned)n->address.len * 8;
	if (style == STYLE_SUBNET || n->address.family != AF_INET)
		return n->bits;
	return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

/* "192.0.2.0/24", "[2001:db8::]/64". */
static const char *format_network(struct arena *arena, struct address a, unsigned bits)
{
	char text[INET6_ADDRSTRLEN];
	for (unsigned i = 0; i < a.len; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
		if (keep < 8)
			a.bytes[i] &= (unsigned char)(0xff00 >> keep);
	}
	inet_ntop(a.family, a.bytes, text, sizeof text);
	return arena_printf(arena, a.family == AF_INET ? "%s/%u" : "[%s]/%u", text, bits);
}

/* Is this one of the words, which are separated by single spaces? */
static bool has_word(const struct buf *words, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = buf_str(words); (p = strstr(p, word)) != NULL; p += n)
		if ((p == words->data || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static bool parse_style(const char *text, enum style *style)
{
	static const char *const names[] = {
		[STYLE_HOST] = "host", [STYLE_SUBNET] = "subnet", [STYLE_CLASS] = "class"
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!strcasecmp(text, names[i])) {
			*style = (enum style)i;
			return true;
		}
	}
	return false;
}

bool computed_mynetworks(struct arena *arena, const char *interfaces, const char *protocols,
			 const char *style_name, const char **networks, struct ost_why *why)
{
	enum style style;
	*networks = "127.0.0.0/8 [::1]/128";
	if (!parse_style(style_name, &style))
		return why_set(why, "host, subnet or class is wanted: %.80s", style_name);
	bool v4 = strcasestr(protocols, "ipv4") || strcasestr(protocols, "all");
	bool v6 = strcasestr(protocols, "ipv6") || strcasestr(protocols, "all");
	const char *const *wanted = (const char *const *)cfg_split(arena, interfaces);
	struct buf out = BUF_INIT;
	for (const struct network *n = interface_networks(arena, v4, v6); n; n = n->next) {
		const char *text = format_network(arena, n->address, network_bits(n, style));
		if (is_wanted(n, wanted) && !has_word(&out, text))
			buf_printf(&out, "%s%s", out.len ? " " : "", text);
	}
	*networks = arena_strdup(arena, buf_str(&out));
	buf_free(&out);
	return true;
}
