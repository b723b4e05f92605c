/* SPDX-License-Identifier: Apache-2.0
 * Tables that proxymap is asked for: both sides of the link in one program. The proxymap of these tests is a
 * thread per link, which answers as the real one does, or misbehaves as it is told. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "proxymap/approved.h"
#include "table/table.h"
#include "tests/support/fixture.h"

#define MAIN_CF                                                                                              \
	"virtual_alias_maps = proxy:inline:{a=1,b=2} hash:/not/for/proxymap static:y\n"                      \
	"proxy_read_maps = $virtual_alias_maps { proxy:inline:{ {k = v, w} }, check_x proxy:static:x } "     \
	"words\n"                                                                                            \
	" proxy:proxy:unionmap:{ static:a, static:b }, proxy:randmap:{r} proxy:fail:x proxy: "               \
	"proxy:nothing\n"

static struct fixture fix;
static struct arena *a;

/* ---- a proxymap --------------------------------------------------------------------------------------------------- */

static struct approved *approved;
static atomic_int links, asked; /* made; questions that came */
static atomic_int die;          /* so many questions more end their link unanswered */
static atomic_bool silent;      /* answers nothing */
static atomic_bool away;        /* there is no link to be had */
static pthread_t servers[64];
static struct ipc_link *last_link; /* of the newest server; used while it is known to live */

static void *serve(void *arg)
{
	struct ipc_link *link = arg;
	struct arena *mine = arena_new();
	struct ipc_message m;
	while (ipc_receive(link, &m, CLOCK_NEVER) == IPC_GOT) {
		assert_int_equal(m.type, M_TABLE_ASK);
		atomic_fetch_add(&asked, 1);
		int left = atomic_load(&die);
		while (left > 0 && !atomic_compare_exchange_weak(&die, &left, left - 1))
			;
		if (left > 0)
			break;
		arena_reset(mine);
		if (!atomic_load(&silent))
			approved_answer(approved, mine, m.body, m.len, link);
	}
	arena_destroy(&mine);
	ipc_link_destroy(&link);
	return NULL;
}

static struct ipc_link *connect_here(void *ctx, struct ost_why *why)
{
	int fds[2];
	assert_ptr_equal(ctx, &links);
	if (atomic_load(&away)) {
		why_set(why, "there is none");
		return NULL;
	}
	int n = atomic_fetch_add(&links, 1);
	assert_true(n < 64);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	last_link = ipc_link_new(fds[1], "proxymap");
	assert_int_equal(pthread_create(&servers[n], NULL, serve, last_link), 0);
	return ipc_link_new(fds[0], "smtpd");
}

static int begin(void **state)
{
	(void)state;
	fixture_open(&fix, MAIN_CF, NULL);
	fixture_log(&fix);
	a = arena_new();
	approved = approved_open(fix.view);
	atomic_store(&links, 0);
	atomic_store(&asked, 0);
	atomic_store(&die, 0);
	atomic_store(&silent, false);
	atomic_store(&away, false);
	table_proxy_init(connect_here, &links);
	return 0;
}

static int end(void **state)
{
	(void)state;
	table_close_all(); /* the client's end; then the servers see the end of their links */
	for (int i = 0; i < atomic_load(&links); i++)
		pthread_join(servers[i], NULL);
	approved_close(&approved);
	arena_destroy(&a);
	fixture_close(&fix);
	return 0;
}

static void run(void)
{
	struct ost_why why = { "" };
	if (!table_proxy_run(&why))
		fail_msg("%s", why.text);
}

static enum ost_found ask(struct table *t, const char *key, struct lookup *found)
{
	return table_lookup_until(t, a, key, strlen(key), clock_mono() + 20 * CLOCK_SECOND, found);
}

static void expect(struct table *t, const char *key, const char *value)
{
	struct lookup found;
	enum ost_found result = ask(t, key, &found);
	if (result != (value ? OST_FOUND : OST_NOTFOUND))
		fail_msg("%s: %d %s", key, (int)result, found.why.text);
	if (value)
		assert_string_equal(found.value, value);
}

static struct table *open_table(const char *text)
{
	struct ost_why why = { "" };
	struct table *t = table_open(fix.view, text, &why);
	assert_string_equal(why.text, "");
	return t;
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

static void what_proxy_read_maps_names_is_approved(void **state)
{
	(void)state;
	assert_true(approved_has(approved, "inline:{a=1,b=2}"));
	assert_true(approved_has(approved, "proxy:inline:{a=1,b=2}"));
	assert_true(approved_has(approved, "inline:{ {k = v, w} }"));
	assert_true(approved_has(approved, "static:x"));
	assert_true(approved_has(approved, "unionmap:{ static:a, static:b }"));
	assert_false(approved_has(approved, "static:y"));
	assert_false(approved_has(approved, "hash:/not/for/proxymap"));
	assert_false(approved_has(approved, "static:a"));
	assert_int_equal(approved_count(approved), 6);
}

static void tables_are_asked_before_and_after_threads_run(void **state)
{
	(void)state;
	struct table *t = open_table("proxy:inline:{a=1,b=2}"),
		     *u = open_table("proxy:unionmap:{ static:a, static:b }");
	struct table *r = open_table("proxy:randmap:{r}");
	assert_int_equal(atomic_load(&links), 1);
	assert_int_equal(table_flags(t), 0); /* never immediate */
	assert_int_equal(table_flags(r), OST_TABLE_WHOLE_KEYS);
	assert_string_equal(table_name(t), "inline:{a=1,b=2}");
	expect(t, "a", "1");
	expect(t, "c", NULL);
	run();
	expect(t, "b", "2");
	expect(u, "any", "a,b");
	expect(r, "any", "r");
	expect(open_table("proxy:inline:{ {k = v, w} }"), "k", "v, w"); /* opened late */
	assert_int_equal(atomic_load(&links), 1);
	expect(open_table("static:y"), "any", "y"); /* without the prefix it is our own */
}

static void failures_come_through(void **state)
{
	(void)state;
	struct lookup found;
	struct table *failing = open_table("proxy:fail:x");
	run();
	assert_int_equal(ask(failing, "k", &found), OST_TEMPFAIL);
	assert_string_equal(found.why.text, "this table fails always");
	assert_int_equal(ask(table_open(fix.view, "proxy:static:y", NULL), "k", &found), OST_TEMPFAIL);
	assert_string_equal(found.why.text, "proxymap service is not configured for table \"static:y\"");
	assert_true(fixture_logged(&fix, "request for unapproved table: \"static:y\""));
	assert_true(fixture_logged(&fix, "to approve this table for read-only access, list proxy:static:y in "
					 "main.cf:proxy_read_maps"));
}

static void a_refused_table_says_so_when_it_is_opened(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	table_open(fix.view, "proxy:static:y", &why);
	assert_string_equal(why.text, "proxymap service is not configured for table \"static:y\"");
}

static void keys_are_bytes(void **state)
{
	(void)state;
	struct lookup found;
	char *big = arena_alloc(a, 200001);
	struct table *t = open_table("proxy:inline:{a=1,b=2}");
	run();
	assert_int_equal(table_lookup(t, a, "a\0b", 3, &found), OST_NOTFOUND);
	assert_int_equal(table_lookup(t, a, "", 0, &found), OST_NOTFOUND);
	memset(big, 'x', 200000);
	assert_int_equal(table_lookup(t, a, big, 65536, &found), OST_NOTFOUND);
	assert_int_equal(table_lookup(t, a, big, 200000, &found), OST_TEMPFAIL);
	assert_string_equal(found.why.text, "the key is too long to be passed on");
}

static void *ask_often(void *arg)
{
	struct arena *mine = arena_new();
	uintptr_t wrong = 0;
	for (int i = 0; i < 300; i++) {
		struct lookup found;
		const char *key = i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c";
		arena_reset(mine);
		enum ost_found result =
			table_lookup_until(arg, mine, key, 1, clock_mono() + 60 * CLOCK_SECOND, &found);
		wrong += i % 3 == 2 ? result != OST_NOTFOUND
				    : result != OST_FOUND || strcmp(found.value, i % 3 == 0 ? "1" : "2") != 0;
	}
	arena_destroy(&mine);
	return (void *)wrong;
}

/* Many threads, and a proxymap that dies under them now and then: nobody notices. */
static void threads_share_a_link_that_may_end(void **state)
{
	(void)state;
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	struct table *t = open_table("proxy:inline:{a=1,b=2}");
	run();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, t), 0);
	for (int i = 0; i < 10; i++) {
		int before = atomic_load(&asked);
		while (atomic_load(&asked) < before + 100)
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
		atomic_store(&die, 1);
	}
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	assert_in_range(atomic_load(&links), 10, 11);
}

/* What kills proxymap each time is not asked for ever. */
static void a_question_that_kills_is_given_up(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = open_table("proxy:inline:{a=1,b=2}");
	run();
	atomic_store(&die, 3);
	assert_int_equal(ask(t, "a", &found), OST_TEMPFAIL);
	assert_string_equal(found.why.text, "proxymap: it ended before it answered");
	assert_int_equal(atomic_load(&die), 0);
	expect(t, "a", "1");
	atomic_store(&die, 2);
	expect(t, "a", "1");
}

static void nobody_waits_beyond_the_deadline(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = open_table("proxy:inline:{a=1,b=2}");
	run();
	atomic_store(&silent, true);
	assert_int_equal(table_lookup_until(t, a, "a", 1, clock_mono() + CLOCK_SECOND / 20, &found),
			 OST_TEMPFAIL);
	assert_string_equal(found.why.text, "proxymap: no answer in time");
	assert_int_equal(table_lookup_until(t, a, "a", 1, clock_mono() - 1, &found), OST_TEMPFAIL);
	atomic_store(&silent, false);
	expect(t, "b", "2");
}

/* At the start nothing is there; later it is. The first lookup finds out what kind of table it is. */
static void a_proxymap_that_comes_late(void **state)
{
	(void)state;
	struct lookup found;
	struct ost_why why = { "" };
	atomic_store(&away, true);
	struct table *t = table_open(fix.view, "proxy:inline:{a=1,b=2}", &why);
	assert_string_equal(why.text, "proxymap: there is none");
	struct table *r = table_open(fix.view, "proxy:randmap:{r}", &why);
	run();
	assert_int_equal(ask(t, "a", &found), OST_TEMPFAIL);
	assert_string_equal(found.why.text, "proxymap: there is none");
	atomic_store(&away, false);
	expect(t, "a", "1");
	/* A table of patterns: this question may have been a part of a key, or in lower case. */
	assert_int_equal(ask(r, "k", &found), OST_TEMPFAIL);
	assert_int_equal(table_flags(r), OST_TABLE_WHOLE_KEYS);
	expect(r, "k", "r");
}

static void a_change_raises_the_version_of_all_above(void **state)
{
	(void)state;
	struct table *t = open_table("proxy:inline:{a=1,b=2}"), *other = open_table("proxy:static:x");
	struct table *above = open_table("unionmap:{proxy:inline:{a=1,b=2},static:z}");
	run();
	expect(above, "a", "1,z");
	uint64_t version = table_version(t), over = table_version(above), no = table_version(other);
	struct buf body = BUF_INIT;
	tlv_put_str(&body, F_NAME, "inline:{a=1,b=2}");
	ipc_send(last_link, M_TABLE_CHANGED, body.data, body.len);
	buf_free(&body);
	expect(t, "a", "1"); /* its answer comes behind that */
	assert_int_not_equal(table_version(t), version);
	assert_int_not_equal(table_version(above), over);
	assert_int_equal(table_version(other), no);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_proxy_read_maps_names_is_approved),
		TEST(tables_are_asked_before_and_after_threads_run),
		TEST(failures_come_through),
		TEST(a_refused_table_says_so_when_it_is_opened),
		TEST(keys_are_bytes),
		TEST(threads_share_a_link_that_may_end),
		TEST(a_question_that_kills_is_given_up),
		TEST(nobody_waits_beyond_the_deadline),
		TEST(a_proxymap_that_comes_late),
		TEST(a_change_raises_the_version_of_all_above),
	};
	return cmocka_run_group_tests_name("remote tables", tests, NULL, NULL);
}
