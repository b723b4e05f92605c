/* SPDX-License-Identifier: Apache-2.0
 * getaddrinfo() runs in a thread of its own, which is left to itself when the deadline has passed. Who asks
 * for a name that is being looked up waits for the same answer. */
#include "net/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "config/value.h"
#include "net/connect.h"

/* Lookups at the same time, the abandoned ones too; addresses kept of one; a thread's stack. */
enum { LOOKUPS_MAX = 32, ADDRESSES_MAX = 16, STACK_BYTES = 512 * 1024 };

struct lookup_under_way {
	struct lookup_under_way *next;
	char *name;
	int family;
	unsigned users; /* who waits, and the thread */
	bool done;
	int error; /* EAI_* */
	size_t count;
	struct ost_address list[ADDRESSES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of these */
static pthread_cond_t finished;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct lookup_under_way *under_way; /* those that are not done */
static unsigned threads;

static void make_condition(void)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&finished, &attr);
	pthread_condattr_destroy(&attr);
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

/* Lock held. */
static void let_go(struct lookup_under_way *l)
{
	if (--l->users > 0)
		return;
	free(l->name);
	free(l);
}

/* Lock held. */
static void take_out(struct lookup_under_way *l)
{
	struct lookup_under_way **at = &under_way;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
}

static void *look_up(void *arg)
{
	struct lookup_under_way *l = arg;
	struct addrinfo hints = { .ai_family = l->family, .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct ost_address list[ADDRESSES_MAX];
	size_t n = 0;
	int error = getaddrinfo(l->name, NULL, &hints, &found);
	for (const struct addrinfo *a = found; error == 0 && a && n < ADDRESSES_MAX; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, list[n].text, sizeof list[n].text, NULL, 0,
				NI_NUMERICHOST) == 0)
			n++;
	if (error == 0)
		freeaddrinfo(found);
	pthread_mutex_lock(&lock);
	l->error = error;
	l->count = n;
	memcpy(l->list, list, n * sizeof *list);
	l->done = true;
	take_out(l);
	let_go(l);
	threads--;
	pthread_cond_broadcast(&finished);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Signals are for the other threads. */
static int start_thread(struct lookup_under_way *l)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	int error = pthread_create(&thread, &attr, look_up, l);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* The one that is under way for this name, or a new one. Lock held. */
static struct lookup_under_way *join(const char *name, int family, struct ost_why *why)
{
	struct lookup_under_way *l = under_way;
	while (l && (l->family != family || strcmp(l->name, name) != 0))
		l = l->next;
	if (l) {
		l->users++;
		return l;
	}
	if (threads >= LOOKUPS_MAX) {
		why_set(why, "%s: too many host names are being looked up", name);
		return NULL;
	}
	l = MEM_NEW(struct lookup_under_way);
	l->name = mem_strdup(name);
	l->family = family;
	l->users = 2;
	int error = start_thread(l);
	if (error) {
		why_set(why, "%s: cannot start a thread: %s", name, strerror(error));
		free(l->name);
		free(l);
		return NULL;
	}
	threads++;
	l->next = under_way;
	under_way = l;
	return l;
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

/* inet_protocols: ipv4, ipv6, all. */
static int wanted_family(const struct cfg_view *view)
{
	const char *protocols = view ? cfg_str(view, P_inet_protocols) : "all";
	bool ipv4 = strstr(protocols, "ipv4"), ipv6 = strstr(protocols, "ipv6");
	return ipv4 == ipv6 ? AF_UNSPEC : ipv4 ? AF_INET : AF_INET6;
}

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "fe80::1%eth0". */
static bool take_numeric(const char *host, struct ost_address *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	size_t len = strlen(host);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len >= sizeof address->text)
		return false;
	char plain[sizeof address->text];
	memcpy(address->text, host, len);
	address->text[len] = '\0';
	memcpy(plain, address->text, len + 1);
	plain[strcspn(plain, "%")] = '\0';
	return inet_pton(AF_INET, address->text, &v4) == 1 || inet_pton(AF_INET6, plain, &v6) == 1;
}

bool net_addresses(const struct cfg_view *view, const char *host, struct ost_address *list, size_t max,
		   size_t *count, int64_t deadline, struct ost_why *why)
{
	*count = 0;
	if (max == 0 || !*host)
		return why_set(why, "no host name");
	if (take_numeric(host, &list[0])) {
		*count = 1;
		return true;
	}
	struct timespec at = { deadline / CLOCK_SECOND, deadline % CLOCK_SECOND * 1000 };
	pthread_once(&once, make_condition);
	pthread_mutex_lock(&lock);
	struct lookup_under_way *l = join(host, wanted_family(view), why);
	while (l && !l->done && pthread_cond_timedwait(&finished, &lock, &at) != ETIMEDOUT)
		;
	if (l && !l->done)
		why_set(why, "host %s: its address was not found in time", host);
	else if (l && l->error)
		why_set(why, "host %s: %s", host, gai_strerror(l->error));
	else if (l && l->count == 0)
		why_set(why, "host %s has no address", host);
	else if (l) {
		*count = l->count < max ? l->count : max;
		memcpy(list, l->list, *count * sizeof *list);
	}
	if (l)
		let_go(l);
	pthread_mutex_unlock(&lock);
	return *count > 0;
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

/* A number, or a name of services(5). */
static bool find_port(const char *text, uint16_t *port, struct ost_why *why)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0') {
		*port = (uint16_t)number;
		return (errno == 0 && number > 0 && number <= UINT16_MAX) ||
		       why_set(why, "no TCP port: %s", text);
	}
	struct servent entry, *found = NULL;
	char room[1024];
	if (getservbyname_r(text, "tcp", &entry, room, sizeof room, &found) != 0 || !found)
		return why_set(why, "unknown service: %s/tcp", text);
	*port = ntohs((uint16_t)found->s_port);
	return true;
}

int net_connect(const struct cfg_view *view, const char *host, const char *port, int64_t deadline,
		struct ost_why *why)
{
	struct ost_address list[ADDRESSES_MAX];
	struct ost_why inner = { "" };
	size_t n;
	uint16_t number = 0;
	int fd = -1;
	if (*host == '/') {
		fd = net_unix_connect(host, deadline, &inner);
		if (fd < 0)
			why_set(why, "connect to %s: %s", host, inner.text);
		return fd;
	}
	if (!find_port(port, &number, why) ||
	    !net_addresses(view, host, list, ADDRESSES_MAX, &n, deadline, why))
		return -1;
	for (size_t i = 0; fd < 0 && i < n; i++) {
		int64_t now = clock_mono(), share = (deadline - now) / (int64_t)(n - i);
		fd = net_tcp_connect(list[i].text, number, NULL, now + share, &inner);
	}
	if (fd < 0)
		why_set(why, "connect to %s[%s]:%u: %s", host, list[n - 1].text, (unsigned)number,
			inner.text);
	return fd;
}
