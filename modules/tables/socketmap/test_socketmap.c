/* SPDX-License-Identifier: Apache-2.0
 * socketmap: what goes over the wire, every kind of reply, and servers that are slow, rude, dead, or come
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/group.h"

FIXTURE_GROUP("socketmap_max_reply_size = 1000\n");

#define RUDE_GOOD    "4:OK x,"
#define RUDE_ENDLESS "00000000000000000000"
#define RUDE_HEALTHY peer_serve_socketmap
#define RUDE_SPEC    "socketmap:inet:127.0.0.1:%u:map"
#include "tests/support/rude.h"

static size_t read_request(int fd, char *out)
{
	size_t head = peer_read_to(fd, ':', out, 16), n = strtoul(out, NULL, 10);
	return head && n < REQUEST_MAX - 32 && peer_read(fd, out + head, n + 1) ? head + n + 1 : 0;
}

static void name_table(char spec[160], const char *server, unsigned port)
{
	if (server[0] == '/')
		snprintf(spec, 160, "socketmap:unix:%s:map", server);
	else
		snprintf(spec, 160, "socketmap:inet:%s:%u:map", server, port);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void replies(void **state)
{
	(void)state;
	static const struct rude_reply rows[] = {
		{ "8:OK value,", OST_FOUND, "value" },
		{ "3:OK ,", OST_FOUND, "" },
		{ "2:OK,", OST_FOUND, "" },
		{ "0000008:OK a b c,", OST_FOUND, "a b c" },
		{ "7:OK a, b,", OST_FOUND, "a, b" },
		{ "8:NOTFOUND,", OST_NOTFOUND, NULL },
		{ "9:NOTFOUND ,", OST_NOTFOUND, NULL },
		{ "10:NOTFOUND x,", OST_NOTFOUND, NULL },
		{ "9:TEMP soon,", OST_TEMPFAIL, "socketmap server temporary error: soon" },
		{ "4:TEMP,", OST_TEMPFAIL, "socketmap server temporary error" },
		{ "11:TIMEOUT old,", OST_TEMPFAIL, "socketmap server timeout error: old" },
		{ "11:PERM broken,", OST_BADTABLE, "socketmap server permanent error: broken" },
		{ "8:ok value,", OST_TEMPFAIL, "unexpected reply: ok" },
		{ "3:OKA,", OST_TEMPFAIL, "unexpected reply: OKA" },
		{ "0:,", OST_TEMPFAIL, "unexpected reply: " },
		{ "5:x\x1b[2J,", OST_TEMPFAIL, "unexpected reply: x?[2J" },
		{ "8:OK value;", OST_TEMPFAIL, "input format error" },
		{ ":,", OST_TEMPFAIL, "input format error" },
		{ "x", OST_TEMPFAIL, "input format error" },
		{ "-1:,", OST_TEMPFAIL, "input format error" },
		{ " 8:OK value,", OST_TEMPFAIL, "input format error" },
		{ "200 value\n", OST_TEMPFAIL, "input format error" },
		{ "1001:OK", OST_TEMPFAIL, "input exceeds size limit" },
		{ "99999999999999999999999999999999:OK", OST_TEMPFAIL, "input exceeds size limit" },
	};
	expect_replies(rows, sizeof rows / sizeof *rows);
}

static void serve_nul(void *ctx, int fd)
{
	char request[64];
	(void)ctx;
	while (read_request(fd, request))
		if (!peer_write(fd, "6:OK a\0b,", 9))
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
	snprintf(spec, sizeof spec, "socketmap:inet:127.0.0.1:%u:map", (unsigned)peer_port(p));
	struct table *t = table_open(fix.view, spec, &why);
	assert_int_equal(table_lookup(t, a, "x", 1, &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "unexpected reply"));
	peer_stop(&p);
}

static void keys_on_the_wire(void **state)
{
	(void)state;
	static const char key[] = "A b%c\n9:map x,\r\0\xff";
	static const char want[] = "21:map A b%c\n9:map x,\r\0\xff,4:map ,";
	struct scene s;
	struct lookup found;
	open_scene(&s, "127.0.0.1", ANSWER, "8:NOTFOUND,");
	assert_int_equal(ask_in(&s, key, sizeof key - 1, CLOCK_SECOND * 10, &found), OST_NOTFOUND);
	assert_int_equal(ask(&s, "", &found), OST_NOTFOUND);
	assert_int_equal(s.rude.seen.len, sizeof want - 1);
	assert_memory_equal(s.rude.seen.data, want, sizeof want - 1);
	close_scene(&s);
}

static void the_longest_reply(void **state)
{
	(void)state;
	char *reply = mem_alloc(1100);
	for (size_t len = 999; len <= 1001; len++) {
		struct scene s;
		struct lookup found;
		int head = snprintf(reply, 1100, "%zu:OK ", len);
		memset(reply + head, 'v', len - 3);
		snprintf(reply + (size_t)head + len - 3, 2, ",");
		open_scene(&s, "127.0.0.1", ANSWER, reply);
		assert_int_equal(ask(&s, "key", &found), len <= 1000 ? OST_FOUND : OST_TEMPFAIL);
		assert_true(len > 1000 || found.len == len - 3);
		close_scene(&s);
	}
	free(reply);
}

static void rude_servers(void **state)
{
	(void)state;
	static const struct rude_manner rows[] = {
		{ SILENT, "", "no answer in time" },
		{ SLOW, "60:OK this takes longer than there is time for it, because it is slow,",
		  "no answer in time" },
		{ ENDLESS, "", "no answer in time" },
		{ CLOSE, "", "the server closed the connection" },
		{ CLOSE_HALF, "8:OK va", "the server closed the connection" },
		{ CLOSE_HALF, "8", "the server closed the connection" },
	};
	expect_failures(rows, sizeof rows / sizeof *rows);
}

static void sockets_names_and_ipv6(void **state)
{
	(void)state;
	struct scene s;
	struct lookup found;
	char path[128];
	snprintf(path, sizeof path, "%s/socket", fix.dir);
	const char *const servers[] = { "[::1]", "::1", "localhost", path };
	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
		open_scene(&s, servers[i], ANSWER, "4:OK x,");
		assert_int_equal(ask(&s, "key", &found), OST_FOUND);
		close_scene(&s);
	}
}

static void names_that_are_none(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *why;
	} rows[] = {
		{ "socketmap:x", "socketmap requires server:socketmap argument" },
		{ "socketmap:inet:host:map", "the server has to be inet:host:port or unix:/path" },
		{ "socketmap:inet::1:map", "the server has to be" },
		{ "socketmap:host:25:map", "the server has to be" },
		{ "socketmap:inet:/path:1:map", "the server has to be" },
		{ "socketmap:unix:relative:map", "a socket's path starts with a slash" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ost_why why = { "" };
		table_open(fix.view, rows[i].spec, &why);
		if (!strstr(why.text, rows[i].why))
			fail_msg("%s: %s", rows[i].spec, why.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(a_value_with_a_nul_is_none),
		cmocka_unit_test(keys_on_the_wire),
		cmocka_unit_test(the_longest_reply),
		cmocka_unit_test(rude_servers),
		cmocka_unit_test(a_server_that_is_not_there),
		cmocka_unit_test(connections_are_kept_and_replaced),
		cmocka_unit_test(sockets_names_and_ipv6),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(a_restart_means_try_again_and_no_more),
	};
	return cmocka_run_group_tests_name("socketmap", tests, setup, teardown);
}
