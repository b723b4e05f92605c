/* SPDX-License-Identifier: Apache-2.0
 * Runs the contract suite for tables that ask a server, with a real one, where it is installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/module.h"
#include "ostler/host.h"
#include "tests/contract/table.h"
#include "tests/support/fixture.h"
#include "tests/support/server.h"

static struct fixture fix;
static char specs[3][160];

static void start(struct server *s, const char *name, const char *const args[], size_t size)
{
	snprintf(s->socket, sizeof s->socket, "%s/%s.socket", fix.dir, name);
	memcpy(&s->argv[1], args, size);
	server_start(s);
}

static bool start_slapd(struct server *s)
{
	static char make[300], folder[100], conf[128], url[256] = "ldapi://", text[500];
	const char *srcdir = getenv("OST_SRCDIR");
	if (!server_installed(s->argv[0]))
		return false;
	snprintf(make, sizeof make, "%s/tests/lib/directory/make", srcdir ? srcdir : ".");
	snprintf(folder, sizeof folder, "%s/slapd", fix.dir);
	snprintf(conf, sizeof conf, "%s/slapd.conf", folder);
	server_run((const char *[]){ make, folder, NULL });
	snprintf(s->socket, sizeof s->socket, "%s/ldap.socket", fix.dir);
	for (const char *p = s->socket; *p; p++)
		snprintf(url + strlen(url), sizeof url - strlen(url), *p == '/' ? "%%2F" : "%c", *p);
	start(s, "ldap", (const char *[]){ "-f", conf, "-h", url, "-d", "0", NULL }, 7 * sizeof(char *));
	snprintf(text, sizeof text,
		 "server_host = %s\nsearch_base = ou=people,dc=test\nquery_filter = "
		 "(mailacceptinggeneralid=%%s)\n",
		 url);
	snprintf(specs[0], sizeof specs[0], "ldap:%s", fixture_file(&fix, "ldap.cf", text));
	return true;
}

static bool start_memcached(struct server *s)
{
	static char socket[100], text[200];
	if (!server_installed(s->argv[0]))
		return false;
	snprintf(socket, sizeof socket, "%s/memcache.socket", fix.dir);
	start(s, "memcache", (const char *[]){ "-u", "root", "-s", socket, "-a", "0777", NULL },
	      7 * sizeof(char *));
	server_tell(socket, "set joe@x.test 0 0 13\r\njoe@mail.test\r\n", "STORED\r\n");
	snprintf(text, sizeof text, "memcache = unix:%s\n", socket);
	snprintf(specs[1], sizeof specs[1], "memcache:%s", fixture_file(&fix, "memcache.cf", text));
	return true;
}

static bool start_redis(struct server *s)
{
	static char socket[100], text[200];
	if (!server_installed(s->argv[0]))
		return false;
	snprintf(socket, sizeof socket, "%s/redis.socket", fix.dir);
	start(s, "redis",
	      (const char *[]){ "--port", "0", "--unixsocket", socket, "--dir", fix.dir, "--save", "", NULL },
	      9 * sizeof(char *));
	server_tell(socket, "SET joe@x.test joe@mail.test\r\n", "+OK\r\n");
	snprintf(text, sizeof text, "hosts = unix:%s\n", socket);
	snprintf(specs[2], sizeof specs[2], "redis:%s", fixture_file(&fix, "redis.cf", text));
	return true;
}

int main(void)
{
	static struct server servers[] = { { .argv = { "/usr/sbin/slapd" } },
					   { .argv = { "/usr/bin/memcached" } },
					   { .argv = { "/usr/bin/redis-server" } } };
	static bool (*const starters[])(struct server *) = { start_slapd, start_memcached, start_redis };
	static struct CMUnitTest tests[CONTRACT_TESTS];
	static struct table_case cases[] = {
		{ .type = "ldap",
		  .spec = specs[0],
		  .key = "joe@x.test",
		  .value = "joe@mail.test",
		  .broken = "ldap:/nonexistent/file" },
		{ .type = "memcache",
		  .spec = specs[1],
		  .key = "joe@x.test",
		  .value = "joe@mail.test",
		  .broken = "memcache:/nonexistent/file",
		  .unlisted = true },
		{ .type = "redis",
		  .spec = specs[2],
		  .key = "joe@x.test",
		  .value = "joe@mail.test",
		  .broken = "redis:/nonexistent/file" },
	};
	size_t n = 0;
	fixture_open(&fix, "", NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ost_why why = { "" };
		const struct mod_provider *p = mod_find(OST_KIND_TABLE, cases[i].type, &why);
		if (!p || !starters[i](&servers[i]))
			continue;
		cases[i].view = fix.view;
		cases[i].ops = (const struct ost_table_ops *)p->ops;
		n = contract_table(&cases[i], tests, n);
	}
	int failures = _cmocka_run_group_tests("servers", tests, n, NULL, NULL);
	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
		server_kill(&servers[i]);
	fixture_close(&fix);
	return failures;
}
