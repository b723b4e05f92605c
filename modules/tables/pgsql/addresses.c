/* SPDX-License-Identifier: Apache-2.0 */
#include "addresses.h"

#include <string.h>

enum { EACH_MAX = 8 }; /* addresses of a host */

/* The next item of a list with commas; false: there is none. Items may be empty. */
static bool next_item(const char **at, const char **item, size_t *len)
{
	if (!*at)
		return false;
	*item = *at;
	*len = strcspn(*at, ",");
	*at = (*item)[*len] ? *item + *len + 1 : NULL;
	return true;
}

static size_t count_items(const char *list)
{
	size_t n = 1;
	for (; *list; list++)
		n += *list == ',';
	return n;
}

static void add_item(struct text_buf *list, bool first, const char *text, size_t len)
{
	if (!first)
		text_buf_puts(list, ",");
	text_buf_add(list, text, len);
}

static const char *find_word(const struct pgsql_target *g, const char *name)
{
	for (size_t i = 0; g->name[i]; i++)
		if (strcmp(g->name[i], name) == 0 && *g->value[i])
			return g->value[i];
	return NULL;
}

/* One host with its port, as often as it has addresses. A socket, and an empty name, which is libpq's own
 * default, have none. */
static bool add_host(struct pgsql_numeric *n, const struct pgsql *t, const char *host, size_t hlen,
		     const char *port, size_t plen, int64_t deadline, struct ost_why *why)
{
	struct ost_address list[EACH_MAX] = { { "" } };
	size_t count = 1;
	char name[256];
	bool has_name = hlen > 0 && *host != '/' && *host != '@';
	if (hlen >= sizeof name)
		return t->host->why(why, "a host name of %zu bytes", hlen);
	memcpy(name, host, hlen);
	name[hlen] = '\0';
	if (has_name && !t->host->addresses(t->table.instance, name, list, EACH_MAX, &count, deadline, why))
		return false;
	for (size_t i = 0; i < count; i++, n->items++) {
		add_item(&n->host, n->items == 0, host, hlen);
		add_item(&n->address, n->items == 0, list[i].text, strlen(list[i].text));
		add_item(&n->port, n->items == 0, port, plen);
	}
	return true;
}

/* All hosts, each with its share of the time that is left. */
static bool add_hosts(struct pgsql_numeric *n, const struct pgsql *t, const char *hosts, const char *ports,
		      int64_t deadline, struct ost_why *why)
{
	size_t left = count_items(hosts), hlen, plen = 0;
	const char *host, *port = "", *more_ports = ports;
	bool any = false;
	for (; next_item(&hosts, &host, &hlen); left--) {
		int64_t now = t->host->now();
		next_item(&more_ports, &port, &plen); /* one for all, or one for each */
		any = add_host(n, t, host, hlen, port, plen, now + (deadline - now) / (int64_t)left, why) ||
		      any;
	}
	return any;
}

static bool replaced(const char *name)
{
	return strcmp(name, "host") == 0 || strcmp(name, "port") == 0;
}

static void set(struct pgsql_numeric *n, size_t *count, const char *name, struct text_buf *value)
{
	n->name[*count] = name;
	n->value[(*count)++] = text_buf_text(value);
}

bool pgsql_numeric_make(struct pgsql_numeric *n, const struct pgsql *t, const struct pgsql_target *g,
			int64_t deadline, struct ost_why *why)
{
	const char *hosts = find_word(g, "host"), *ports = find_word(g, "port");
	bool resolve = hosts && !find_word(g, "hostaddr");
	size_t count = 0;
	*n = (struct pgsql_numeric){ 0 };
	if (resolve && !add_hosts(n, t, hosts, ports, deadline, why))
		return false;
	for (size_t i = 0; g->name[i]; i++) {
		if (resolve && replaced(g->name[i]))
			continue;
		n->name[count] = g->name[i];
		n->value[count++] = g->value[i];
	}
	if (resolve) {
		set(n, &count, "host", &n->host);
		set(n, &count, "hostaddr", &n->address);
		set(n, &count, "port", &n->port);
	}
	return !(n->host.spoilt || n->address.spoilt || n->port.spoilt) || t->host->why(why, "out of memory");
}

void pgsql_numeric_free(struct pgsql_numeric *n)
{
	text_buf_free(&n->host);
	text_buf_free(&n->address);
	text_buf_free(&n->port);
}
