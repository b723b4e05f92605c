/* SPDX-License-Identifier: Apache-2.0
 * pgsql: one table, and how it gets its connections. */
#ifndef PGSQL_CONNECT_H
#define PGSQL_CONNECT_H

#include <libpq-fe.h>
#include <poll.h>
#include <stdatomic.h>

#include "shared/keptfile.h"
#include "shared/sqlserver.h"

struct pgsql_config {
	const char *hosts, *user, *password, *dbname, *encoding;
	struct sql_common common;
	struct sql_pool_config pool;
};

enum { PGSQL_WORDS_MAX = 80, PGSQL_FILES = 4 };

/* What libpq is told to reach one server: names and values, both end with NULL. */
struct pgsql_target {
	const char *name[PGSQL_WORDS_MAX + 1], *value[PGSQL_WORDS_MAX + 1];
	PQconninfoOption *parsed; /* they point into this */
	char *folder, port[8];    /* and these */
	struct keptfile files[PGSQL_FILES];
};

struct pgsql {
	const struct ost_host *host;
	const struct pgsql_config *config;
	struct sql_table table;
	struct sql_servers servers;
	struct pgsql_target *targets; /* one for each server */
	struct ost_pool *pool;
	atomic_bool as_text;       /* the server cannot bind the key where it stands: it is quoted */
	atomic_bool no_statements; /* prepared statements do not stay where they are */
};

struct connection {
	PGconn *pg;
	bool prepared; /* the statement is there */
};

/* From open(): what libpq is told, certificates. False with the reason, which holds no secrets. */
bool pgsql_connect_prepare(struct pgsql *, struct ost_instance *, struct ost_why *);
void pgsql_connect_end(struct pgsql *);
/* For the pool. */
void *pgsql_connect(void *table, size_t i, int64_t deadline, struct ost_why *);
void pgsql_disconnect(void *table, void *connection);

#endif
