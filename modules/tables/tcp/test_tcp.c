/* SPDX-License-Identifier: Apache-2.0
 * tcp: what goes over the wire, every kind of reply, and servers that are slow, rude, dead, or come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "module/module.h"
#include "tests/support/group.h"

FIXTURE_GROUP("virtual_uid_maps = static:5000, tcp:127.0.0.1:9\n");

#define RUDE_GOOD    "200 x\n"
#define RUDE_ENDLESS "200 aaaaaaaaaaaaaaaa"
#define RUDE_HEALTHY peer_serve_tcp_table
#define RUDE_SPEC    "tcp:127.0.0.1:%u"
#include "tests/support/rude.h"

static size_t read_request(int fd, char *out)
{
	return peer_read_to(fd, '\n', out, REQUEST_MAX);
}

static void name_table(char spec[160], const char *server, unsigned port)
{
	snprintf(spec, 160, "tcp:%s:%u", server, port);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void replies(void **state)
{
	(void)state;
	static const struct rude_reply rows[] = {
		{ "200 value\n", OST_FOUND, "value" },
		{ "200 value\r\n", OST_FOUND, "value" },
		{ "200 \n", OST_FOUND, "" },
		{ "299 a%20b%0ac%25%e4\n", OST_FOUND, "a b\nc%\xe4" },
		{ "200\ttab\n", OST_FOUND, "tab" },
		{ "500 absent\n", OST_NOTFOUND, NULL },
		{ "550 %20\n", OST_NOTFOUND, NULL },
		{ "400 come back\n", OST_TEMPFAIL, "400 come back" },
		{ "451 x\n", OST_TEMPFAIL, "451 x" },
		{ "300 x\n", OST_TEMPFAIL, "bad status code: 300 x" },
		{ "000 x\n", OST_TEMPFAIL, "bad status code: 000 x" },
		{ "hello\n", OST_TEMPFAIL, "malformed reply: hello" },
		{ "\n", OST_TEMPFAIL, "malformed reply" },
		{ "200\n", OST_TEMPFAIL, "malformed reply: 200" },
		{ "200x\n", OST_TEMPFAIL, "malformed reply: 200x" },
		{ "2000 x\n", OST_TEMPFAIL, "malformed reply" },
		{ "200 a%\n", OST_TEMPFAIL, "malformed reply" },
		{ "200 a%2\n", OST_TEMPFAIL, "malformed reply" },
		{ "200 a%2g\n", OST_TEMPFAIL, "malformed reply" },
		{ "200 a%00b\n", OST_TEMPFAIL, "malformed reply" },
		{ "500 a%zz\n", OST_TEMPFAIL, "malformed reply" },
		{ "x\x1b[2J\n", OST_TEMPFAIL, "malformed reply: x?[2J" },
	};
	expect_replies(rows, sizeof rows / sizeof *rows);
}

static void serve_nul(void *ctx, int fd)
{
	char request[64];
	(void)ctx;
	while (peer_read_to(fd, '\n', request, sizeof request))
		if (!peer_write(fd, "200 a\0b\n", 8))
			return;
}

/* Half a value is no value. */
static void a_value_with_a_nul_is_none(void **state)
{
	(void)state;
	struct peer *p = peer_start("127.0.0.1", 0, serve_nul, NULL);
	struct ost_why why = { "" };
	struct lookup found;
	char spec[64];
	snprintf(spec, sizeof spec, "tcp:127.0.0.1:%u", (unsigned)peer_port(p));
	struct table *t = table_open(fix.view, spec, &why);
	assert_int_equal(table_lookup(t, a, "x", 1, &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "malformed reply: 200 a?b"));
	peer_stop(&p);
}

/* A key is one line with one blank, whatever is in it. */
static void keys_on_the_wire(void **state)
{
	(void)state;
	static const char key[] = "A b%c\nget x\t\r\0\xff\x7f~!{}";
	struct scene s;
	struct lookup found;
	open_scene(&s, "127.0.0.1", ANSWER, "500 no\n");
	assert_int_equal(ask_in(&s, key, sizeof key - 1, CLOCK_SECOND * 10, &found), OST_NOTFOUND);
	assert_int_equal(ask(&s, "", &found), OST_NOTFOUND);
	assert_string_equal(buf_str(&s.rude.seen), "get A%20b%25c%0Aget%20x%09%0D%00%FF%7F~!{}\nget \n");
	close_scene(&s);
}

/* The longest request has 4096 bytes; longer keys are not found without asking. */
static void long_keys(void **state)
{
	(void)state;
	enum { LONGEST = 4096 - 5 };
	struct scene s;
	struct lookup found;
	char key[LONGEST + 3];
	memset(key, 'k', sizeof key);
	open_scene(&s, "127.0.0.1", ANSWER, "200 found\n");
	for (size_t n = LONGEST - 4; n <= sizeof key; n++) {
		enum ost_found result = ask_in(&s, key, n, CLOCK_SECOND * 10, &found);
		size_t sent = s.rude.seen.len;
		assert_true(result == (sent ? OST_FOUND : OST_NOTFOUND));
		assert_true(sent ? sent == n + 5 && sent <= 4096 : n > LONGEST - 3);
		buf_reset(&s.rude.seen);
	}
	close_scene(&s);
}

static void a_reply_of_4096_bytes_is_the_longest(void **state)
{
	(void)state;
	char reply[4200];
	for (size_t len = 4095; len <= 4098; len++) {
		struct scene s;
		struct lookup found;
		memset(reply, 'v', len);
		memcpy(reply, "200 ", 4);
		snprintf(reply + len - 1, 2, "\n");
		open_scene(&s, "127.0.0.1", ANSWER, reply);
		enum ost_found result = ask(&s, "key", &found);
		assert_int_equal(result, len <= 4096 ? OST_FOUND : OST_TEMPFAIL);
		if (result != OST_FOUND)
			assert_non_null(strstr(found.why.text, "text longer than 4096"));
		close_scene(&s);
	}
}

static void rude_servers(void **state)
{
	(void)state;
	static const struct rude_manner rows[] = {
		{ SILENT, "", "no answer in time" },
		{ SLOW,
		  "200 this takes longer than there is time for it, because each byte takes so long to "
		  "come\n",
		  "no answer in time" },
		{ ENDLESS, "", "text longer than 4096" },
		{ CLOSE, "", "unexpected EOF" },
		{ CLOSE_HALF, "200 ha", "unexpected EOF" },
	};
	expect_failures(rows, sizeof rows / sizeof *rows);
}

static void names_and_ipv6(void **state)
{
	(void)state;
	struct scene s;
	struct lookup found;
	static const char *const hosts[] = { "[::1]", "::1", "localhost", "[127.0.0.1]" };
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		open_scene(&s, hosts[i], ANSWER, "200 x\n");
		assert_int_equal(ask(&s, "key", &found), OST_FOUND);
		close_scene(&s);
	}
	struct ost_why why = { "" };
	struct table *t = table_open(fix.view, "tcp:no.such.host.invalid:25", &why);
	assert_string_equal(why.text, "");
	assert_int_equal(table_lookup_until(t, a, "x", 1, clock_mono() + CLOCK_SECOND, &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "host no.such.host.invalid"));
	t = table_open(fix.view, "tcp:127.0.0.1:nosuchservice", &why);
	assert_int_equal(table_lookup(t, a, "x", 1, &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "unknown service: nosuchservice/tcp"));
}

static void names_that_are_none(void **state)
{
	(void)state;
	static const char *const specs[] = { "tcp:", "tcp:host", "tcp::25", "tcp:host:", "tcp:/path:1" };
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		struct ost_why why = { "" };
		table_open(fix.view, specs[i], &why);
		assert_non_null(strstr(why.text, "expecting \"host:port\""));
	}
}

/* What a server on the network says is no ground for becoming a user. */
static void no_decisions_on_local_users(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	const struct mod_provider *virtual = mod_find(OST_KIND_TRANSPORT, "virtual", &why);
	if (!virtual)
		skip();
	assert_null(mod_open(virtual, fix.view, "virtual", &why));
	assert_string_equal(why.text, "parameter virtual_uid_maps: tcp:127.0.0.1:9 map is not allowed for "
				      "security-sensitive data");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(a_value_with_a_nul_is_none),
		cmocka_unit_test(keys_on_the_wire),
		cmocka_unit_test(long_keys),
		cmocka_unit_test(a_reply_of_4096_bytes_is_the_longest),
		cmocka_unit_test(rude_servers),
		cmocka_unit_test(a_server_that_is_not_there),
		cmocka_unit_test(connections_are_kept_and_replaced),
		cmocka_unit_test(names_and_ipv6),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(no_decisions_on_local_users),
		cmocka_unit_test(a_restart_means_try_again_and_no_more),
	};
	return cmocka_run_group_tests_name("tcp", tests, setup, teardown);
}
