/* SPDX-License-Identifier: Apache-2.0
 * sqlite: files that change, are replaced, are being written to, or are none. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "table/table.h"
#include "tests/support/database.h"
#include "tests/support/group.h"

FIXTURE_GROUP("");

static int files;
static char path[128], cf[160], spec[200];

/* A database with one row, and a table of it. */
static struct table *table(const char *pragma, const char *query)
{
	char text[600];
	struct ost_why why = { "" };
	snprintf(path, sizeof path, "%s/db%d", fix.dir, ++files);
	snprintf(text, sizeof text,
		 "%s; CREATE TABLE t (k TEXT, v TEXT, n INTEGER); INSERT INTO t VALUES ('known', 'one', 1)",
		 pragma);
	database_run(path, text);
	snprintf(text, sizeof text, "dbpath = %s\nquery = %s\n", path, query);
	snprintf(cf, sizeof cf, "db%d.cf", files);
	snprintf(spec, sizeof spec, "sqlite:%s", fixture_file(&fix, cf, text));
	struct table *t = table_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
	return t;
}

static void expect(struct table *t, const char *key, const char *value)
{
	struct lookup found;
	enum ost_found result = table_lookup(t, a, key, strlen(key), &found);
	if (result != (value ? OST_FOUND : OST_NOTFOUND))
		fail_msg("%s: %d %s", key, result, found.why.text);
	if (value)
		assert_string_equal(found.value, value);
}

#define QUERY "SELECT v FROM t WHERE k = '%s'"

static void what_is_written_is_seen_at_once(void **state)
{
	(void)state;
	static const char *const modes[] = { "PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL" };
	for (size_t i = 0; i < 2; i++) {
		struct table *t = table(modes[i], QUERY);
		expect(t, "known", "one");
		database_run(path, "UPDATE t SET v = 'two'; INSERT INTO t VALUES ('new', 'row', 0)");
		expect(t, "known", "two");
		expect(t, "new", "row");
	}
}

static void another_file_in_its_place_is_opened(void **state)
{
	(void)state;
	char other[160], first[128];
	struct table *t = table("", QUERY);
	snprintf(first, sizeof first, "%s", path);
	snprintf(other, sizeof other, "%s.new", first);
	expect(t, "known", "one");
	database_run(other, "CREATE TABLE t (k TEXT, v TEXT); INSERT INTO t VALUES ('known', 'other')");
	assert_int_equal(rename(other, first), 0);
	table_reopen_all();
	expect(t, "known", "other");
}

static void keys_are_bound(void **state)
{
	(void)state;
	struct table *t = table("", "SELECT v FROM t WHERE k = '%s' OR n = '%u'");
	expect(t, "1", "one");
	expect(t, "x' OR '1'='1", NULL);
	t = table("", "SELECT \"v\" FROM [t] WHERE k = \"%s\" -- it's");
	expect(t, "known", "one");
	expect(t, "\" OR 1=1 --", NULL);
}

/* Somebody writes for longer than the question may take. */
static void a_writer_is_waited_for_until_the_deadline(void **state)
{
	(void)state;
	sqlite3 *writer;
	struct lookup found;
	struct table *t = table("PRAGMA journal_mode = DELETE", QUERY);
	assert_int_equal(sqlite3_open(path, &writer), SQLITE_OK);
	assert_int_equal(sqlite3_exec(writer, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	int64_t start = clock_mono();
	assert_int_equal(table_lookup_until(t, a, "known", 5, start + CLOCK_SECOND / 5, &found),
			 OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "database is locked"));
	assert_true(clock_mono() - start >= CLOCK_SECOND / 5);
	assert_int_equal(sqlite3_exec(writer, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(writer);
	expect(t, "known", "one");
}

static void a_query_without_end_is_ended(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = table("", "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT "
				    "'%s' FROM r WHERE i < 0");
	assert_int_equal(table_lookup_until(t, a, "known", 5, clock_mono() + CLOCK_SECOND / 5, &found),
			 OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "interrupted"));
}

static void what_cannot_be_used_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *lines, *text;
	} bad[] = {
		{ "query = SELECT '%s'\n", "parameter dbpath is required and not set" },
		{ "dbpath = /nonexistent/db\nquery = SELECT '%s'\n",
		  "/nonexistent/db: open: No such file or directory" },
		{ "dbpath = /etc/passwd\nquery = SELECT '%s' FROM t\n",
		  "/etc/passwd: SQL prepare failed: file is not a database" },
		{ "dbpath = @\nquery = SELECT '%s' FROM nowhere\n",
		  "SQL prepare failed: no such table: nowhere" },
		{ "dbpath = @\nquery = SELECT '%s'; DELETE FROM t\n", "query: one statement is wanted" },
	};
	table("", QUERY);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[400], name[32];
		struct ost_why why = { "" };
		const char *at = strchr(bad[i].lines, '@');
		snprintf(text, sizeof text, "%.*s%s%s", at ? (int)(at - bad[i].lines) : 1000, bad[i].lines,
			 at ? path : "", at ? at + 1 : "");
		snprintf(name, sizeof name, "bad%zu.cf", i);
		snprintf(spec, sizeof spec, "sqlite:%s", fixture_file(&fix, name, text));
		table_open(fix.view, spec, &why);
		if (!strstr(why.text, bad[i].text))
			fail_msg("%s: %s", bad[i].lines, why.text);
	}
}

/* ---- many threads ---------------------------------------------------------------------------------------------------------- */

static struct table *shared;
static atomic_int wrong;
static atomic_bool finish;

static void *asker(void *arg)
{
	struct arena *mine = arena_new();
	(void)arg;
	while (!atomic_load(&finish)) {
		struct lookup found;
		arena_reset(mine);
		enum ost_found result = table_lookup(shared, mine, "known", 5, &found);
		if (result != OST_FOUND || strncmp(found.value, "value ", 6) != 0)
			atomic_fetch_add(&wrong, 1);
	}
	arena_destroy(&mine);
	return NULL;
}

/* The table is opened anew while they ask, as it is when the master tells of a change. */
static void many_threads_ask_while_it_changes(void **state)
{
	(void)state;
	enum { THREADS = 10, CHANGES = 50 };
	pthread_t threads[THREADS];
	shared = table("PRAGMA journal_mode = DELETE", QUERY);
	database_run(path, "UPDATE t SET v = 'value 0'");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, asker, NULL), 0);
	for (int i = 0; i < CHANGES; i++) {
		char sql[100];
		snprintf(sql, sizeof sql, "PRAGMA busy_timeout = 20000; UPDATE t SET v = 'value %d'", i);
		database_run(path, sql);
		table_reopen_all();
	}
	atomic_store(&finish, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	expect(shared, "known", "value 49");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_seen_at_once),
		cmocka_unit_test(another_file_in_its_place_is_opened),
		cmocka_unit_test(keys_are_bound),
		cmocka_unit_test(a_writer_is_waited_for_until_the_deadline),
		cmocka_unit_test(a_query_without_end_is_ended),
		cmocka_unit_test(many_threads_ask_while_it_changes),
		cmocka_unit_test(what_cannot_be_used_is_told),
	};
	return cmocka_run_group_tests_name("sqlite", tests, setup, teardown);
}
