/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `mysql`: MariaDB and MySQL. */
#include <stdlib.h>

#include "mysqltable.h"

static const struct ost_host *host;

static bool mysql_load(const struct ost_host *the_host, struct ost_why *why)
{
	host = the_host;
	return mysql_library_init(0, NULL, NULL) == 0 ||
	       host->why(why, "the client library cannot be started");
}

static void mysql_unload(void)
{
	mysql_library_end();
}

#define STRING(member, text)                                                                                 \
	{                                                                                                    \
		.name = #member, OST_PARAM_AT(struct mysql_config, member, OST_PARAM_STRING), .help = text   \
	}
#define BOOL(member, def, text)                                                                              \
	{                                                                                                    \
		.name = #member, OST_PARAM_AT(struct mysql_config, member, OST_PARAM_BOOL), .defval = def,   \
		.help = text                                                                                 \
	}

static const struct ost_param params[] = {
	STRING(hosts, "Servers: unix:/socket, inet:host:port, host."),
	STRING(user, "Who logs in."),
	{ .name = "password",
	  OST_PARAM_AT(struct mysql_config, password, OST_PARAM_STRING),
	  .flags = OST_PARAM_SECRET,
	  .help = "The user's password." },
	STRING(dbname, "The database."),
	{ .name = "charset",
	  OST_PARAM_AT(struct mysql_config, charset, OST_PARAM_STRING),
	  .defval = "utf8mb4",
	  .help = "The character set of keys and values." },
	STRING(option_file, "A file of the client library's options."),
	{ .name = "option_group",
	  OST_PARAM_AT(struct mysql_config, option_group, OST_PARAM_STRING),
	  .defval = "client",
	  .help = "The group of options that is read besides [client]; empty: none." },
	BOOL(require_result_set, "yes", "A query without a result set is an error; no: nothing is found."),
	STRING(tls_cert_file, "TLS: the client's certificate."),
	STRING(tls_key_file, "TLS: its key."),
	STRING(tls_CAfile, "TLS: certificates of those who are trusted to sign servers' certificates."),
	STRING(tls_CApath, "TLS: a folder of such certificates."),
	STRING(tls_ciphers, "TLS: the ciphers that are allowed."),
	BOOL(tls_verify_cert, "no", "TLS: the server's certificate must be good and have its name."),
	SQL_COMMON_PARAMS(struct mysql_config),
	SQL_POOL_PARAMS(struct mysql_config),
	{ 0 },
};

static void mysql_table_close(void *self)
{
	struct mysql_table *t = self;
	if (t->pool)
		host->pool_free(t->pool);
	mysql_connect_end(t);
	sql_servers_free(&t->servers);
	sql_table_close(&t->table);
	free(t);
}

static bool mysql_table_open(struct ost_instance *instance, const void *config, void **self,
			     struct ost_why *why)
{
	const struct mysql_config *c = config;
	struct mysql_table *t = calloc(1, sizeof *t);
	if (!t)
		return host->why(why, "out of memory");
	t->config = c;
	t->host = host;
	bool ok = mysql_connect_prepare(t, instance, why) &&
		  sql_table_open(&t->table, host, instance, SQL_MYSQL, &c->common, why) &&
		  sql_servers_parse(host, c->hosts, false, &t->servers, why);
	if (ok)
		t->pool = sql_pool_new(&t->table, &t->servers, &c->pool, t, mysql_connect_one,
				       mysql_disconnect, why);
	if (t->pool)
		*self = t;
	else
		mysql_table_close(t);
	return *self;
}

static enum ost_found mysql_table_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct mysql_table *t = self;
	return sql_pool_lookup(&t->table, t->pool, t->servers.count, query, answer, mysql_ask, t);
}

static const struct ost_table_ops mysql_ops = {
	.ops = {
		.size = sizeof mysql_ops,
		.flags = OST_TABLE_CF_FILE,
		.params = params,
		.config_size = sizeof(struct mysql_config),
		.open = mysql_table_open,
		.close = mysql_table_close,
	},
	.lookup = mysql_table_lookup,
};

static const struct ost_provide mysql_provides[] = {
	{ OST_KIND_TABLE, "mysql", &mysql_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(mysql, .version = "1.0", .summary = "MariaDB and MySQL", .license = "Apache-2.0",
	   .provides = mysql_provides, .load = mysql_load, .unload = mysql_unload);
