/* SPDX-License-Identifier: Apache-2.0
 * Runs the contract suite for each table module that was built. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/module.h"
#include "ostler/host.h"
#include "tests/contract/index.h"
#include "tests/contract/table.h"
#include "tests/support/database.h"
#include "tests/support/fixture.h"
#include "tests/support/peer.h"

static struct fixture fix;
static char texthash_spec[160], regexp_spec[160], pcre_spec[160], cidr_spec[160], tcp_spec[64], socketmap_spec[64], union_spec[200],
	pipe_spec[200], debug_spec[200], cache_spec[200], sqlite_path[128], sqlite_spec[160];
static struct peer *tcp_server, *socketmap_server;

/* Types with an index file, each beside a text of its own. */
enum { INDEXES = 4 };
static struct {
	const char *type, *suffix;
	void (*change)(void);
	char path[128], spec[160], broken[160];
} indexes[INDEXES];

static const struct ost_table_ops *find(const char *type)
{
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_TABLE, type, &why);
	if (!p)
		fprintf(stderr, "# %s is not built: %s\n", type, why.text);
	return p ? (const struct ost_table_ops *)p->ops : NULL;
}

static void change_index(int i)
{
	static const char *const entries[] = { "other=2", NULL };
	index_build(find(indexes[i].type), indexes[i].path, entries, 0);
}
static void change_hash(void)
{
	change_index(0);
}
static void change_cdb(void)
{
	change_index(1);
}
static void change_btree(void)
{
	change_index(2);
}
static void change_lmdb(void)
{
	change_index(3);
}

static void change_texthash(void)
{
	fixture_file(&fix, "text", "other two words\n");
}

static void change_union(void)
{
	fixture_file(&fix, "union", "other two words\n");
}

static void change_pipe(void)
{
	fixture_file(&fix, "pipe", "other two words\n");
}

static void change_debug(void)
{
	fixture_file(&fix, "debug", "other two words\n");
}

static void change_cached(void)
{
	fixture_file(&fix, "cached", "other two words\n");
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
	snprintf(texthash_spec, sizeof texthash_spec, "texthash:%s", fixture_file(&fix, "text", "known 1\n\"b c\" 2\n"));
	snprintf(regexp_spec, sizeof regexp_spec, "regexp:%s", fixture_file(&fix, "patterns", "/^(known)$/ is $1\n"));
	snprintf(pcre_spec, sizeof pcre_spec, "pcre:%s", fixture_file(&fix, "perl", "/^(known)$/ is $1\n"));
	snprintf(cidr_spec, sizeof cidr_spec, "cidr:%s", fixture_file(&fix, "networks", "192.0.2.0/24 net\n"));
	snprintf(union_spec, sizeof union_spec, "unionmap:{inline:{x=y},texthash:%s}", fixture_file(&fix, "union", "known 1\n"));
	snprintf(pipe_spec, sizeof pipe_spec, "pipemap:{texthash:%s,inline:{a=1,{two words=2}}}", fixture_file(&fix, "pipe", "known a\n"));
	snprintf(debug_spec, sizeof debug_spec, "debug:texthash:%s", fixture_file(&fix, "debug", "known 1\n"));
	snprintf(cache_spec, sizeof cache_spec, "cache:{ttl=1h,negative=1h}:texthash:%s", fixture_file(&fix, "cached", "known 1\n"));
	make_database();
	setenv("known", "1", 1);
}

static void make_indexes(void)
{
	static const char *const names[INDEXES][2] = { { "hash", ".db" }, { "cdb", ".cdb" }, { "btree", ".lmdb" }, { "lmdb", ".lmdb" } };
	static void (*const changes[INDEXES])(void) = { change_hash, change_cdb, change_btree, change_lmdb };
	static const char *const entries[] = { "known=1", "b=value with spaces", NULL };
	for (int i = 0; i < INDEXES; i++) {
		const char *type = indexes[i].type = names[i][0];
		char rubbish[64];
		indexes[i].suffix = names[i][1];
		indexes[i].change = changes[i];
		snprintf(indexes[i].path, sizeof indexes[i].path, "%s/map-%s", fix.dir, type);
		snprintf(indexes[i].spec, sizeof indexes[i].spec, "%s:%s", type, indexes[i].path);
		if (find(type))
			index_build(find(type), indexes[i].path, entries, 0);
		snprintf(rubbish, sizeof rubbish, "rubbish-%s%s", type, indexes[i].suffix);
		fixture_file(&fix, rubbish, "this is no index, and too short for one");
		snprintf(indexes[i].broken, sizeof indexes[i].broken, "%s:%s/rubbish-%s", type, fix.dir, type);
	}
}

/* Puts the case of each index type behind the n that are there; answers how many there are then. */
static size_t add_indexes(struct table_case *cases, size_t n)
{
	for (int i = 0; i < INDEXES; i++)
		cases[n++] = (struct table_case){ .type = indexes[i].type, .spec = indexes[i].spec, .key = "known", .value = "1",
						  .broken = indexes[i].broken, .change = indexes[i].change, .changed_key = "other", .changed_value = "2" };
	return n;
}

/* The suite for each case whose module is there. */
static size_t add_suites(struct table_case *cases, size_t count, struct CMUnitTest *tests, size_t n)
{
	for (size_t i = 0; i < count; i++) {
		cases[i].view = fix.view;
		cases[i].ops = find(cases[i].type);
		if (cases[i].ops)
			n = contract_table(&cases[i], tests, n);
	}
	return n;
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
	make_indexes();
	struct table_case indexed[INDEXES];
	struct table_case cases[] = {
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
		{ .type = "unionmap", .spec = union_spec, .key = "known", .value = "1", .broken = "unionmap:{static:a", .change = change_union,
		  .changed_key = "other", .changed_value = "two words" },
		{ .type = "pipemap", .spec = pipe_spec, .key = "known", .value = "1", .broken = "pipemap:{static:}", .change = change_pipe,
		  .changed_key = "other", .changed_value = "2" },
		{ .type = "randmap", .spec = "randmap:{one}", .key = "known", .value = "one", .finds_all = true, .broken = "randmap:{}" },
		{ .type = "debug", .spec = debug_spec, .key = "known", .value = "1", .broken = "debug:x", .change = change_debug,
		  .changed_key = "other", .changed_value = "two words" },
		{ .type = "cache", .spec = cache_spec, .key = "known", .value = "1", .broken = "cache:{size=0}:static:a",
		  .change = change_cached, .changed_key = "other", .changed_value = "two words" },
		{ .type = "environ", .spec = "environ:x", .key = "known", .value = "1", .broken = "environ:" },
		{ .type = "sqlite", .spec = sqlite_spec, .key = "known", .value = "of the database", .broken = "sqlite:/nonexistent/file",
		  .change = change_sqlite, .changed_key = "other", .changed_value = "changed" },
		{ .type = "unix", .spec = "unix:group.byname", .key = "root", .value = "root:x:0:", .broken = "unix:nothing" },
	};
	static struct CMUnitTest tests[CONTRACT_TESTS];
	size_t n = 0;
	n = add_suites(indexed, add_indexes(indexed, 0), tests, n);
	n = add_suites(cases, sizeof cases / sizeof *cases, tests, n);
	int failures = _cmocka_run_group_tests("tables", tests, n, NULL, NULL);
	fixture_close(&fix);
	peer_stop(&tcp_server);
	peer_stop(&socketmap_server);
	return failures;
}
