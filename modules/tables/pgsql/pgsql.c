/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `pgsql`: PostgreSQL. Questions are sent with the key as bound parameters, and never waited
 * for longer than the caller's deadline. */
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "shared/sqlserver.h"

static const struct ost_host *host;

static bool pgsql_load(const struct ost_host *the_host, struct ost_why *why)
{
	host = the_host;
	return PQisthreadsafe() || host->why(why, "this libpq is not made for threads");
}

static const struct ost_param params[] = {
	{ .name = "hosts",
	  OST_PARAM_AT(struct pgsql_config, hosts, OST_PARAM_STRING),
	  .flags = OST_PARAM_SECRET,
	  .help = "Servers: unix:/folder, inet:host:port, postgresql://… (may hold a password)." },
	{ .name = "user", OST_PARAM_AT(struct pgsql_config, user, OST_PARAM_STRING), .help = "Who logs in." },
	{ .name = "password",
	  OST_PARAM_AT(struct pgsql_config, password, OST_PARAM_STRING),
	  .flags = OST_PARAM_SECRET,
	  .help = "The user's password." },
	{ .name = "dbname",
	  OST_PARAM_AT(struct pgsql_config, dbname, OST_PARAM_STRING),
	  .flags = OST_PARAM_SECRET,
	  .help = "The database, or a connection string (may hold a password)." },
	{ .name = "encoding",
	  OST_PARAM_AT(struct pgsql_config, encoding, OST_PARAM_STRING),
	  .defval = "UTF8",
	  .help = "The encoding of keys and values." },
	SQL_COMMON_PARAMS(struct pgsql_config),
	SQL_COMMON_STRING(struct pgsql_config, select_function,
			  "Without `query`: the function that is asked."),
	SQL_POOL_PARAMS(struct pgsql_config),
	{ 0 },
};

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

/* Statements are prepared under this name, once for each connection. */
#define STATEMENT "ostler"

/* Sends what is left, then waits for all results; the last one counts. NULL: in time there was none (*outcome
 * says which). */
static PGresult *await(PGconn *c, int64_t deadline, enum sql_outcome *outcome)
{
	PGresult *last = NULL, *next;
	*outcome = SQL_LOST;
	for (;;) {
		int left = PQflush(c);
		while (left == 0 && !PQisBusy(c)) {
			next = PQgetResult(c);
			if (!next)
				return last;
			PQclear(last);
			last = next;
		}
		short events = left > 0 ? POLLIN | POLLOUT : POLLIN;
		int ready = left < 0 ? POLLIN : sql_wait(host, PQsocket(c), events, deadline);
		if (!ready)
			*outcome = SQL_SILENT;
		if (!ready || (ready & ~POLLOUT && !PQconsumeInput(c)) || left < 0)
			break;
	}
	PQclear(last);
	return NULL;
}

/* Errors that do not concern this question, but the server or what the connection remembers. */
static const struct {
	const char *state;
	enum sql_outcome outcome;
} by_state[] = {
	{ "57P", SQL_LOST },    /* shut down, crashed, starting */
	{ "08", SQL_LOST },     /* connection exception */
	{ "0A000", SQL_STALE }, /* cached plan must not change result type */
	{ "26000", SQL_STALE }, /* no such prepared statement: connections are shared behind a proxy */
};

static enum sql_outcome outcome_of(PGconn *c, const PGresult *r, struct ost_why *why)
{
	const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
	const char *text = r && *PQresultErrorMessage(r) ? PQresultErrorMessage(r) : PQerrorMessage(c);
	host->why(why, "pgsql query failed: %.*s", sql_first_line(text), text);
	for (size_t i = 0; state && i < sizeof by_state / sizeof *by_state; i++)
		if (strncmp(state, by_state[i].state, strlen(by_state[i].state)) == 0)
			return by_state[i].outcome;
	return PQstatus(c) == CONNECTION_BAD || !state ? SQL_LOST : SQL_REFUSED;
}

/* The results of what was sent. *r is NULL unless SQL_ANSWERED; *sqlstate (may be NULL): of a refusal. */
static enum sql_outcome get(PGconn *c, bool sent, int64_t deadline, PGresult **r, char sqlstate[6],
			    struct ost_why *why)
{
	enum sql_outcome outcome;
	*r = sent ? await(c, deadline, &outcome) : NULL;
	if (sent && !*r && outcome == SQL_SILENT) {
		host->why(why, "no answer in time");
		return SQL_SILENT;
	}
	ExecStatusType status = PQresultStatus(*r);
	if (*r && (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK))
		return SQL_ANSWERED;
	outcome = outcome_of(c, *r, why);
	const char *state = *r ? PQresultErrorField(*r, PG_DIAG_SQLSTATE) : NULL;
	if (sqlstate && state)
		memcpy(sqlstate, state, strnlen(state, 5));
	PQclear(*r);
	*r = NULL;
	return outcome;
}

/* ---- the ways to ask ----------------------------------------------------------------------------------------------------- */

static void take_rows(const PGresult *r, struct sql_lookup *l)
{
	for (int row = 0; row < PQntuples(r); row++)
		for (int column = 0; column < PQnfields(r); column++)
			if (!PQgetisnull(r, row, column))
				sql_lookup_value(l, PQgetvalue(r, row, column),
						 (size_t)PQgetlength(r, row, column));
}

static void quote(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	int error = 0;
	if (text_buf_reserve(out, 2 * len))
		out->len += PQescapeStringConn(ctx, out->text + out->len, text, len, &error);
	out->spoilt = out->spoilt || error;
}

/* As text with quoted keys: for servers that cannot tell what type a parameter has. */
static enum sql_outcome ask_as_text(struct pgsql *t, struct connection *k, struct sql_lookup *l,
				    struct ost_why *why)
{
	PGresult *r;
	struct text_buf text = { 0 };
	(void)t;
	sql_lookup_text(l, quote, k->pg, &text);
	if (text.spoilt) {
		text_buf_free(&text);
		host->why(why, "the key cannot be quoted: %s", PQerrorMessage(k->pg));
		return SQL_REFUSED;
	}
	enum sql_outcome outcome =
		get(k->pg, PQsendQuery(k->pg, text_buf_text(&text)), l->asked->deadline, &r, NULL, why);
	text_buf_free(&text);
	if (outcome == SQL_ANSWERED)
		take_rows(r, l);
	PQclear(r);
	return outcome;
}

/* Refusals that may mean that a parameter cannot stand where a literal can: DATE '%s', concat('%u', x). */
static const char *const not_bindable[] = { "42601", "42P08", "42P18", "42725", "42804", "42883" };

static bool may_be_text(const struct sql_query *q, const char *state)
{
	for (size_t i = 0; q->escapable && i < sizeof not_bindable / sizeof *not_bindable; i++)
		if (strcmp(state, not_bindable[i]) == 0)
			return true;
	return false;
}

/* The connection's statement, once. */
static enum sql_outcome prepare(struct pgsql *t, struct connection *k, struct sql_lookup *l,
				struct ost_why *why)
{
	PGresult *r;
	char state[6] = "";
	const struct sql_query *q = t->table.query;
	enum sql_outcome outcome = get(k->pg, PQsendPrepare(k->pg, STATEMENT, q->bound, (int)q->count, NULL),
				       l->asked->deadline, &r, state, why);
	PQclear(r);
	k->prepared = outcome == SQL_ANSWERED;
	if (outcome == SQL_REFUSED && may_be_text(q, state))
		atomic_store(&t->as_text, true);
	return outcome;
}

static enum sql_outcome ask_bound(struct pgsql *t, struct connection *k, struct sql_lookup *l,
				  struct ost_why *why)
{
	PGresult *r;
	char state[6] = "";
	const char *values[SQL_PARAMS_MAX];
	int count = (int)t->table.query->count;
	for (int i = 0; i < count; i++)
		values[i] = l->param[i].text;
	bool keep = !atomic_load(&t->no_statements);
	enum sql_outcome outcome = keep && !k->prepared ? prepare(t, k, l, why) : SQL_ANSWERED;
	if (outcome != SQL_ANSWERED)
		return outcome;
	int sent = keep ? PQsendQueryPrepared(k->pg, STATEMENT, count, values, NULL, NULL, 0)
			: PQsendQueryParams(k->pg, t->table.query->bound, count, NULL, values, NULL, NULL, 0);
	outcome = get(k->pg, sent, l->asked->deadline, &r, state, why);
	if (outcome == SQL_ANSWERED)
		take_rows(r, l);
	if (strcmp(state, "26000") == 0)
		atomic_store(&t->no_statements, true);
	PQclear(r);
	return outcome;
}

static enum sql_outcome ask(void *ctx, void *connection, struct sql_lookup *l, struct ost_why *why)
{
	struct pgsql *t = ctx;
	bool bindable = t->table.query->bound != NULL;
	enum sql_outcome outcome = SQL_REFUSED;
	if (bindable && !atomic_load(&t->as_text))
		outcome = ask_bound(t, connection, l, why);
	if (outcome == SQL_REFUSED && (!bindable || atomic_load(&t->as_text)))
		outcome = ask_as_text(t, connection, l, why);
	return outcome;
}

static enum ost_found pgsql_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct pgsql *t = self;
	return sql_pool_lookup(&t->table, t->pool, t->servers.count, query, answer, ask, t);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

static void pgsql_close(void *self)
{
	struct pgsql *t = self;
	if (t->pool)
		host->pool_free(t->pool);
	pgsql_connect_end(t);
	sql_servers_free(&t->servers);
	sql_table_close(&t->table);
	free(t);
}

static bool pgsql_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	const struct pgsql_config *c = config;
	struct pgsql *t = calloc(1, sizeof *t);
	if (!t)
		return host->why(why, "out of memory");
	t->config = c;
	t->host = host;
	bool ok = sql_table_open(&t->table, host, instance, SQL_PGSQL, &c->common, why) &&
		  sql_servers_parse(host, c->hosts, true, &t->servers, why) &&
		  pgsql_connect_prepare(t, instance, why);
	if (ok)
		t->pool = sql_pool_new(&t->table, &t->servers, &c->pool, t, pgsql_connect, pgsql_disconnect,
				       why);
	if (t->pool)
		*self = t;
	else
		pgsql_close(t);
	return *self;
}

static const struct ost_table_ops pgsql_ops = {
	.ops = {
		.size = sizeof pgsql_ops,
		.flags = OST_TABLE_CF_FILE,
		.params = params,
		.config_size = sizeof(struct pgsql_config),
		.open = pgsql_open,
		.close = pgsql_close,
	},
	.lookup = pgsql_lookup,
};

static const struct ost_provide pgsql_provides[] = {
	{ OST_KIND_TABLE, "pgsql", &pgsql_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(pgsql, .version = "1.0", .summary = "PostgreSQL", .license = "Apache-2.0",
	   .provides = pgsql_provides, .load = pgsql_load);
