/* SPDX-License-Identifier: Apache-2.0
 * redis against a real server: GET and HGET, formats, log-in, odd keys and values, and what happens while the
 * server is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/group.h"
#include "tests/support/lines.h"
#include "tests/support/outage.h"

FIXTURE_GROUP("");

static struct server redis = { .argv = { "/usr/bin/redis-server" } };

static void seed(const char *command, const char *first, const char *second, const char *third)
{
	server_run((const char *[]){ "/usr/bin/redis-cli", "-s", redis.socket, command, first, second, third,
				     NULL });
}

static int start(void **state)
{
	setup(state);
	fixture_log(&fix);
	if (!server_installed(redis.argv[0]))
		return 0;
	snprintf(redis.socket, sizeof redis.socket, "%s/redis", fix.dir);
	const char *const args[] = { "--port", "0", "--unixsocket", redis.socket, "--dir", fix.dir,
				     "--save", "",  "--daemonize",  "no" };
	memcpy(&redis.argv[1], args, sizeof args);
	server_start(&redis);
	seed("SET", "joe@x.test", "joe@mailbox.test", NULL);
	seed("SET", "alias:joe", "local", NULL);
	seed("SET", "dom:x.test", "smtp:[mx.x.test]", NULL);
	seed("SET", "empty", "", NULL);
	seed("SET", "spaces", "two words, and more", NULL);
	seed("HSET", "users", "joe@x.test", "hash-joe");
	seed("HSET", "users:test", "joe", "by-label");
	seed("RPUSH", "list", "a", NULL);
	seed("SAVE", NULL, NULL, NULL);
	return 0;
}

static int stop(void **state)
{
	server_kill(&redis);
	return teardown(state);
}

static void need_server(void)
{
	if (redis.pid > 0)
		return;
	print_message("# skip: %s is not installed\n", redis.argv[0]);
	skip();
}

static struct table *table(const char *more)
{
	char text[600];
	snprintf(text, sizeof text, "hosts = unix:%s\n%s", redis.socket, more);
	return lines_table(&fix, "redis", text);
}

static void values_are_found(void **state)
{
	(void)state;
	need_server();
	struct table *t = table("");
	lines_expect(t, a, "joe@x.test", "joe@mailbox.test");
	lines_expect(t, a, "spaces", "two words, and more");
	lines_expect(t, a, "nobody@x.test", NULL);
	lines_expect(t, a, "empty", NULL);
	t = table("key_format = alias:%u\ndomain = x.test, y.test\nresult_format = %U=%s@%D\n");
	lines_expect(t, a, "joe@x.test", "joe=local@x.test");
	lines_expect(t, a, "joe@z.test", NULL);
	lines_expect(t, a, "joe", NULL);
	t = table("key_format = dom:%d\n");
	lines_expect(t, a, "anybody@x.test", "smtp:[mx.x.test]");
	lines_expect(t, a, "x.test", NULL);
	t = table("command = hget\nkey_format = users\n");
	lines_expect(t, a, "joe@x.test", "hash-joe");
	lines_expect(t, a, "jane@x.test", NULL);
	t = table("command = HGET\nkey_format = users:%1\nfield_format = %u\n");
	lines_expect(t, a, "joe@x.test", "by-label");
	t = table("dbname = 3\n");
	lines_expect(t, a, "joe@x.test", NULL);
}

static void expect_failure(struct table *t, const char *key, const char *reason)
{
	struct lookup found;
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), OST_TEMPFAIL);
	if (!strstr(found.why.text, reason))
		fail_msg("%s is not in: %s", reason, found.why.text);
}

static void what_is_no_value_is_a_failure(void **state)
{
	(void)state;
	need_server();
	struct table *t = table("data_size_limit = 10\n");
	expect_failure(t, "list", "WRONGTYPE");
	expect_failure(t, "joe@x.test", "longer than data_size_limit");
	lines_expect(t, a, "alias:joe", "local"); /* and goes on */
	expect_failure(table("dbname = 9999\n"), "joe@x.test", "SELECT: ERR");
}

static void bad_parameters_are_refused(void **state)
{
	static const struct {
		const char *lines, *complaint;
	} bad[] = {
		{ "command = DEL\n", "parameter command: must be GET or HGET, not \"DEL\"" },
		{ "tls = yes\n", "parameter tls: encrypted connections to Redis are not supported" },
		{ "user = me\n", "parameter user: needs a password" },
		{ "key_format = %x\n", "parameter key_format: Invalid query template: %x" },
		{ "key_format = fixed\n", "parameter key_format: the key is nowhere in it" },
		{ "hosts = inet:1:2:3\n", "parameter hosts: no server: inet:1:2:3" },
		{ "hosts = unix:relative\n", "parameter hosts: no server: unix:relative" },
		{ "hosts =\n", "parameter hosts: no server is named" },
		{ "timeout = soon\n", "parameter timeout: " },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char name[32], spec[200];
		struct ost_why why = { "" };
		snprintf(name, sizeof name, "bad%zu.cf", i);
		snprintf(spec, sizeof spec, "redis:%s", fixture_file(&fix, name, bad[i].lines));
		table_open(fix.view, spec, &why);
		if (!strstr(why.text, bad[i].complaint))
			fail_msg("%s: %s", bad[i].lines, why.text);
	}
}

static void passwords_are_never_shown(void **state)
{
	(void)state;
	need_server();
	seed("CONFIG", "SET", "requirepass", "the-right-one");
	struct table *bad = table("password = a-wrong-secret\n");
	expect_failure(bad, "joe@x.test", "AUTH: WRONGPASS");
	assert_true(fixture_logged(&fix, "AUTH: WRONGPASS"));
	assert_true(fixture_logged(&fix, table_name(bad)));
	assert_false(fixture_logged(&fix, "a-wrong-secret"));
	lines_expect(table("password = the-right-one\n"), a, "joe@x.test", "joe@mailbox.test");
	lines_expect(table("user = default\npassword = the-right-one\n"), a, "joe@x.test",
		     "joe@mailbox.test");
	expect_failure(table(""), "joe@x.test", "NOAUTH");
	server_kill(&redis);
	server_start(&redis);
}

static void the_next_server_is_asked(void **state)
{
	(void)state;
	need_server();
	char text[400];
	snprintf(text, sizeof text, "hosts = unix:%s/nobody, inet:[127.0.0.1]:1 unix:%s\n", fix.dir,
		 redis.socket);
	lines_expect(lines_table(&fix, "redis", text), a, "joe@x.test", "joe@mailbox.test");
}

static void a_server_that_is_silent_is_left_alone(void **state)
{
	(void)state;
	char text[100];
	int port = 0, fd = server_silent(NULL, &port);
	snprintf(text, sizeof text, "hosts = inet:127.0.0.1:%d\ntimeout = 1\n", port);
	outage_silent(lines_table(&fix, "redis", text), "joe@x.test", CLOCK_SECOND);
	close(fd);
}

/* The one that was there, and stops in the middle: never "not found". */
static void a_server_that_falls_silent_is_no_answer(void **state)
{
	(void)state;
	need_server();
	struct table *t = table("timeout = 1\n");
	lines_expect(t, a, "joe@x.test", "joe@mailbox.test");
	server_freeze(&redis);
	expect_failure(t, "joe@x.test", "no answer in time");
	expect_failure(t, "nobody", "no answer in time");
	server_unfreeze(&redis);
}

static void a_restart_is_survived(void **state)
{
	(void)state;
	need_server();
	outage_restarts(table("connections = 5\n"), &redis, "joe@x.test", "joe@mailbox.test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found),
		cmocka_unit_test(what_is_no_value_is_a_failure),
		cmocka_unit_test(bad_parameters_are_refused),
		cmocka_unit_test(passwords_are_never_shown),
		cmocka_unit_test(the_next_server_is_asked),
		cmocka_unit_test(a_server_that_is_silent_is_left_alone),
		cmocka_unit_test(a_server_that_falls_silent_is_no_answer),
		cmocka_unit_test(a_restart_is_survived),
	};
	return cmocka_run_group_tests_name("redis", tests, start, stop);
}
