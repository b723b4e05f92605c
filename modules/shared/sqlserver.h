/* SPDX-License-Identifier: Apache-2.0
 * SQL tables that ask a server: the list `hosts`, the pool of connections, and what is done when one breaks.
 */
#ifndef SHARED_SQLSERVER_H
#define SHARED_SQLSERVER_H

#include "shared/endpoints.h"
#include "shared/sqltable.h"

struct sql_server {
	char *text;         /* of a URI: as it stands in `hosts`, and may hold a password */
	char *name;         /* for the log: without one */
	bool is_uri;        /* postgresql://… */
	struct endpoint at; /* when it is none; points into text and name */
};

struct sql_servers {
	struct sql_server *list;
	size_t count;
};

/* The list, and, where the library takes them, URIs; "localhost" when there is none. False with the reason.
 */
bool sql_servers_parse(const struct ost_host *, const char *text, bool uris, struct sql_servers *,
		       struct ost_why *);
void sql_servers_free(struct sql_servers *);

/* How one question to a server went. */
enum sql_outcome {
	SQL_ANSWERED,
	SQL_REFUSED, /* the server says that it is wrong: the connection is good */
	SQL_STALE,   /* something else has changed: again, on a new connection */
	SQL_LOST,    /* the connection is gone */
	SQL_SILENT,  /* no answer in time */
};

struct sql_pool_config { /* the parameters that concern the pool, as members of a module's config struct */
	int64_t idle_interval, retry_interval, max_connections;
};
/* With retry_interval unset (0) a server that failed is tried again soon: see ostler/pool.h. */
#define SQL_POOL_PARAMS(conf)                                                                                \
	{ .name = "idle_interval",                                                                           \
	  OST_PARAM_AT(conf, pool.idle_interval, OST_PARAM_TIME),                                            \
	  .defval = "60s",                                                                                   \
	  .min = 1,                                                                                          \
	  .max = 86400,                                                                                      \
	  .help = "When a connection that nobody uses is closed." },                                         \
		{ .name = "retry_interval",                                                                  \
		  OST_PARAM_AT(conf, pool.retry_interval, OST_PARAM_TIME),                                   \
		  .defval = "2s",                                                                            \
		  .min = 1,                                                                                  \
		  .max = 86400,                                                                              \
		  .help = "How long a server that failed is left alone, at most." },                         \
	{                                                                                                    \
		.name = "max_connections", OST_PARAM_AT(conf, pool.max_connections, OST_PARAM_INT),          \
		.defval = "2", .min = 1, .max = 1000,                                                        \
		.help = "Connections of one process for this table, at most."                                \
	}

struct ost_pool *sql_pool_new(const struct sql_table *, const struct sql_servers *,
			      const struct sql_pool_config *, void *ctx,
			      void *(*connect)(void *ctx, size_t i, int64_t deadline, struct ost_why *),
			      void (*disconnect)(void *ctx, void *connection), struct ost_why *);

/* Asks the pool's servers until one answers. ask() puts rows into the lookup with sql_lookup_value(). */
typedef enum sql_outcome sql_ask_fn(void *ctx, void *connection, struct sql_lookup *, struct ost_why *);
enum ost_found sql_pool_lookup(const struct sql_table *, struct ost_pool *, size_t servers,
			       const struct ost_query *, struct ost_answer *, sql_ask_fn *, void *ctx);

/* Waits for a socket (poll.h's events) until the deadline: what has come, 0 when nothing has. */
int sql_wait(const struct ost_host *, int fd, short events, int64_t deadline);
/* How much of a library's error text is its first line: for "%.*s". */
int sql_first_line(const char *text);

#endif
