/* SPDX-License-Identifier: Apache-2.0 */
#include "net/self.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/magic.h"
#include "base/mem.h"

#define SELF_MAGIC 0x53656c66u
enum { ADDRESSES_MAX = 1024 };

struct self {
	unsigned magic;
	struct in6_addr *list; /* IPv4 as ::ffff:1.2.3.4 */
	size_t count;
};

static void add(struct self *s, const struct in6_addr *a)
{
	if (s->count == ADDRESSES_MAX)
		return;
	s->list = mem_realloc_array(s->list, s->count + 1, sizeof *s->list);
	s->list[s->count++] = *a;
}

static bool from_sockaddr(const struct sockaddr *sa, struct in6_addr *a)
{
	if (sa && sa->sa_family == AF_INET6) {
		*a = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
		return true;
	}
	if (!sa || sa->sa_family != AF_INET)
		return false;
	*a = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&a->s6_addr[12], &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	return true;
}

static bool from_text(const char *text, struct in6_addr *a)
{
	struct in_addr v4;
	if (inet_pton(AF_INET6, text, a) == 1)
		return true;
	if (inet_pton(AF_INET, text, &v4) != 1)
		return false;
	*a = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&a->s6_addr[12], &v4, 4);
	return true;
}

static void add_interfaces(struct self *s)
{
	struct ifaddrs *list = NULL;
	struct in6_addr a;
	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		if (from_sockaddr(i->ifa_addr, &a))
			add(s, &a);
	freeifaddrs(list);
}

/* One word of the lists: an address, with or without brackets, or a name. */
static void add_word(struct self *s, const char *word)
{
	char text[256];
	struct in6_addr a;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	size_t len = strlen(word);
	if (len > 2 && word[0] == '[' && word[len - 1] == ']') {
		word++;
		len -= 2;
	}
	if (len >= sizeof text)
		return;
	memcpy(text, word, len);
	text[len] = '\0';
	if (from_text(text, &a)) {
		add(s, &a);
		return;
	}
	if (getaddrinfo(text, NULL, &hints, &found) != 0)
		return;
	for (const struct addrinfo *i = found; i; i = i->ai_next)
		if (from_sockaddr(i->ai_addr, &a))
			add(s, &a);
	freeaddrinfo(found);
}

static void add_list(struct self *s, struct arena *a, const char *list)
{
	for (const char **word = cfg_split(a, list); *word; word++) {
		if (strcasecmp(*word, "all") == 0)
			add_interfaces(s);
		else if (strcasecmp(*word, "loopback-only") == 0) {
			add_word(s, "127.0.0.1");
			add_word(s, "::1");
		} else
			add_word(s, *word);
	}
}

struct self *self_new(const struct cfg_view *view)
{
	struct self *s = MEM_NEW(struct self);
	struct arena *a = arena_new();
	s->magic = SELF_MAGIC;
	add_list(s, a, cfg_str(view, P_inet_interfaces));
	add_list(s, a, cfg_str(view, P_proxy_interfaces));
	arena_destroy(&a);
	return s;
}

void self_destroy(struct self **sp)
{
	struct self *s = *sp;
	if (!s)
		return;
	CHECK_MAGIC(s, SELF_MAGIC);
	free(s->list);
	s->magic = 0;
	free(s);
	*sp = NULL;
}

bool self_owns(const struct self *s, const char *address)
{
	struct in6_addr a;
	CHECK_MAGIC(s, SELF_MAGIC);
	if (!from_text(address, &a))
		return false;
	for (size_t i = 0; i < s->count; i++)
		if (memcmp(&s->list[i], &a, sizeof a) == 0)
			return true;
	return false;
}

bool self_is_loopback(const char *address)
{
	struct in6_addr a;
	if (!from_text(address, &a))
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&a))
		return a.s6_addr[12] == 127 || a.s6_addr[12] == 0;
	return IN6_IS_ADDR_LOOPBACK(&a) || IN6_IS_ADDR_UNSPECIFIED(&a);
}
