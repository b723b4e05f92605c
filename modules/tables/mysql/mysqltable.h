/* SPDX-License-Identifier: Apache-2.0
 * mysql: one table, how it gets its connections, and how it asks. Every call that may wait is made with the
 * library's non-blocking functions, and ends at the deadline. */
#ifndef MYSQL_MYSQLTABLE_H
#define MYSQL_MYSQLTABLE_H

#include <mysql.h>
#include <stdatomic.h>

#include "shared/keptfile.h"
#include "shared/sqlserver.h"

struct mysql_config {
	const char *hosts, *user, *password, *dbname, *charset;
	const char *option_file, *option_group;
	const char *tls_cert_file, *tls_key_file, *tls_CAfile, *tls_CApath, *tls_ciphers;
	bool tls_verify_cert, require_result_set;
	struct sql_common common;
	struct sql_pool_config pool;
};

struct mysql_table {
	const struct ost_host *host;
	const struct mysql_config *config;
	struct sql_table table;
	struct sql_servers servers;
	struct keptfile options, cert, key, ca;
	struct ost_pool *pool;
	atomic_bool as_text; /* the server cannot bind the key where it stands: it is quoted */
};

struct connection {
	MYSQL *db;
	MYSQL_STMT *statement; /* prepared; NULL: not yet */
};

/* connect.c. From open(): files. False with the reason. */
bool mysql_connect_prepare(struct mysql_table *, struct ost_instance *, struct ost_why *);
void mysql_connect_end(struct mysql_table *);
/* For the pool. */
void *mysql_connect_one(void *table, size_t i, int64_t deadline, struct ost_why *);
void mysql_disconnect(void *table, void *connection);
/* Waits for what a function whose name ends in _start or _cont wants (MYSQL_WAIT_…), and answers what its
 * _cont is told. */
int mysql_await(const struct ost_host *, MYSQL *, int wants, int64_t deadline);

/* ask.c */
sql_ask_fn mysql_ask; /* ctx: the table */

#endif
