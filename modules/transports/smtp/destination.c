/* SPDX-License-Identifier: Apache-2.0 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "transports/smtp/smtp.h"

enum { PORT_MAX = 65535 };

/* A decimal port; 0: not one. */
static uint16_t decimal(const char *text, size_t len)
{
	unsigned long n = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || n > PORT_MAX)
			return 0;
		n = n * 10 + (unsigned long)(text[i] - '0');
	}
	return len > 0 && n <= PORT_MAX ? (uint16_t)n : 0;
}

/* known_tcp_ports: "lmtp=24, smtp=25, smtps=submissions=465"; 0: not there. */
static uint16_t known_port(const char *list, const char *name)
{
	size_t want = strlen(name);
	for (const char *p = list; *p;) {
		p += strspn(p, ", \t\r\n");
		size_t len = strcspn(p, ", \t\r\n");
		bool found = false;
		size_t at = 0;
		for (size_t eq; eq = at + strcspn(p + at, "=, \t\r\n"), eq < len; at = eq + 1)
			found |= eq - at == want && strncasecmp(p + at, name, want) == 0;
		if (found)
			return decimal(p + at, len - at);
		p += len;
	}
	return 0;
}

uint16_t port_number(const struct smtp_config *c, const char *name)
{
	uint16_t port = decimal(name, strlen(name));
	if (port == 0)
		port = known_port(c->known_ports, name);
	if (port == 0) {
		char space[2048];
		struct servent entry, *found = NULL;
		if (getservbyname_r(name, "tcp", &entry, space, sizeof space, &found) == 0 && found)
			port = (uint16_t)((found->s_port & 0xff) << 8 | (found->s_port >> 8 & 0xff));
	}
	return port;
}

/* One destination of len bytes. */
static bool parse(const struct smtp *smtp, const char *text, size_t len, struct hop *hop, struct ost_why *why)
{
	const char *end = text + len, *host = text, *host_end, *port;
	*hop = (struct hop){ .port = smtp->port, .mx = text[0] != '[' };
	if (text[0] == '[') {
		host = text + 1;
		host_end = memchr(host, ']', (size_t)(end - host));
		if (!host_end)
			return smtp_host->why(why, "bad destination: %.*s: no closing bracket", (int)len, text);
		port = host_end + 1;
	} else {
		host_end = memchr(text, ':', len);
		host_end = host_end ? host_end : end;
		port = host_end;
	}
	size_t n = (size_t)(host_end - host);
	if (n == 0 || n >= sizeof hop->host || (port < end && *port != ':'))
		return smtp_host->why(why, "bad destination: %.*s", (int)len, text);
	memcpy(hop->host, host, n);
	hop->host[n] = '\0';
	if (port == end)
		return true;
	char service[64];
	snprintf(service, sizeof service, "%.*s", (int)(end - port - 1), port + 1);
	hop->port = port_number(smtp->config, service);
	if (hop->port == 0)
		return smtp_host->why(why, "bad destination: %.*s: unknown service: %s/tcp", (int)len, text, service);
	return true;
}

int hop_next(const struct smtp *smtp, const char **list, struct hop *hop, struct ost_why *why)
{
	const char *p = *list + strspn(*list, ", \t\r\n");
	size_t len = strcspn(p, ", \t\r\n");
	*list = p + len;
	if (len == 0)
		return 0;
	return parse(smtp, p, len, hop, why) ? 1 : -1;
}
