/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include "addresses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what libpq is told -------------------------------------------------------------------------------------------------- */

/* Files of a connection string that libpq reads when it connects: a sealed process may not. */
static const char *const file_words[PGSQL_FILES] = { "sslcert", "sslkey", "sslrootcert", "sslcrl" };

static bool add(struct pgsql_target *g, const char *name, const char *value)
{
	size_t n = 0;
	while (g->name[n] && strcmp(g->name[n], name) != 0)
		n++;
	if (!value || n == PGSQL_WORDS_MAX)
		return n < PGSQL_WORDS_MAX;
	g->name[n] = name;
	g->value[n] = value;
	return true;
}

/* A connection string's own words. libpq's complaint about it may quote a secret. */
static bool add_string(const struct pgsql *t, struct pgsql_target *g, const char *string, const char *where,
		       struct ost_why *why)
{
	g->parsed = PQconninfoParse(string, NULL);
	if (!g->parsed)
		return t->host->why(why, "parameter %s: this is no valid connection string", where);
	for (const PQconninfoOption *o = g->parsed; o->keyword; o++)
		if (o->val && !add(g, o->keyword, o->val))
			return t->host->why(why, "parameter %s: too many words", where);
	return true;
}

static bool keep_files(const struct pgsql *t, struct ost_instance *instance, struct pgsql_target *g,
		       struct ost_why *why)
{
	for (size_t i = 0; i < PGSQL_FILES; i++) {
		size_t n = 0;
		while (g->name[n] && strcmp(g->name[n], file_words[i]) != 0)
			n++;
		if (!g->name[n] || g->value[n][0] != '/')
			continue;
		if (!keptfile_open(t->host, instance, g->value[n], &g->files[i], why))
			return false;
		g->value[n] = keptfile_path(&g->files[i]);
	}
	return true;
}

/* libpq wants a socket's folder and port: unix:/run/postgresql, or the socket itself,
 * /run/postgresql/.s.PGSQL.5432. */
static bool add_socket(struct pgsql_target *g, const char *path)
{
	static const char before_port[] = "/.s.PGSQL.";
	g->folder = strdup(path);
	if (!g->folder)
		return false;
	char *port = strstr(g->folder, before_port);
	if (port) {
		*port = '\0';
		add(g, "port", port + sizeof before_port - 1);
	}
	return add(g, "host", g->folder);
}

static bool is_string(const char *dbname)
{
	return strchr(dbname, '=') || strncmp(dbname, "postgresql://", 13) == 0 ||
	       strncmp(dbname, "postgres://", 11) == 0;
}

static bool make_target(const struct pgsql *t, struct ost_instance *instance, const struct sql_server *s,
			struct pgsql_target *g, struct ost_why *why)
{
	const struct pgsql_config *c = t->config;
	for (size_t i = 0; i < PGSQL_FILES; i++)
		g->files[i].fd = -1;
	if (s->is_uri) {
		if (!add_string(t, g, s->text, "hosts", why))
			return false;
	} else {
		if (!c->dbname || !*c->dbname)
			return t->host->why(why, "parameter dbname is required and not set");
		if (is_string(c->dbname) && !add_string(t, g, c->dbname, "dbname", why))
			return false;
		if (!is_string(c->dbname))
			add(g, "dbname", c->dbname);
		add(g, "user", c->user && *c->user ? c->user : NULL);
		add(g, "password", c->password && *c->password ? c->password : NULL);
		snprintf(g->port, sizeof g->port, "%d", s->at.port);
		add(g, "port", s->at.port ? g->port : NULL);
		if (s->at.path ? !add_socket(g, s->at.path) : !add(g, "host", s->at.host))
			return t->host->why(why, "out of memory");
	}
	add(g, "client_encoding", c->encoding && *c->encoding ? c->encoding : NULL);
	return (add(g, "fallback_application_name", "ostler") ||
		t->host->why(why, "parameter hosts: too many words")) &&
	       keep_files(t, instance, g, why);
}

bool pgsql_connect_prepare(struct pgsql *t, struct ost_instance *instance, struct ost_why *why)
{
	t->targets = calloc(t->servers.count, sizeof *t->targets);
	if (!t->targets)
		return t->host->why(why, "out of memory");
	bool ok = true;
	for (size_t i = 0; i < t->servers.count; i++) /* all: pgsql_connect_end() looks at each */
		ok = make_target(t, instance, &t->servers.list[i], &t->targets[i], ok ? why : NULL) && ok;
	return ok;
}

void pgsql_connect_end(struct pgsql *t)
{
	for (size_t i = 0; t->targets && i < t->servers.count; i++) {
		struct pgsql_target *g = &t->targets[i];
		for (size_t k = 0; k < PGSQL_FILES; k++)
			keptfile_close(&g->files[k]);
		PQconninfoFree(g->parsed);
		free(g->folder);
	}
	free(t->targets);
}

/* ---- connections ----------------------------------------------------------------------------------------------------------- */

static void no_notices(void *ctx, const PGresult *r)
{
	(void)ctx;
	(void)r;
}

/* Goes on until the connection is there; false with the reason. */
static bool finish(const struct pgsql *t, PGconn *pg, int64_t deadline, struct ost_why *why)
{
	PostgresPollingStatusType wants =
		PQstatus(pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
	while (wants == PGRES_POLLING_READING || wants == PGRES_POLLING_WRITING) {
		if (!sql_wait(t->host, PQsocket(pg), wants == PGRES_POLLING_READING ? POLLIN : POLLOUT,
			      deadline))
			return t->host->why(why, "connect to pgsql server: no answer in time");
		wants = PQconnectPoll(pg);
	}
	if (wants == PGRES_POLLING_OK)
		return true;
	const char *text = PQerrorMessage(pg);
	return t->host->why(why, "connect to pgsql server: %.*s", sql_first_line(text), text);
}

void *pgsql_connect(void *table, size_t i, int64_t deadline, struct ost_why *why)
{
	const struct pgsql *t = table;
	struct pgsql_numeric n;
	struct connection *k = NULL;
	bool found = pgsql_numeric_make(&n, t, &t->targets[i], deadline, why);
	PGconn *pg = found ? PQconnectStartParams(n.name, n.value, 0) : NULL;
	pgsql_numeric_free(&n); /* libpq has copied it */
	if (pg)
		k = calloc(1, sizeof *k);
	if (!k) {
		PQfinish(pg);
		if (found)
			t->host->why(why, "out of memory");
		return NULL;
	}
	k->pg = pg;
	PQsetNoticeReceiver(pg, no_notices, NULL);
	if (finish(t, pg, deadline, why) && PQsetnonblocking(pg, 1) == 0)
		return k;
	pgsql_disconnect(table, k);
	return NULL;
}

void pgsql_disconnect(void *table, void *connection)
{
	struct connection *k = connection;
	(void)table;
	PQfinish(k->pg);
	free(k);
}
