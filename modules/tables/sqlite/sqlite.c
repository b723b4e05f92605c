/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `sqlite`: a database in a file, which is only read. The key is always a bound parameter. */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "shared/sqlserver.h"

enum {
	STEPS = 1000,
	BUSY_MS = 10
}; /* how often a query looks at the clock; how long it waits for a writer at a time */
#define IDLE_TIME (INT64_C(3600) * 1000000)

struct sqlite_config {
	const char *dbpath;
	int64_t max_connections;
	struct sql_common common;
};

struct sqlite_table {
	const struct sqlite_config *config;
	struct ost_instance *instance;
	struct sql_table table;
	struct sqlite_file *file;
	struct ost_pool *pool;
};

struct connection {
	sqlite3 *db;
	sqlite3_stmt *statement;
	int64_t deadline; /* of the query that runs */
};

static const struct ost_host *host;

static bool sqlite_load(const struct ost_host *the_host, struct ost_why *why)
{
	host = the_host;
	return (sqlite3_threadsafe() && sqlite_files_start(the_host)) ||
	       host->why(why, "this SQLite library cannot be used here");
}

static const struct ost_param params[] = {
	{ .name = "dbpath",
	  OST_PARAM_AT(struct sqlite_config, dbpath, OST_PARAM_STRING),
	  .flags = OST_PARAM_REQUIRED,
	  .help = "The database's file." },
	SQL_COMMON_PARAMS(struct sqlite_config),
	{ .name = "max_connections",
	  OST_PARAM_AT(struct sqlite_config, max_connections, OST_PARAM_INT),
	  .defval = "8",
	  .min = 1,
	  .max = 1000,
	  .help = "How often one process has the file open for this table, at most." },
	{ 0 },
};

/* ---- connections ----------------------------------------------------------------------------------------------------------- */

/* Every STEPS steps of a query: not 0 ends it. */
static int on_progress(void *ctx)
{
	const struct connection *k = ctx;
	return host->now() >= k->deadline;
}

/* Somebody writes: 0 gives up. */
static int on_busy(void *ctx, int times)
{
	const struct connection *k = ctx;
	(void)times;
	if (host->now() >= k->deadline)
		return 0;
	usleep(BUSY_MS * 1000);
	return 1;
}

static void sqlite_disconnect(void *ctx, void *connection)
{
	struct connection *k = connection;
	(void)ctx;
	sqlite3_finalize(k->statement);
	sqlite3_close(k->db);
	free(k);
}

/* In WAL mode readers need a file beside the database that only writers make, and take away with them. */
static bool failed(sqlite3 *db, const char *what, struct ost_why *why)
{
	bool wal = (sqlite3_errcode(db) & 0xff) == SQLITE_READONLY;
	return host->why(why, "%s: %s%s", what, sqlite3_errmsg(db),
			 wal ? " (in WAL mode it can only be read while one who may write has it open)" : "");
}

static bool prepare(const struct sqlite_table *t, struct connection *k, struct ost_why *why)
{
	const char *text = t->table.query->bound, *rest = NULL;
	if (sqlite3_prepare_v2(k->db, text, -1, &k->statement, &rest) != SQLITE_OK)
		return failed(k->db, "SQL prepare failed", why);
	if (!k->statement || rest[strspn(rest, " \t\r\n;")] != '\0')
		return host->why(why, "query: one statement is wanted");
	return true;
}

static void *sqlite_connect(void *ctx, size_t i, int64_t deadline, struct ost_why *why)
{
	struct sqlite_table *t = ctx;
	struct connection *k = calloc(1, sizeof *k);
	(void)i;
	if (!k) {
		host->why(why, "out of memory");
		return NULL;
	}
	k->deadline = deadline;
	int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	if (sqlite3_open_v2(t->config->dbpath, &k->db, flags, NULL) == SQLITE_OK) {
		sqlite3_progress_handler(k->db, STEPS, on_progress, k);
		sqlite3_busy_handler(k->db, on_busy, k);
		if (prepare(t, k, why))
			return k;
	} else {
		int error = k->db ? sqlite3_system_errno(k->db) : ENOMEM;
		host->why(why, "open: %s", error ? strerror(error) : sqlite3_errmsg(k->db));
	}
	sqlite_disconnect(t, k);
	return NULL;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------------ */

/* The first column alone: that is what Postfix's sqlite tables look at. */
static void take_row(sqlite3_stmt *s, struct sql_lookup *l)
{
	const char *value = (const char *)sqlite3_column_text(s, 0);
	if (value)
		sql_lookup_value(l, value, (size_t)sqlite3_column_bytes(s, 0));
}

static enum sql_outcome ask(void *ctx, void *connection, struct sql_lookup *l, struct ost_why *why)
{
	const struct sqlite_table *t = ctx;
	struct connection *k = connection;
	int result = SQLITE_OK;
	k->deadline = l->asked->deadline;
	for (size_t i = 0; i < t->table.query->count && result == SQLITE_OK; i++)
		result = sqlite3_bind_text64(k->statement, (int)i + 1, l->param[i].text, l->param[i].len,
					     SQLITE_STATIC, SQLITE_UTF8);
	if (result == SQLITE_OK)
		while ((result = sqlite3_step(k->statement)) == SQLITE_ROW)
			take_row(k->statement, l);
	if (result != SQLITE_DONE)
		failed(k->db, "SQL step failed", why);
	sqlite3_reset(k->statement);
	sqlite3_clear_bindings(k->statement);
	return result == SQLITE_DONE ? SQL_ANSWERED : SQL_REFUSED;
}

static enum ost_found sqlite_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct sqlite_table *t = self;
	return sql_pool_lookup(&t->table, t->pool, 1, query, answer, ask, t);
}

/* ---- life -------------------------------------------------------------------------------------------------------------------- */

static struct ost_pool *new_pool(struct sqlite_table *t, struct ost_why *why)
{
	const struct ost_pool_server server = { .name = t->config->dbpath };
	const struct ost_pool_config config = {
		.size = sizeof config,
		.max = (uint32_t)t->config->max_connections,
		.servers = &server,
		.count = 1,
		.idle_time = IDLE_TIME,
		.ctx = t,
		.connect = sqlite_connect,
		.disconnect = sqlite_disconnect,
	};
	return host->pool_new(t->instance, &config, why);
}

/* The first connection, so that a query that is wrong is told now. */
static bool try_database(struct sqlite_table *t, struct ost_why *why)
{
	enum { START_SECONDS = 10 };
	void *connection =
		host->pool_take(t->pool, host->now() + START_SECONDS * INT64_C(1000000), NULL, why);
	if (connection)
		host->pool_give(t->pool, connection, OST_POOL_GOOD, NULL);
	return connection != NULL;
}

static void sqlite_table_close(void *self)
{
	struct sqlite_table *t = self;
	if (t->pool)
		host->pool_free(t->pool);
	sqlite_files_remove(t->file);
	sql_table_close(&t->table);
	free(t);
}

static bool sqlite_table_open(struct ost_instance *instance, const void *config, void **self,
			      struct ost_why *why)
{
	const struct sqlite_config *c = config;
	struct sqlite_table *t = calloc(1, sizeof *t);
	if (!t)
		return host->why(why, "out of memory");
	t->config = c;
	t->instance = instance;
	bool ok = sql_table_open(&t->table, host, instance, SQL_SQLITE, &c->common, why);
	if (ok && !(t->file = sqlite_files_add(instance, c->dbpath)))
		ok = host->why(why, "out of memory");
	ok = ok && (t->pool = new_pool(t, why)) != NULL && try_database(t, why);
	if (ok)
		*self = t;
	else
		sqlite_table_close(t);
	return ok;
}

static const struct ost_table_ops sqlite_ops = {
	.ops = {
		.size = sizeof sqlite_ops,
		.flags = OST_TABLE_CF_FILE,
		.params = params,
		.config_size = sizeof(struct sqlite_config),
		.open = sqlite_table_open,
		.close = sqlite_table_close,
	},
	.lookup = sqlite_lookup,
};

static const struct ost_provide sqlite_provides[] = {
	{ OST_KIND_TABLE, "sqlite", &sqlite_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(sqlite, .version = "1.0", .summary = "SQLite", .license = "Apache-2.0",
	   .provides = sqlite_provides, .load = sqlite_load);
