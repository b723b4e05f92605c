/* SPDX-License-Identifier: Apache-2.0
 * tcp: what goes over the wire, every kind of reply, and servers that are slow, rude, dead, or come back. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "module/module.h"
#include "ostler/host.h"
#include "table/table.h"
#include "tests/support/group.h"
#include "tests/support/peer.h"

FIXTURE_GROUP("virtual_uid_maps = static:5000, tcp:127.0.0.1:9\n");

enum { REQUEST_MAX = 1 << 17 };

/* ---- a server that does what it was told --------------------------------------------------------------------------- */

enum manner {
	ANSWER, /* with `reply` */
	SILENT,
	SLOW,       /* a byte of reply each 20 ms */
	ENDLESS,    /* bytes without a newline */
	CLOSE,      /* at once */
	CLOSE_HALF, /* after `reply`, which is half of one */
	ONE_EACH,   /* closes after each good answer */
};

struct rude {
	enum manner manner;
	const char *reply;
	pthread_mutex_t lock; /* guards seen */
	struct buf seen;      /* all requests */
};

static void serve(void *ctx, int fd)
{
	struct rude *r = ctx;
	char *line = mem_alloc(REQUEST_MAX);
	size_t n;
	while ((n = peer_read_to(fd, '\n', line, REQUEST_MAX)) > 0) {
		bool ok = r->manner != CLOSE;
		pthread_mutex_lock(&r->lock);
		buf_add(&r->seen, line, n);
		pthread_mutex_unlock(&r->lock);
		for (const char *p = r->reply; r->manner == SLOW && ok && *p; p++) {
			usleep(20000);
			ok = peer_write(fd, p, 1);
		}
		while (r->manner == ENDLESS && ok)
			ok = peer_write(fd, "200 aaaaaaaaaaaaaaaa", 20);
		if (r->manner == ANSWER || r->manner == ONE_EACH || r->manner == CLOSE_HALF)
			ok = peer_write(fd, r->reply, strlen(r->reply)) && r->manner == ANSWER;
		if (!ok)
			break;
	}
	free(line);
}

/* ---- one question -------------------------------------------------------------------------------------------------- */

struct scene {
	struct rude rude;
	struct peer *peer;
	struct table *table;
};

/* Each scene has a port of its own, and so a table of its own. */
static void open_scene(struct scene *s, const char *address, enum manner manner, const char *reply)
{
	char spec[64];
	struct ost_why why = { "" };
	*s = (struct scene){ .rude = { .manner = manner, .reply = reply, .seen = BUF_INIT } };
	pthread_mutex_init(&s->rude.lock, NULL);
	s->peer = peer_start(strchr(address, ':') ? "::1" : "127.0.0.1", 0, serve, &s->rude);
	snprintf(spec, sizeof spec, "tcp:%s:%u", address, (unsigned)peer_port(s->peer));
	s->table = table_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
}

static void close_scene(struct scene *s)
{
	peer_stop(&s->peer);
	pthread_mutex_destroy(&s->rude.lock);
	buf_free(&s->rude.seen);
}

static enum ost_found ask_in(struct scene *s, const char *key, size_t klen, int64_t time,
			     struct lookup *found)
{
	int64_t start = clock_mono();
	enum ost_found result = table_lookup_until(s->table, a, key, klen, start + time, found);
	assert_true(clock_mono() - start < time + 5 * CLOCK_SECOND); /* no matter what the server does */
	return result;
}

static enum ost_found ask(struct scene *s, const char *key, struct lookup *found)
{
	return ask_in(s, key, strlen(key), 10 * CLOCK_SECOND, found);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void replies(void **state)
{
	(void)state;
	static const struct {
		const char *reply;
		enum ost_found result;
		const char *text; /* the value, or a part of the reason */
	} rows[] = {
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
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct scene s;
		struct lookup found;
		open_scene(&s, "127.0.0.1", ANSWER, rows[i].reply);
		enum ost_found result = ask(&s, "key", &found);
		const char *text = result == OST_FOUND ? found.value : found.why.text;
		if (result != rows[i].result || (rows[i].text && !strstr(text, rows[i].text)) ||
		    (result == OST_FOUND && strcmp(text, rows[i].text) != 0))
			fail_msg("%s answered %d, %s", rows[i].reply, result, text);
		close_scene(&s);
	}
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
	static const struct {
		enum manner manner;
		const char *reply, *why;
	} rows[] = {
		{ SILENT, "", "no answer in time" },
		{ SLOW,
		  "200 this takes longer than there is time for it, because each byte takes so long to "
		  "come\n",
		  "no answer in time" },
		{ ENDLESS, "", "text longer than 4096" },
		{ CLOSE, "", "unexpected EOF" },
		{ CLOSE_HALF, "200 ha", "unexpected EOF" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct scene s;
		struct lookup found;
		open_scene(&s, "127.0.0.1", rows[i].manner, rows[i].reply);
		assert_int_equal(ask_in(&s, "key", 3, CLOCK_SECOND / 2, &found), OST_TEMPFAIL);
		if (!strstr(found.why.text, rows[i].why))
			fail_msg("%s, and not %s", found.why.text, rows[i].why);
		close_scene(&s);
	}
}

static void a_server_that_is_not_there(void **state)
{
	(void)state;
	struct scene s;
	struct lookup found;
	open_scene(&s, "127.0.0.1", ANSWER, "200 x\n");
	peer_stop(&s.peer);
	assert_int_equal(ask(&s, "key", &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "Connection refused"));
	close_scene(&s);
}

static void connections_are_kept_and_replaced(void **state)
{
	(void)state;
	struct scene s;
	struct lookup found;
	open_scene(&s, "127.0.0.1", ANSWER, "200 x\n");
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(&s, "key", &found), OST_FOUND);
	assert_int_equal(peer_accepted(s.peer), 1);
	close_scene(&s);
	open_scene(&s, "127.0.0.1", ONE_EACH, "200 x\n");
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(&s, "key", &found), OST_FOUND);
	assert_int_equal(peer_accepted(s.peer), 20);
	close_scene(&s);
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

/* ---- a server that is restarted ------------------------------------------------------------------------------------ */

enum { ASKERS = 50 };

struct asker {
	pthread_t thread;
	struct table *table;
	atomic_bool *stop;
	const atomic_bool *up; /* for long enough, and not about to go */
	atomic_uint *wrong, *found;
};

static void *ask_on(void *arg)
{
	struct asker *me = arg;
	struct arena *mine = arena_new();
	while (!atomic_load(me->stop)) {
		struct lookup found;
		arena_reset(mine);
		bool known = (uintptr_t)me & 64, up = atomic_load(me->up);
		const char *key = known ? "known" : "absent";
		enum ost_found result = table_lookup(me->table, mine, key, strlen(key), &found);
		enum ost_found right = known ? OST_FOUND : OST_NOTFOUND;
		if (result != right && (result != OST_TEMPFAIL || (up && atomic_load(me->up))))
			atomic_fetch_add(me->wrong, 1);
		if (result == right)
			atomic_fetch_add(me->found, 1);
		usleep(1000);
	}
	arena_destroy(&mine);
	return NULL;
}

static void a_restart_means_try_again_and_no_more(void **state)
{
	(void)state;
	atomic_bool stop = false, up = true;
	atomic_uint wrong = 0, answers = 0;
	struct asker askers[ASKERS];
	char spec[64];
	struct ost_why why = { "" };
	struct peer *p = peer_start("127.0.0.1", 0, peer_serve_tcp_table, NULL);
	uint16_t port = peer_port(p);
	snprintf(spec, sizeof spec, "tcp:127.0.0.1:%u", (unsigned)port);
	struct table *t = table_open(fix.view, spec, &why);
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){
			.table = t, .stop = &stop, .up = &up, .wrong = &wrong, .found = &answers
		};
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_on, &askers[i]), 0);
	}
	for (int round = 0; round < 3; round++) {
		while (atomic_load(&answers) < 200)
			usleep(1000);
		atomic_store(&up, false);
		peer_stop(&p);
		usleep(300000 * (unsigned)round);
		p = peer_start("127.0.0.1", port, peer_serve_tcp_table, NULL);
		int64_t back = clock_mono();
		atomic_store(&answers, 0);
		while (atomic_load(&answers) < 200)
			usleep(1000);
		assert_true(clock_mono() - back < 5 * CLOCK_SECOND);
		atomic_store(&up, true); /* from here on every answer is right */
		atomic_store(&answers, 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < ASKERS; i++)
		pthread_join(askers[i].thread, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	peer_stop(&p);
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
