/* SPDX-License-Identifier: Apache-2.0
 * socketmap: what goes over the wire, every kind of reply, and servers that are slow, rude, dead, or come
 * back. */
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
#include "table/table.h"
#include "tests/support/group.h"
#include "tests/support/peer.h"

FIXTURE_GROUP("socketmap_max_reply_size = 1000\n");

enum { REQUEST_MAX = 1 << 17 };

/* ---- a server that does what it was told --------------------------------------------------------------------------- */

enum manner {
	ANSWER, /* with `reply` */
	SILENT,
	SLOW,       /* a byte of reply each 20 ms */
	ENDLESS,    /* digits without a colon */
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

/* One netstring, as it came; 0: none. */
static size_t read_request(int fd, char *out)
{
	size_t head = peer_read_to(fd, ':', out, 16), n = strtoul(out, NULL, 10);
	return head && n < REQUEST_MAX - 32 && peer_read(fd, out + head, n + 1) ? head + n + 1 : 0;
}

static void serve(void *ctx, int fd)
{
	struct rude *r = ctx;
	char *line = mem_alloc(REQUEST_MAX);
	size_t n;
	while ((n = read_request(fd, line)) > 0) {
		bool ok = r->manner != CLOSE;
		pthread_mutex_lock(&r->lock);
		buf_add(&r->seen, line, n);
		pthread_mutex_unlock(&r->lock);
		for (const char *p = r->reply; r->manner == SLOW && ok && *p; p++) {
			usleep(20000);
			ok = peer_write(fd, p, 1);
		}
		while (r->manner == ENDLESS && ok)
			ok = peer_write(fd, "00000000000000000000", 20);
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
static void open_scene(struct scene *s, const char *server, enum manner manner, const char *reply)
{
	char spec[160];
	struct ost_why why = { "" };
	*s = (struct scene){ .rude = { .manner = manner, .reply = reply, .seen = BUF_INIT } };
	pthread_mutex_init(&s->rude.lock, NULL);
	if (server[0] == '/') {
		s->peer = peer_start(server, 0, serve, &s->rude);
		snprintf(spec, sizeof spec, "socketmap:unix:%s:map", server);
	} else {
		s->peer = peer_start(strchr(server, ':') ? "::1" : "127.0.0.1", 0, serve, &s->rude);
		snprintf(spec, sizeof spec, "socketmap:inet:%s:%u:map", server, (unsigned)peer_port(s->peer));
	}
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
	static const struct {
		enum manner manner;
		const char *reply, *why;
	} rows[] = {
		{ SILENT, "", "no answer in time" },
		{ SLOW, "60:OK this takes longer than there is time for it, because it is slow,",
		  "no answer in time" },
		{ ENDLESS, "", "no answer in time" },
		{ CLOSE, "", "the server closed the connection" },
		{ CLOSE_HALF, "8:OK va", "the server closed the connection" },
		{ CLOSE_HALF, "8", "the server closed the connection" },
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

static void a_server_that_is_not_there(void **state)
{
	(void)state;
	struct scene s;
	struct lookup found;
	open_scene(&s, "127.0.0.1", ANSWER, "4:OK x,");
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
	open_scene(&s, "127.0.0.1", ANSWER, "4:OK x,");
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(&s, "key", &found), OST_FOUND);
	assert_int_equal(peer_accepted(s.peer), 1);
	close_scene(&s);
	open_scene(&s, "127.0.0.1", ONE_EACH, "4:OK x,");
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(&s, "key", &found), OST_FOUND);
	assert_int_equal(peer_accepted(s.peer), 20);
	close_scene(&s);
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
	struct peer *p = peer_start("127.0.0.1", 0, peer_serve_socketmap, NULL);
	uint16_t port = peer_port(p);
	snprintf(spec, sizeof spec, "socketmap:inet:127.0.0.1:%u:map", (unsigned)port);
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
		p = peer_start("127.0.0.1", port, peer_serve_socketmap, NULL);
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
