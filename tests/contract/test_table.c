/* SPDX-License-Identifier: Apache-2.0
 * Runs the contract suite for each table module that was built. */
#include <stdio.h>
#include <string.h>

#include "module/module.h"
#include "ostler/host.h"
#include "tests/contract/index.h"
#include "tests/contract/table.h"
#include "tests/support/database.h"
#include "tests/support/fixture.h"
#include "tests/support/peer.h"

static struct fixture fix;
static char hash_path[128], hash_spec[160], texthash_spec[160], regexp_spec[160], pcre_spec[160], cidr_spec[160],
	broken_hash[160], sqlite_path[128], sqlite_spec[160], tcp_spec[64], socketmap_spec[64];
static struct peer *tcp_server, *socketmap_server;

static const struct ost_table_ops *find(const char *type)
{
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_TABLE, type, &why);
	if (!p)
		fprintf(stderr, "# %s is not built: %s\n", type, why.text);
	return p ? (const struct ost_table_ops *)p->ops : NULL;
}

static void change_hash(void)
{
	static const char *const entries[] = { "other=2", NULL };
	index_build(find("hash"), hash_path, entries, 0);
}

static void change_texthash(void)
{
	fixture_file(&fix, "text", "other two words\n");
}

static void change_regexp(void)
{
	fixture_file(&fix, "patterns", "/^other(.*)$/ <$1>\n");
}

static void change_pcre(void)
{
	fixture_file(&fix, "perl", "/^other(.*)$/ <$1>\n");
}

static void change_cidr(void)
{
	fixture_file(&fix, "networks", "2001:db8::/32 doc\n");
}

#ifdef HAVE_DATABASE
static void change_sqlite(void)
{
	database_run(sqlite_path, "DELETE FROM t; INSERT INTO t VALUES ('other', 'changed')");
}

static void make_database(void)
{
	char lines[300];
	snprintf(sqlite_path, sizeof sqlite_path, "%s/database", fix.dir);
	database_run(sqlite_path, "CREATE TABLE t (k TEXT, v TEXT); INSERT INTO t VALUES ('known', 'of the database')");
	snprintf(lines, sizeof lines, "dbpath = %s\nquery = SELECT v FROM t WHERE k = '%%s'\n", sqlite_path);
	snprintf(sqlite_spec, sizeof sqlite_spec, "sqlite:%s", fixture_file(&fix, "database.cf", lines));
}
#else
static void (*const change_sqlite)(void) = NULL;
static void make_database(void)
{
}
#endif

/* The files behind the specs. */
static void make_files(void)
{
	static const char *const entries[] = { "known=1", "b=value with spaces", NULL };
	snprintf(hash_path, sizeof hash_path, "%s/map", fix.dir);
	snprintf(hash_spec, sizeof hash_spec, "hash:%s", hash_path);
	if (find("hash"))
		index_build(find("hash"), hash_path, entries, 0);
	snprintf(texthash_spec, sizeof texthash_spec, "texthash:%s", fixture_file(&fix, "text", "known 1\n\"b c\" 2\n"));
	snprintf(regexp_spec, sizeof regexp_spec, "regexp:%s", fixture_file(&fix, "patterns", "/^(known)$/ is $1\n"));
	snprintf(pcre_spec, sizeof pcre_spec, "pcre:%s", fixture_file(&fix, "perl", "/^(known)$/ is $1\n"));
	snprintf(cidr_spec, sizeof cidr_spec, "cidr:%s", fixture_file(&fix, "networks", "192.0.2.0/24 net\n"));
	fixture_file(&fix, "rubbish.db", "this is no index, and too short for one");
	snprintf(broken_hash, sizeof broken_hash, "hash:%s/rubbish", fix.dir);
	make_database();
}

/* The servers behind the specs. */
static void start_servers(void)
{
	tcp_server = peer_start("127.0.0.1", 0, peer_serve_tcp_table, NULL);
	snprintf(tcp_spec, sizeof tcp_spec, "tcp:127.0.0.1:%u", (unsigned)peer_port(tcp_server));
	socketmap_server = peer_start("127.0.0.1", 0, peer_serve_socketmap, NULL);
	snprintf(socketmap_spec, sizeof socketmap_spec, "socketmap:inet:127.0.0.1:%u:map",
		 (unsigned)peer_port(socketmap_server));
}

int main(void)
{
	fixture_open(&fix, "", NULL);
	make_files();
	start_servers();
	struct table_case cases[] = {
		{ .type = "hash", .spec = hash_spec, .key = "known", .value = "1", .broken = broken_hash, .change = change_hash, .changed_key = "other",
		  .changed_value = "2" },
		{ .type = "texthash", .spec = texthash_spec, .key = "known", .value = "1", .broken = "texthash:/nonexistent/file", .change = change_texthash,
		  .changed_key = "other", .changed_value = "two words" },
		{ .type = "static", .spec = "static:{ every key }", .key = "known", .value = "every key", .finds_all = true, .broken = "static:{ no end" },
		{ .type = "inline", .spec = "inline:{ known=1, { b = 2 3 } }", .key = "known", .value = "1", .broken = "inline:{ known }" },
		{ .type = "regexp", .spec = regexp_spec, .key = "known", .value = "is known", .broken = "regexp:/nonexistent/file", .change = change_regexp,
		  .changed_key = "other one", .changed_value = "< one>" },
		{ .type = "pcre", .spec = pcre_spec, .key = "known", .value = "is known", .broken = "pcre:/nonexistent/file", .change = change_pcre,
		  .changed_key = "other one", .changed_value = "< one>" },
		{ .type = "cidr", .spec = cidr_spec, .key = "192.0.2.1", .value = "net", .broken = "cidr:/nonexistent/file", .change = change_cidr,
		  .changed_key = "2001:db8::1", .changed_value = "doc" },
		{ .type = "tcp", .spec = tcp_spec, .key = "known", .value = "1", .broken = "tcp:nowhere" },
		{ .type = "socketmap", .spec = socketmap_spec, .key = "known", .value = "1", .broken = "socketmap:nowhere:map" },
		{ .type = "sqlite", .spec = sqlite_spec, .key = "known", .value = "of the database", .broken = "sqlite:/nonexistent/file",
		  .change = change_sqlite, .changed_key = "other", .changed_value = "changed" },
		{ .type = "unix", .spec = "unix:group.byname", .key = "root", .value = "root:x:0:", .broken = "unix:nothing" },
	};
	static struct CMUnitTest tests[CONTRACT_TESTS];
	size_t n = 0;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cases[i].view = fix.view;
		cases[i].ops = find(cases[i].type);
		if (cases[i].ops)
			n = contract_table(&cases[i], tests, n);
	}
	int failures = _cmocka_run_group_tests("tables", tests, n, NULL, NULL);
	fixture_close(&fix);
	peer_stop(&tcp_server);
	peer_stop(&socketmap_server);
	return failures;
}
