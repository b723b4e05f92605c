/* SPDX-License-Identifier: Apache-2.0
 * The `query` of an SQL table, compiled once: which parts of the key are bound to it as parameters, and
 * whether it can be written out with escaped keys where a server does not take parameters. A key is a value,
 * never a piece of SQL. */
#ifndef SHARED_SQLQUERY_H
#define SHARED_SQLQUERY_H

#include "ostler/host.h"
#include "shared/expansion.h"

enum sql_dialect { SQL_PGSQL, SQL_MYSQL, SQL_SQLITE };
enum { SQL_PARAMS_MAX = 32 };

struct sql_query {
	struct expansion *text; /* as it was written */
	char *bound;    /* with $1 (PostgreSQL), ? (MySQL) or ?1 (SQLite) where parts of the key belong; NULL:
			   cannot be bound */
	bool escapable; /* all parts of the key stand in plain string literals */
	size_t count;   /* of the parameters in `bound` */
	struct expansion *param[SQL_PARAMS_MAX]; /* '%u@x' is one value */
};

/* Notes what it needs of a key. NULL with the reason: a part of the key where no value can stand (a name, a
 * comment), a literal without end. */
struct sql_query *sql_query_compile(const struct ost_host *, const char *text, enum sql_dialect,
				    struct expansion_needs *, struct ost_why *);
void sql_query_free(struct sql_query *); /* accepts NULL */

#endif
