/* SPDX-License-Identifier: Apache-2.0 */
#include <errmsg.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "mysqltable.h"

/* The stack of a call that waits: the library's own is small for a TLS handshake or a look at the hosts file.
 */
enum { STACK = 256 * 1024 };
/* Makes the library say that it also waits for the time; when that is over is decided here. */
enum { LONG_SECONDS = 86400 };
/* Of a host: so many are tried. */
enum { ADDRESSES = 8 };

bool mysql_connect_prepare(struct mysql_table *t, struct ost_instance *instance, struct ost_why *why)
{
	const struct mysql_config *c = t->config;
	const struct {
		const char *path;
		struct keptfile *kept;
	} files[] = {
		{ c->option_file, &t->options },
		{ c->tls_cert_file, &t->cert },
		{ c->tls_key_file, &t->key },
		{ c->tls_CAfile, &t->ca },
	};
	enum { FILES = sizeof files / sizeof *files };
	for (size_t i = 0; i < FILES; i++)
		files[i].kept->fd = -1;
	for (size_t i = 0; i < FILES; i++)
		if (!keptfile_open(t->host, instance, files[i].path, files[i].kept, why))
			return false;
	return true;
}

void mysql_connect_end(struct mysql_table *t)
{
	struct keptfile *files[] = { &t->options, &t->cert, &t->key, &t->ca };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		keptfile_close(files[i]);
}

int mysql_await(const struct ost_host *host, MYSQL *db, int wants, int64_t deadline)
{
	static const struct {
		int wants;
		short events;
	} table[] = { { MYSQL_WAIT_READ, POLLIN },
		      { MYSQL_WAIT_WRITE, POLLOUT },
		      { MYSQL_WAIT_EXCEPT, POLLPRI } };
	enum { N = sizeof table / sizeof *table };
	short events = 0;
	for (size_t i = 0; i < N; i++)
		events |= wants & table[i].wants ? table[i].events : 0;
	int ready = sql_wait(host, mysql_get_socket(db), events, deadline), got = 0;
	if (!ready)
		return MYSQL_WAIT_TIMEOUT;
	for (size_t i = 0; i < N; i++) /* an error is told by the call that runs into it */
		got |= ready & (table[i].events | POLLERR | POLLHUP) ? wants & table[i].wants : 0;
	return got;
}

static bool given(const char *text)
{
	return text && *text;
}

static void set_options(const struct mysql_table *t, MYSQL *db)
{
	const struct mysql_config *c = t->config;
	const size_t stack = STACK;
	const unsigned time = LONG_SECONDS, off = 0;
	const my_bool verify = c->tls_verify_cert;
	mysql_options(db, MYSQL_OPT_NONBLOCK, &stack);
	mysql_options(db, MYSQL_OPT_CONNECT_TIMEOUT, &time);
	mysql_options(db, MYSQL_OPT_READ_TIMEOUT, &time);
	mysql_options(db, MYSQL_OPT_WRITE_TIMEOUT, &time);
	if (keptfile_path(&t->options))
		mysql_options(db, MYSQL_READ_DEFAULT_FILE, keptfile_path(&t->options));
	if (given(c->option_group))
		mysql_options(db, MYSQL_READ_DEFAULT_GROUP, c->option_group);
	mysql_options(db, MYSQL_OPT_LOCAL_INFILE, &off); /* no server may ask for files */
	if (given(c->charset))
		mysql_options(db, MYSQL_SET_CHARSET_NAME, c->charset);
	if (keptfile_path(&t->key) || keptfile_path(&t->cert) || keptfile_path(&t->ca) ||
	    given(c->tls_CApath) || given(c->tls_ciphers))
		mysql_ssl_set(db, keptfile_path(&t->key), keptfile_path(&t->cert), keptfile_path(&t->ca),
			      given(c->tls_CApath) ? c->tls_CApath : NULL,
			      given(c->tls_ciphers) ? c->tls_ciphers : NULL);
	if (verify)
		mysql_options(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

/* host NULL: the socket. A client that is connected, or NULL with the reason. */
static MYSQL *connect_to(const struct mysql_table *t, const struct endpoint *s, const char *host,
			 int64_t deadline, struct ost_why *why)
{
	const struct mysql_config *c = t->config;
	MYSQL *db = mysql_init(NULL), *done = NULL;
	if (!db) {
		t->host->why(why, "out of memory");
		return NULL;
	}
	set_options(t, db);
	int wants = mysql_real_connect_start(
		&done, db, host, given(c->user) ? c->user : NULL, given(c->password) ? c->password : NULL,
		given(c->dbname) ? c->dbname : NULL, (unsigned)s->port, s->path, CLIENT_MULTI_RESULTS);
	while (wants)
		wants = mysql_real_connect_cont(&done, db, mysql_await(t->host, db, wants, deadline));
	if (done)
		return db;
	const char *text = t->host->now() < deadline ? mysql_error(db) : "no answer in time";
	t->host->why(why, "connect to mysql server: %.*s", sql_first_line(text), text);
	mysql_close(db);
	return NULL;
}

/* Is the server's name compared with its certificate? An option file may say so, too. */
static bool name_counts(const struct mysql_config *c)
{
	return c->tls_verify_cert || given(c->option_file);
}

/* libmariadb looks names up as long as resolv.conf says, without a look at the clock; so they are looked up
 * before, in time, and it gets numbers. Where the name counts it gets that, once it is known that names are
 * answered for. */
static MYSQL *connect_by_name(const struct mysql_table *t, const struct endpoint *s, int64_t deadline,
			      struct ost_why *why)
{
	struct ost_address list[ADDRESSES];
	size_t count = 0;
	MYSQL *db = NULL;
	if (!t->host->addresses(t->table.instance, s->host, list, ADDRESSES, &count, deadline, why))
		return NULL;
	if (name_counts(t->config))
		return connect_to(t, s, s->host, deadline, why);
	for (size_t i = 0; i < count && !db; i++) {
		int64_t now = t->host->now();
		db = connect_to(t, s, list[i].text, now + (deadline - now) / (int64_t)(count - i), why);
	}
	return db;
}

/* "localhost" is the socket, as for every program of MySQL's. */
void *mysql_connect_one(void *table, size_t i, int64_t deadline, struct ost_why *why)
{
	const struct mysql_table *t = table;
	const struct endpoint *s = &t->servers.list[i].at;
	bool local = s->path || strcmp(s->host, "localhost") == 0;
	struct connection *k = calloc(1, sizeof *k);
	if (!k) {
		t->host->why(why, "out of memory");
		return NULL;
	}
	k->db = local ? connect_to(t, s, NULL, deadline, why) : connect_by_name(t, s, deadline, why);
	if (k->db)
		return k;
	free(k);
	return NULL;
}

void mysql_disconnect(void *table, void *connection)
{
	struct connection *k = connection;
	MYSQL_STMT *statement = k->statement;
	(void)table;
	mysql_close(k->db); /* the statement is the client's alone then, and asks nobody when it goes */
	if (statement)
		mysql_stmt_close(statement);
	free(k);
}
