/* SPDX-License-Identifier: Apache-2.0
 * Who the client is: address, and the name that its address has, confirmed by looking the name up (forward-confirmed
 * reverse DNS). Answers are kept for a minute, so that a busy client is not looked up for each of its sessions. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "smtpd/session.h"

enum { SLOTS = 512, KEEP_SECONDS = 60 };

struct entry {
	char address[INET6_ADDRSTRLEN];
	char *name, *reverse_name; /* heap */
	int name_status, reverse_status;
	int64_t until; /* 0: empty */
};

struct peer_cache { /* one place per hash value: a newcomer replaces */
	pthread_mutex_t lock; /* guards the entries */
	struct entry entries[SLOTS];
};

struct peer_cache *peer_cache_new(void)
{
	struct peer_cache *c = MEM_NEW(struct peer_cache);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void peer_cache_destroy(struct peer_cache **cp)
{
	struct peer_cache *c = *cp;
	if (!c)
		return;
	for (int i = 0; i < SLOTS; i++) {
		free(c->entries[i].name);
		free(c->entries[i].reverse_name);
	}
	pthread_mutex_destroy(&c->lock);
	free(c);
	*cp = NULL;
}

static struct entry *slot_of(struct peer_cache *c, const char *address)
{
	uint32_t h = 2166136261u;
	for (const char *p = address; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	return &c->entries[h % SLOTS];
}

/* From the cache into the session; false: not there. */
static bool cache_get(struct peer_cache *c, struct session *s)
{
	struct entry *e = slot_of(c, s->peer.address);
	pthread_mutex_lock(&c->lock);
	bool hit = e->until > clock_mono() && strcmp(e->address, s->peer.address) == 0;
	if (hit) {
		s->peer.name = arena_strdup(s->arena, e->name);
		s->peer.reverse_name = arena_strdup(s->arena, e->reverse_name);
		s->peer.name_status = e->name_status;
		s->peer.reverse_status = e->reverse_status;
	}
	pthread_mutex_unlock(&c->lock);
	return hit;
}

static void cache_put(struct peer_cache *c, const struct session *s)
{
	struct entry *e = slot_of(c, s->peer.address);
	pthread_mutex_lock(&c->lock);
	snprintf(e->address, sizeof e->address, "%s", s->peer.address);
	free(e->name);
	free(e->reverse_name);
	e->name = mem_strdup(s->peer.name);
	e->reverse_name = mem_strdup(s->peer.reverse_name);
	e->name_status = s->peer.name_status;
	e->reverse_status = s->peer.reverse_status;
	e->until = clock_mono() + KEEP_SECONDS * CLOCK_SECOND;
	pthread_mutex_unlock(&c->lock);
}

/* The address as text; an IPv4 address in IPv6 clothes is IPv4. */
static void set_address(struct session *s, const struct sockaddr *sa)
{
	char text[INET6_ADDRSTRLEN] = "unknown";
	unsigned port = 0;
	s->peer.family = sa->sa_family;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
		port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
		if (mapped)
			s->peer.family = AF_INET;
		inet_ntop(s->peer.family, mapped ? in6->sin6_addr.s6_addr + 12 : in6->sin6_addr.s6_addr, text, sizeof text);
		port = ntohs(in6->sin6_port);
	}
	s->peer.address = arena_strdup(s->arena, text);
	s->peer.port = arena_printf(s->arena, "%u", port);
}

static void set_namaddr(struct session *s)
{
	const struct peer *p = &s->peer;
	s->peer.namaddr = s->server->port_logging ? arena_printf(s->arena, "%s[%s]:%s", p->name, p->address, p->port)
						  : arena_printf(s->arena, "%s[%s]", p->name, p->address);
}

void peer_lookup(struct session *s, const struct sockaddr *sa)
{
	set_address(s, sa);
	s->peer.name = s->peer.reverse_name = "unknown";
	s->peer.name_status = s->peer.reverse_status = 5;
	set_namaddr(s);
}

/* Permanent or temporary, as the system's resolver says it. */
static int status_of(int error)
{
	return error == EAI_AGAIN || error == EAI_MEMORY || error == EAI_SYSTEM ? 4 : 5;
}

/* The numeric address as a socket address of its family. */
static socklen_t numeric(const struct peer *p, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof *ss);
	ss->ss_family = (sa_family_t)p->family;
	if (p->family == AF_INET) {
		struct sockaddr_in *in = (void *)ss;
		inet_pton(AF_INET, p->address, &in->sin_addr);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (void *)ss;
	inet_pton(AF_INET6, p->address, &in6->sin6_addr);
	return sizeof *in6;
}

/* Does the name lead back to the address? */
static bool confirms(const struct addrinfo *list, const struct peer *p)
{
	char text[INET6_ADDRSTRLEN];
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		const void *at = ai->ai_family == AF_INET ? (const void *)&((struct sockaddr_in *)(void *)ai->ai_addr)->sin_addr
							  : &((struct sockaddr_in6 *)(void *)ai->ai_addr)->sin6_addr;
		if (inet_ntop(ai->ai_family, at, text, sizeof text) && strcmp(text, p->address) == 0)
			return true;
	}
	return false;
}

/* Looks the name up, and the name's addresses. */
static void resolve(struct session *s)
{
	struct peer *p = &s->peer;
	struct sockaddr_storage ss;
	char name[NI_MAXHOST];
	socklen_t len = numeric(p, &ss);
	int error = getnameinfo((struct sockaddr *)&ss, len, name, sizeof name, NULL, 0, NI_NAMEREQD);
	if (error) {
		p->name_status = p->reverse_status = status_of(error);
		return;
	}
	if (!domain_valid(name, strlen(name))) {
		log_warning("%s: malformed or numeric domain name in resource data of PTR record", p->address);
		return;
	}
	p->reverse_name = arena_strdup(s->arena, name);
	p->reverse_status = 2;
	struct addrinfo hints = { .ai_family = p->family, .ai_socktype = SOCK_STREAM }, *list = NULL;
	error = getaddrinfo(name, NULL, &hints, &list);
	if (error) {
		log_warning("hostname %s does not resolve to address %s: %s", name, p->address, gai_strerror(error));
		p->name_status = status_of(error);
	} else if (!confirms(list, p)) {
		log_warning("hostname %s does not resolve to address %s", name, p->address);
	} else {
		p->name = p->reverse_name;
		p->name_status = 2;
	}
	if (list)
		freeaddrinfo(list);
}

void peer_lookup_name(struct session *s)
{
	struct peer_cache *cache = s->server->peers;
	if (!s->server->peername_lookup || (s->peer.family != AF_INET && s->peer.family != AF_INET6))
		return;
	if (!cache || !cache_get(cache, s)) {
		pool_wait_begin();
		resolve(s);
		pool_wait_end();
		if (cache)
			cache_put(cache, s);
	}
	set_namaddr(s);
}
