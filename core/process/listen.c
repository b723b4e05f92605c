/* SPDX-License-Identifier: Apache-2.0 */
#include "process/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "ipc/link.h"
#include "process/addresses.h"
#include "process/paths.h"

enum { RETRY_MS = 200 };

/* ---- ports --------------------------------------------------------------------------------------------------- */

static unsigned number_of(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && n < 65536 ? (unsigned)n : 0;
}

/* known_tcp_ports: "lmtp=24, smtp=25, smtps=submissions=465". */
static unsigned known_port(const struct cfg_view *view, const char *service)
{
	struct arena *a = arena_new();
	unsigned port = 0;
	for (const char **entry = cfg_split(a, cfg_str(view, P_known_tcp_ports)); *entry && !port; entry++) {
		char *copy = arena_strdup(a, *entry), *save = NULL;
		char *last = strrchr(copy, '=');
		if (!last)
			continue;
		*last = '\0';
		for (char *name = strtok_r(copy, "=", &save); name; name = strtok_r(NULL, "=", &save)) {
			if (strcasecmp(name, service) == 0)
				port = number_of(last + 1);
		}
	}
	arena_destroy(&a);
	return port;
}

unsigned listen_port(const struct cfg_view *view, const char *service)
{
	struct servent se, *found = NULL;
	char space[4096];
	unsigned port = number_of(service);
	if (!port)
		port = known_port(view, service);
	if (!port && getservbyname_r(service, "tcp", &se, space, sizeof space, &found) == 0 && found)
		port = ntohs((uint16_t)found->s_port);
	return port;
}

/* ---- sockets ------------------------------------------------------------------------------------------------- */

static void set_add(struct listener_set *set, struct listener *l)
{
	set->items = mem_realloc_array(set->items, set->count + 1, sizeof *set->items);
	set->items[set->count++] = l;
	l->users++;
}

static struct listener *registry_find(struct listener *registry, const char *name)
{
	while (registry && strcmp(registry->name, name) != 0)
		registry = registry->next;
	return registry;
}

static struct listener *registry_add(struct listener **registry, const char *name, bool is_path, int fd)
{
	struct listener *l = MEM_NEW(struct listener);
	l->name = mem_strdup(name);
	l->is_path = is_path;
	l->fd = fd;
	l->next = *registry;
	*registry = l;
	return l;
}

/* A bound and listening socket; -1 with errno. */
static int bind_inet(const struct sockaddr *addr, socklen_t len)
{
	static const int on = 1;
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
	if (ok && addr->sa_family == AF_INET6)
		ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
	if (!ok || bind(fd, addr, len) < 0 || listen(fd, SOMAXCONN) < 0)
		io_close(&fd);
	return fd;
}

static void set_port(struct sockaddr_storage *sa, unsigned port)
{
	if (sa->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sa)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)sa)->sin_port = htons((uint16_t)port);
}

static void listener_name(char *out, size_t size, const struct listen_address *address, unsigned port)
{
	bool v6 = address->sa.ss_family == AF_INET6;
	snprintf(out, size, "%s%s%s:%u", v6 ? "[" : "", address->text, v6 ? "]" : "", port);
}

static bool add_inet(struct listener **registry, struct listener_set *set, struct listen_address *address,
		     unsigned port, int64_t patience, struct ost_why *why)
{
	char name[96];
	set_port(&address->sa, port);
	listener_name(name, sizeof name, address, port);
	struct listener *l = registry_find(*registry, name);
	while (!l) {
		int fd = bind_inet((struct sockaddr *)&address->sa, address->len);
		if (fd >= 0)
			l = registry_add(registry, name, false, fd);
		else if (errno != EADDRINUSE || clock_mono() >= patience)
			return why_errno(why, "bind %s port %u", address->text, port);
		else
			poll(NULL, 0, RETRY_MS);
	}
	set_add(set, l);
	return true;
}

/* ---- master.cf lines ----------------------------------------------------------------------------------------- */

/* "host:port" or "port" in its two halves; *host "" when there is none. */
static void split_name(struct arena *a, const char *name, char **host, char **service)
{
	char *copy = arena_strdup(a, name), *colon = strrchr(copy, ':');
	*host = arena_strdup(a, "");
	*service = copy;
	if (!colon)
		return;
	*colon = '\0';
	*service = colon + 1;
	*host = copy;
	size_t len = strlen(copy);
	if (len >= 2 && copy[0] == '[' && copy[len - 1] == ']') {
		copy[len - 1] = '\0';
		*host = copy + 1;
	}
}

static bool service_inet(struct listener **registry, struct listener_set *set, const struct service *line,
			 int64_t patience, struct ost_why *why)
{
	struct arena *a = arena_new();
	char *host, *service;
	split_name(a, line->name, &host, &service);
	const char *wanted = *host ? host : cfg_str(line->view, P_inet_interfaces);
	unsigned port = listen_port(line->view, service);
	struct listen_address *list;
	size_t n;
	bool ok = addresses_of(a, wanted, cfg_str(line->view, P_inet_protocols), &list, &n, why);
	if (ok && n == 0)
		ok = why_set(why, "%s: no address to listen on (inet_interfaces, inet_protocols)",
			     line->name);
	if (ok && !port)
		ok = why_set(why, "%s:%s: Servname not supported for ai_socktype", list[0].text, service);
	for (size_t i = 0; ok && i < n; i++)
		ok = add_inet(registry, set, &list[i], port, patience, why);
	arena_destroy(&a);
	return ok;
}

/* A stream socket below the base: public/NAME or private/NAME. */
static bool service_unix(struct listener **registry, struct listener_set *set, const struct service *line,
			 struct ost_why *why)
{
	char *folder = instance_path(line->view, line->is_private ? PLACE_PRIVATE : PLACE_PUBLIC);
	char *path = mem_printf("%s/%s", folder, line->name);
	struct listener *l = registry_find(*registry, path);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	bool ok = l != NULL;
	if (!l && strlen(path) >= sizeof sun.sun_path) {
		why_set(why, "%s: socket path is too long", path);
	} else if (!l) {
		memcpy(sun.sun_path, path, strlen(path) + 1);
		unlink(path);
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		ok = fd >= 0 && bind(fd, (struct sockaddr *)&sun, sizeof sun) == 0 &&
		     chmod(path, 0666) == 0 && listen(fd, SOMAXCONN) == 0;
		if (ok)
			l = registry_add(registry, path, true, fd);
		else
			why_errno(why, "%s", path);
		if (!ok)
			io_close(&fd);
	}
	if (ok)
		set_add(set, l);
	free(folder);
	free(path);
	return ok;
}

bool listen_service(struct listener **registry, struct listener_set *set, const struct service *line,
		    int64_t patience, struct ost_why *why)
{
	bool ok = line->type == SERVICE_INET ? service_inet(registry, set, line, patience, why)
					     : service_unix(registry, set, line, why);
	if (!ok)
		listen_release(registry, set);
	return ok;
}

bool listen_ipc(struct listener **registry, struct listener_set *set, const char *path, unsigned mode,
		struct ost_why *why)
{
	struct listener *l = registry_find(*registry, path);
	if (!l) {
		int fd = ipc_listen(path, mode, why);
		if (fd < 0)
			return false;
		io_set_nonblock(fd, true);
		l = registry_add(registry, path, true, fd);
	}
	set_add(set, l);
	return true;
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

static void listener_close(struct listener **registry, struct listener *l)
{
	for (struct listener **p = registry; *p; p = &(*p)->next) {
		if (*p == l) {
			*p = l->next;
			break;
		}
	}
	if (l->is_path)
		unlink(l->name);
	io_close(&l->fd);
	free(l->name);
	free(l);
}

void listen_release(struct listener **registry, struct listener_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (--set->items[i]->users == 0)
			listener_close(registry, set->items[i]);
	}
	free(set->items);
	*set = (struct listener_set){ 0 };
}
