/* SPDX-License-Identifier: Apache-2.0
 * For tests of tables that ask a server over a protocol of their own: servers that do what they were told,
 * one question to each, and one that is restarted. Who includes this has FIXTURE_GROUP() before it, and
 * defines
 *
 *     RUDE_GOOD     a good reply
 *     RUDE_ENDLESS  20 bytes of a reply that never ends
 *     RUDE_HEALTHY  a server of one entry, known = 1 (peer.h)
 *     RUDE_SPEC     a table on 127.0.0.1 for snprintf(), with %u for the port
 *
 * and these two. */
#ifndef SUPPORT_RUDE_H
#define SUPPORT_RUDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "table/table.h"
#include "tests/support/peer.h"

enum { REQUEST_MAX = 1 << 17 };

/* One request, as it came; 0: the other side is gone. */
static size_t read_request(int fd, char *out);
/* The table for a server on an address, or on a socket of the file system. */
static void name_table(char spec[160], const char *server, unsigned port);

/* ---- a server that does what it was told --------------------------------------------------------------------------- */

enum manner {
	ANSWER, /* with `reply` */
	SILENT,
	SLOW,       /* a byte of reply each 20 ms */
	ENDLESS,    /* bytes without an end */
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
			ok = peer_write(fd, RUDE_ENDLESS, 20);
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

/* Each scene has a server of its own, and so a table of its own. */
static void open_scene(struct scene *s, const char *server, enum manner manner, const char *reply)
{
	char spec[160];
	struct ost_why why = { "" };
	*s = (struct scene){ .rude = { .manner = manner, .reply = reply, .seen = BUF_INIT } };
	pthread_mutex_init(&s->rude.lock, NULL);
	const char *place = server[0] == '/' ? server : strchr(server, ':') ? "::1" : "127.0.0.1";
	s->peer = peer_start(place, 0, serve, &s->rude);
	name_table(spec, server, server[0] == '/' ? 0 : peer_port(s->peer));
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

struct rude_reply {
	const char *reply;
	enum ost_found result;
	const char *text; /* the value, or a part of the reason */
};

static void expect_replies(const struct rude_reply *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
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

struct rude_manner {
	enum manner manner;
	const char *reply, *why;
};

static void expect_failures(const struct rude_manner *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
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
	open_scene(&s, "127.0.0.1", ANSWER, RUDE_GOOD);
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
	open_scene(&s, "127.0.0.1", ANSWER, RUDE_GOOD);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(&s, "key", &found), OST_FOUND);
	assert_int_equal(peer_accepted(s.peer), 1);
	close_scene(&s);
	open_scene(&s, "127.0.0.1", ONE_EACH, RUDE_GOOD);
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
	struct peer *p = peer_start("127.0.0.1", 0, RUDE_HEALTHY, NULL);
	uint16_t port = peer_port(p);
	snprintf(spec, sizeof spec, RUDE_SPEC, (unsigned)port);
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
		p = peer_start("127.0.0.1", port, RUDE_HEALTHY, NULL);
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

#endif
