/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/sqlserver.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECOND       INT64_C(1000000)
#define CONNECT_TIME (10 * SECOND)
#define RETRY_FIRST  (SECOND / 4)
enum { LOCAL_FIRST = 1 }; /* the priority of servers on the network: unix sockets have 0 */

/* ---- the list of servers ----------------------------------------------------------------------------------------------- */

/* scheme://user:password@host…?password=…, or what was meant to be that, without what may be secret. */
static char *public_name(const char *word)
{
	const char *scheme_end = strstr(word, "://"), *authority = scheme_end ? scheme_end + 3 : word;
	const char *end = authority + strcspn(authority, "?");
	const char *at = memrchr(authority, '@', (size_t)(end - authority));
	const char *host = at ? at + 1 : authority;
	char *name = NULL;
	return asprintf(&name, "%.*s%.*s", (int)(authority - word), word, (int)(end - host), host) < 0 ? NULL
												       : name;
}

static bool parse_one(const struct ost_host *host, struct sql_server *s, const char *word, bool uris,
		      struct ost_why *why)
{
	s->is_uri = uris && strstr(word, "://");
	s->text = strdup(word);
	s->name = public_name(word);
	if (!s->text || !s->name)
		return host->why(why, "out of memory");
	return s->is_uri || endpoint_parse(&s->at, s->name, s->text, 0) ||
	       host->why(why, "parameter hosts: no server: %.80s (" ENDPOINTS_FORMS ")", s->name);
}

static struct sql_server *more_room(struct sql_servers *servers)
{
	struct sql_server *list = realloc(servers->list, (servers->count + 1) * sizeof *list);
	if (!list)
		return NULL;
	servers->list = list;
	list[servers->count] = (struct sql_server){ 0 };
	return &list[servers->count++];
}

bool sql_servers_parse(const struct ost_host *host, const char *text, bool uris, struct sql_servers *servers,
		       struct ost_why *why)
{
	static const char between[] = ENDPOINTS_BETWEEN;
	*servers = (struct sql_servers){ 0 };
	char *copy = strdup(text && text[strspn(text, between)] ? text : "localhost"), *save = NULL;
	bool ok = copy || host->why(why, "out of memory");
	for (char *word = ok ? strtok_r(copy, between, &save) : NULL; word && ok;
	     word = strtok_r(NULL, between, &save)) {
		struct sql_server *s = more_room(servers);
		ok = s ? parse_one(host, s, word, uris, why) : host->why(why, "out of memory");
	}
	free(copy);
	return ok;
}

void sql_servers_free(struct sql_servers *servers)
{
	for (size_t i = 0; i < servers->count; i++) {
		struct sql_server *s = &servers->list[i];
		free(s->text);
		free(s->name);
	}
	free(servers->list);
	*servers = (struct sql_servers){ 0 };
}

/* ---- the pool ------------------------------------------------------------------------------------------------------------ */

struct ost_pool *sql_pool_new(const struct sql_table *t, const struct sql_servers *servers,
			      const struct sql_pool_config *c, void *ctx,
			      void *(*connect)(void *, size_t, int64_t, struct ost_why *),
			      void (*disconnect)(void *, void *), struct ost_why *why)
{
	struct ost_pool_server *list = calloc(servers->count, sizeof *list);
	if (!list) {
		t->host->why(why, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < servers->count; i++)
		list[i] = (struct ost_pool_server){ servers->list[i].name,
						    servers->list[i].at.path ? 0 : LOCAL_FIRST };
	struct ost_pool_config config = {
		.size = sizeof config,
		.max = (uint32_t)c->max_connections,
		.servers = list,
		.count = servers->count,
		.connect_time = CONNECT_TIME,
		.idle_time = c->idle_interval,
		.retry_min = c->retry_interval < RETRY_FIRST ? c->retry_interval : RETRY_FIRST,
		.retry_max = c->retry_interval,
		.ctx = ctx,
		.connect = connect,
		.disconnect = disconnect,
	};
	struct ost_pool *pool = t->host->pool_new(t->instance, &config, why);
	free(list);
	return pool;
}

static const enum ost_pool_state states[] = {
	[SQL_ANSWERED] = OST_POOL_GOOD, [SQL_REFUSED] = OST_POOL_GOOD,  [SQL_STALE] = OST_POOL_STALE,
	[SQL_LOST] = OST_POOL_FAILED,   [SQL_SILENT] = OST_POOL_FAILED,
};

/* One try. True: that is the answer. A connection that is lost may have been closed by somebody, even a new
 * one; a second one that is lost while it is new says that the server is the matter. */
static bool try_once(const struct sql_table *t, struct ost_pool *pool, struct sql_lookup *l,
		     struct ost_answer *answer, sql_ask_fn *ask, void *ctx, bool first,
		     enum ost_found *result)
{
	bool fresh = false;
	struct ost_why why = { "" };
	*result = OST_TEMPFAIL;
	void *connection = t->host->pool_take(pool, l->asked->deadline, &fresh, &why);
	if (!connection) {
		t->host->answer_why(answer, "%s", why.text);
		return true;
	}
	sql_lookup_again(l);
	enum sql_outcome outcome = ask(ctx, connection, l, &why);
	enum ost_pool_state state =
		outcome == SQL_LOST && (first || !fresh) ? OST_POOL_STALE : states[outcome];
	t->host->pool_give(pool, connection, state, state == OST_POOL_FAILED ? &why : NULL);
	if (outcome == SQL_ANSWERED)
		*result = sql_lookup_answer(l, answer);
	else
		t->host->answer_why(answer, "%s", why.text);
	return outcome == SQL_ANSWERED || outcome == SQL_REFUSED || t->host->now() >= l->asked->deadline;
}

enum ost_found sql_pool_lookup(const struct sql_table *t, struct ost_pool *pool, size_t servers,
			       const struct ost_query *query, struct ost_answer *answer, sql_ask_fn *ask,
			       void *ctx)
{
	struct sql_lookup l;
	enum ost_found result = sql_lookup_start(&l, t, query, answer);
	if (result == OST_FOUND)
		for (size_t tries = 0; tries < servers + 2; tries++)
			if (try_once(t, pool, &l, answer, ask, ctx, tries == 0, &result))
				break;
	sql_lookup_end(&l);
	return result;
}

/* ---- for the drivers ------------------------------------------------------------------------------------------------------ */

int sql_wait(const struct ost_host *host, int fd, short events, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - host->now();
		struct pollfd p = { .fd = fd, .events = events };
		if (left <= 0)
			return 0;
		int n = poll(&p, 1, left / 1000 < 60000 ? (int)(left / 1000) + 1 : 60000);
		if (n > 0)
			return p.revents;
		if (n < 0 && errno != EINTR)
			return 0;
	}
}

int sql_first_line(const char *text)
{
	int len = (int)strcspn(text, "\n");
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\r'))
		len--;
	return len;
}
