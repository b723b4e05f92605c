/* SPDX-License-Identifier: Apache-2.0
 * memcache against a real server: values, keys that cannot be, the backup, and what happens while the server
 * is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "module/module.h"
#include "table/cache.h"
#include "tests/support/group.h"
#include "tests/support/lines.h"
#include "tests/support/outage.h"

FIXTURE_GROUP("");

static struct server one = { .argv = { "/usr/bin/memcached" } }, two = { .argv = { "/usr/bin/memcached" } };

static void launch(struct server *s, const char *name)
{
	snprintf(s->socket, sizeof s->socket, "%s/%s", fix.dir, name);
	const char *const args[] = { "-u", "root", "-s", s->socket, "-a", "0777", "-m", "16" };
	memcpy(&s->argv[1], args, sizeof args);
	server_start(s);
}

static int start(void **state)
{
	setup(state);
	fixture_log(&fix);
	if (!server_installed(one.argv[0]))
		return 0;
	launch(&one, "one");
	launch(&two, "two");
	return 0;
}

static int stop(void **state)
{
	server_kill(&one);
	server_kill(&two);
	return teardown(state);
}

static void store(const struct server *s, const char *key, const char *value)
{
	char text[400];
	snprintf(text, sizeof text, "set %s 0 0 %zu\r\n%s\r\n", key, strlen(value), value);
	server_tell(s->socket, text, "STORED\r\n");
}

static void expect_stored(const struct server *s, const char *key, const char *value)
{
	char question[300], answer[400];
	snprintf(question, sizeof question, "get %s\r\n", key);
	if (value)
		snprintf(answer, sizeof answer, "VALUE %s 7 %zu\r\n%s\r\nEND\r\n", key, strlen(value), value);
	server_tell(s->socket, question, value ? answer : "END\r\n");
}

static void need_server(void)
{
	if (one.pid > 0)
		return;
	print_message("# skip: %s is not installed\n", one.argv[0]);
	skip();
}

static struct table *table(const char *more)
{
	char text[600];
	snprintf(text, sizeof text, "memcache = unix:%s\nretry_pause = 0\n%s", one.socket, more);
	return lines_table(&fix, "memcache", text);
}

static void expect_failure(struct table *t, const char *key, const char *reason)
{
	struct lookup found;
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), OST_TEMPFAIL);
	if (!strstr(found.why.text, reason))
		fail_msg("%s is not in: %s", reason, found.why.text);
}

static void values_are_found(void **state)
{
	(void)state;
	need_server();
	store(&one, "joe@x.test", "joe@mailbox.test, and more");
	store(&one, "t:joe:x.test", "formatted");
	store(&one, "empty", "");
	struct table *t = table("");
	lines_expect(t, a, "joe@x.test", "joe@mailbox.test, and more");
	lines_expect(t, a, "nobody", NULL);
	lines_expect(t, a, "empty", "");
	t = table("key_format = t:%u:%d\ndomain = x.test\n");
	lines_expect(t, a, "joe@x.test", "formatted");
	lines_expect(t, a, "joe@y.test", NULL);
	lines_expect(t, a, "joe", NULL);
	expect_failure(table("data_size_limit = 5\n"), "joe@x.test", "data_size_limit");
}

/* 1 MiB - some: the server announces it, and no room is made for it. */
static void a_value_that_is_far_too_long_is_a_failure(void **state)
{
	(void)state;
	need_server();
	static char text[900100];
	int n = snprintf(text, sizeof text, "set big 0 0 900000\r\n");
	memset(text + n, 'x', 900000);
	memcpy(text + n + 900000, "\r\n", 3);
	server_tell(one.socket, text, "STORED\r\n");
	struct table *t = table("");
	struct lookup found;
	assert_int_equal(table_lookup(t, a, "big", 3, &found), OST_TEMPFAIL);
	store(&one, "small", "fits");
	lines_expect(t, a, "small", "fits");
}

static void odd_keys_are_never_asked_for(void **state)
{
	(void)state;
	need_server();
	char longest[300];
	memset(longest, 'k', sizeof longest);
	longest[250] = '\0';
	store(&one, longest, "longest");
	store(&one, "a", "wrong");
	struct table *t = table("");
	lines_expect(t, a, longest, "longest");
	longest[250] = 'k';
	longest[251] = '\0';
	lines_expect(t, a, longest, NULL);
	lines_expect(t, a, "a b", NULL);
	lines_expect(t, a, "a\r\nset a 0 0 3\r\nbad\r\n", NULL);
	lines_expect(t, a, "a\n", NULL);
	lines_expect(t, a, "\x7f", NULL);
	lines_expect(t, a, "a", "wrong");
	lines_expect(table("backup = inline:{ {a b = from the backup} }\n"), a, "a b", "from the backup");
}

static void the_backup_is_asked_and_kept(void **state)
{
	(void)state;
	need_server();
	struct table *t =
		table("backup = inline:{ {k1 = v1}, {k2 = v2} }\nkey_format = b:%s\nflags = 7\nttl = 100\n");
	expect_stored(&one, "b:k1", NULL);
	lines_expect(t, a, "k1", "v1");
	expect_stored(&one, "b:k1", "v1");
	store(&one, "b:k2", "from the server");
	lines_expect(t, a, "k2", "from the server");
	lines_expect(t, a, "k3", NULL);
	expect_stored(&one, "b:k3", NULL);
	server_kill(&one); /* and without the server */
	lines_expect(t, a, "k1", "v1");
	lines_expect(t, a, "k3", NULL);
	server_start(&one);
	expect_failure(table("backup = texthash:/nonexistent\n"), "k1", "/nonexistent");
}

static void each_key_has_its_server(void **state)
{
	(void)state;
	need_server();
	char text[400];
	snprintf(text, sizeof text,
		 "memcache = unix:%s, unix:%s\nbackup = static:v\nkey_format = s:%%s\nflags = 7\n",
		 one.socket, two.socket);
	struct table *t = lines_table(&fix, "memcache", text);
	int on_one = 0, on_two = 0;
	for (int i = 0; i < 100; i++) {
		char key[16], question[32];
		snprintf(key, sizeof key, "k%d", i);
		lines_expect(t, a, key, "v");
		lines_expect(t, a, key, "v");
		snprintf(question, sizeof question, "delete s:%s\r\n", key);
		bool first = server_asks(one.socket, question, "DELETED\r\n"),
		     second = server_asks(two.socket, question, "DELETED\r\n");
		assert_true(first != second); /* on one of them, always the same */
		on_one += first;
		on_two += second;
	}
	assert_true(on_one > 20 && on_two > 20);
}

static void values_can_be_changed(void **state)
{
	(void)state;
	need_server();
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_TABLE, "memcache", &why);
	const struct ost_table_ops *ops = (const struct ost_table_ops *)p->ops;
	char text[200];
	snprintf(text, sizeof text, "memcache = unix:%s\nflags = 7\n", one.socket);
	struct mod_instance *in = mod_open(p, fix.view, fixture_file(&fix, "change.cf", text), &why);
	assert_non_null(in);
	assert_int_equal(ops->update(mod_self(in), "key", 3, "value", 5, &why), OST_FOUND);
	expect_stored(&one, "key", "value");
	assert_int_equal(ops->remove(mod_self(in), "key", 3, &why), OST_FOUND);
	assert_int_equal(ops->remove(mod_self(in), "key", 3, &why), OST_NOTFOUND);
	assert_int_equal(ops->update(mod_self(in), "a key", 5, "value", 5, &why), OST_TEMPFAIL);
	mod_close(&in);
}

/* ---- as a cache, with a backup ----------------------------------------------------------------------------------------- */

static struct cache *cache(const char *more)
{
	static int n;
	char text[600], name[32], spec[300];
	struct ost_why why = { "" };
	snprintf(text, sizeof text,
		 "memcache = unix:%s\nretry_pause = 0\ntimeout = 1\nflags = 7\nkey_format = c:%%s\n%s",
		 one.socket, more);
	snprintf(name, sizeof name, "cache%d.cf", ++n);
	snprintf(spec, sizeof spec, "memcache:%s", fixture_file(&fix, name, text));
	struct cache *c = table_cache_open(fix.view, spec, &why);
	if (!c)
		fail_msg("%s", why.text);
	return c;
}

/* lmdb, in the fixture's data_directory. */
static const char *backup_line(char text[200], const char *name)
{
	snprintf(text, 200, "backup = lmdb:%s/%s\n", fix.dir, name);
	return text;
}

static void expect_cached(struct cache *c, const char *key, const char *value)
{
	struct lookup found;
	assert_int_equal(table_cache_lookup(c, a, key, &found), value ? OST_FOUND : OST_NOTFOUND);
	if (value)
		assert_string_equal(found.value, value);
}

static bool keep_all(void *ctx, const char *key, const char *value)
{
	(void)ctx;
	(void)value;
	return strncmp(key, "old", 3) != 0;
}

static void need_lmdb(void)
{
	struct ost_why why;
	need_server();
	if (mod_find(OST_KIND_TABLE, "lmdb", &why))
		return;
	print_message("# skip: lmdb is not built\n");
	skip();
}

static void a_backup_is_changed_with_it(void **state)
{
	(void)state;
	need_lmdb();
	char line[200];
	struct cache *c = cache(backup_line(line, "changed")), *behind;
	struct ost_why why = { "" };
	snprintf(line, sizeof line, "lmdb:%s/changed", fix.dir);
	behind = table_cache_open(fix.view, line, &why);
	assert_non_null(behind);
	assert_true(table_cache_update(c, "k", "v1"));
	expect_stored(&one, "c:k", "v1");
	expect_cached(behind, "k", "v1");
	store(&one, "c:k", "from memcached");
	expect_cached(c, "k", "from memcached");
	assert_true(table_cache_update(c, "k", "v2"));
	expect_stored(&one, "c:k", "v2");
	assert_true(table_cache_update(c, "two words", "v3")); /* a key that memcached cannot have */
	expect_cached(c, "two words", "v3");
	assert_int_equal(table_cache_remove(c, "k"), OST_FOUND);
	expect_stored(&one, "c:k", NULL);
	expect_cached(behind, "k", NULL);
	expect_cached(c, "k", NULL);
	assert_int_equal(table_cache_remove(c, "k"), OST_NOTFOUND);
	assert_true(table_cache_update(behind, "k", "v4"));
	expect_cached(c, "k", "v4"); /* found there, and put into memcached */
	expect_stored(&one, "c:k", "v4");
	table_cache_close(&behind);
	table_cache_close(&c);
}

static void entries_expire_in_both(void **state)
{
	(void)state;
	need_lmdb();
	char line[200];
	struct cache_expired counts;
	struct cache *c = cache(backup_line(line, "expire"));
	static const char *const keys[] = { "new1", "old1", "new2", "old2" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		assert_true(table_cache_update(c, keys[i], "v"));
	assert_true(table_cache_expire(c, a, keep_all, NULL, &counts));
	assert_int_equal(counts.kept, 2);
	assert_int_equal(counts.removed, 2);
	expect_stored(&one, "c:old1", NULL);
	expect_stored(&one, "c:new1", "v");
	expect_cached(c, "old2", NULL);
	table_cache_close(&c);
	c = cache("");
	assert_false(table_cache_expire(c, a, keep_all, NULL, &counts));
	assert_true(fixture_logged(&fix, "cannot be listed without a backup"));
	table_cache_close(&c);
}

static void a_cache_goes_on_without_memcached(void **state)
{
	(void)state;
	need_lmdb();
	char line[200];
	struct cache *c = cache(backup_line(line, "alone"));
	assert_true(table_cache_update(c, "k", "v1"));
	server_kill(&one);
	assert_true(table_cache_update(c, "k", "v2"));
	assert_true(fixture_logged(&fix, "changed in the backup alone"));
	expect_cached(c, "k", "v2");
	server_start(&one);
	table_cache_close(&c);
	c = cache("domain = x.test\n");
	assert_false(table_cache_update(c, "joe@y.test", "v"));
	assert_true(fixture_logged(&fix, "the key is not of a domain that `domain` names"));
	assert_true(table_cache_update(c, "joe@x.test", "v"));
	expect_stored(&one, "c:joe@x.test", "v");
	table_cache_close(&c);
}

static void a_backup_must_be_one_that_can_be_changed(void **state)
{
	(void)state;
	char spec[300];
	struct ost_why why = { "" };
	snprintf(spec, sizeof spec, "memcache:%s",
		 fixture_file(&fix, "static.cf", "memcache = unix:/nonexistent\nbackup = static:x\n"));
	assert_null(table_cache_open(fix.view, spec, &why));
	assert_non_null(
		strstr(why.text, "parameter backup: static:x: tables of the type static cannot be changed"));
}

static void bad_parameters_are_refused(void **state)
{
	static const struct {
		const char *lines, *complaint;
	} bad[] = {
		{ "key_format = %x\n", "parameter key_format: Invalid query template: %x" },
		{ "memcache =\n", "parameter memcache: no server is named" },
		{ "memcache = inet:h:99999\n", "parameter memcache: no server: inet:h:99999" },
		{ "backup = nothing\n",
		  "parameter backup: expecting \"type:name\" form instead of \"nothing\"" },
		{ "max_try = 0\n", "parameter max_try: " },
		{ "ttl = x\n", "parameter ttl: " },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char name[32], spec[200];
		struct ost_why why = { "" };
		snprintf(name, sizeof name, "bad%zu.cf", i);
		snprintf(spec, sizeof spec, "memcache:%s", fixture_file(&fix, name, bad[i].lines));
		table_open(fix.view, spec, &why);
		if (!strstr(why.text, bad[i].complaint))
			fail_msg("%s: %s", bad[i].lines, why.text);
	}
}

static void a_server_that_is_silent_is_left_alone(void **state)
{
	(void)state;
	char text[100];
	int port = 0, fd = server_silent(NULL, &port);
	snprintf(text, sizeof text, "memcache = inet:127.0.0.1:%d\ntimeout = 1\n", port);
	outage_silent(lines_table(&fix, "memcache", text), "joe@x.test", CLOCK_SECOND);
	close(fd);
}

/* The one that was there, and stops in the middle: never "not found". */
static void a_server_that_falls_silent_is_no_answer(void **state)
{
	(void)state;
	need_server();
	store(&one, "k", "v");
	struct table *t = table("timeout = 1\nmax_try = 1\n");
	lines_expect(t, a, "k", "v");
	server_freeze(&one);
	expect_failure(t, "k", "no answer in time");
	expect_failure(t, "nobody", "no answer in time");
	server_unfreeze(&one);
}

/* After a restart nothing is there. */
static void a_restart_is_survived(void **state)
{
	(void)state;
	need_server();
	outage_restarts(table("connections = 5\n"), &one, "not-there", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found),
		cmocka_unit_test(a_value_that_is_far_too_long_is_a_failure),
		cmocka_unit_test(odd_keys_are_never_asked_for),
		cmocka_unit_test(the_backup_is_asked_and_kept),
		cmocka_unit_test(each_key_has_its_server),
		cmocka_unit_test(values_can_be_changed),
		cmocka_unit_test(a_backup_is_changed_with_it),
		cmocka_unit_test(entries_expire_in_both),
		cmocka_unit_test(a_cache_goes_on_without_memcached),
		cmocka_unit_test(a_backup_must_be_one_that_can_be_changed),
		cmocka_unit_test(bad_parameters_are_refused),
		cmocka_unit_test(a_server_that_is_silent_is_left_alone),
		cmocka_unit_test(a_server_that_falls_silent_is_no_answer),
		cmocka_unit_test(a_restart_is_survived),
	};
	return cmocka_run_group_tests_name("memcache", tests, start, stop);
}
