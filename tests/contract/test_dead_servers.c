/* SPDX-License-Identifier: Apache-2.0
 * What every table that asks a server must do while it has none: none that listens, and one that accepts and
 * never says a word. With real ones: test_servers, tests/e2e. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "module/module.h"
#include "table/table.h"
#include "tests/support/group.h"

/* A new type of table adds its line: its file, with %s for where the server is. */
static const struct server_case {
	const char *type, *lines;
} cases[] = {
	{ "pgsql", "hosts = %s\ndbname = x\nuser = u\npassword = hidden-from-all\nquery = SELECT a FROM t "
		   "WHERE k = '%%s'\n" },
	{ "mysql", "hosts = %s\ndbname = x\nuser = u\npassword = hidden-from-all\nquery = SELECT a FROM t "
		   "WHERE k = '%%s'\n" },
};

FIXTURE_GROUP("ostler_module_timeout = 1s\n");

static int silent = -1, files; /* a socket that listens, and nobody accepts */
static char silent_place[64];

static int setup_servers(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(silent, (struct sockaddr *)&at, len) < 0 || listen(silent, 200) < 0 ||
	    getsockname(silent, (struct sockaddr *)&at, &len) < 0)
		return -1;
	snprintf(silent_place, sizeof silent_place, "inet:127.0.0.1:%u", ntohs(at.sin_port));
	setup(state);
	fixture_log(&fix);
	return 0;
}

static int teardown_servers(void **state)
{
	close(silent);
	return teardown(state);
}

static struct table *open_at(const struct server_case *c, const char *place)
{
	char lines[400], name[32], spec[200];
	struct ost_why why = { "" };
	snprintf(lines, sizeof lines, "%.*s%s%s", (int)strcspn(c->lines, "%"), c->lines, place,
		 strchr(c->lines, '%') + 2);
	char *percent = strstr(lines, "%%s");
	if (percent)
		memmove(percent, percent + 1, strlen(percent));
	snprintf(name, sizeof name, "server%d.cf", ++files);
	snprintf(spec, sizeof spec, "%s:%s", c->type, fixture_file(&fix, name, lines));
	struct table *t = table_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
	return t;
}

static void nobody_listens(void **state)
{
	struct lookup found;
	struct table *t = open_at(*state, "unix:/nonexistent/socket");
	static const char *const keys[] = { "key", "'", "\"", "\\", "' OR 1=1 -- ", "%s%n" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		int64_t start = clock_mono();
		assert_int_equal(table_lookup(t, a, keys[i], strlen(keys[i]), &found), OST_TEMPFAIL);
		assert_true(clock_mono() - start < CLOCK_SECOND);
		assert_non_null(strstr(found.why.text, "/nonexistent/socket"));
		assert_null(strstr(found.why.text, "hidden-from-all"));
	}
	assert_false(fixture_logged(&fix, "hidden-from-all"));
}

static void nobody_answers(void **state)
{
	struct lookup found;
	struct table *t = open_at(*state, silent_place);
	int64_t start = clock_mono();
	assert_int_equal(table_lookup(t, a, "key", 3, &found), OST_TEMPFAIL);
	assert_in_range(clock_mono() - start, CLOCK_SECOND / 2, 3 * CLOCK_SECOND);
	assert_non_null(strstr(found.why.text, "no answer in time"));
	start = clock_mono();
	assert_int_equal(table_lookup(t, a, "key", 3, &found),
			 OST_TEMPFAIL); /* and the next one does not wait */
	assert_true(clock_mono() - start < CLOCK_SECOND / 4);
}

static struct table *shared;

static void *ask_once(void *arg)
{
	struct arena *mine = arena_new();
	struct lookup found;
	(void)arg;
	uintptr_t result = (uintptr_t)(table_lookup(shared, mine, "key", 3, &found) == OST_TEMPFAIL);
	arena_destroy(&mine);
	return (void *)result;
}

/* A hundred at once: the first failure is everybody's. */
static void a_hundred_do_not_each_wait(void **state)
{
	pthread_t threads[100];
	shared = open_at(*state, silent_place);
	int64_t start = clock_mono();
	for (int i = 0; i < 100; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_once, NULL), 0);
	for (int i = 0; i < 100; i++) {
		void *right;
		pthread_join(threads[i], &right);
		assert_non_null(right);
	}
	assert_true(clock_mono() - start < 5 * CLOCK_SECOND);
}

static void opened_and_closed_again_and_again(void **state)
{
	const struct server_case *c = *state;
	for (int i = 0; i < 50; i++)
		open_at(c, i % 2 ? silent_place : "unix:/nonexistent/socket");
}

int main(void)
{
	static const struct CMUnitTest suite[] = {
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(a_hundred_do_not_each_wait),
		cmocka_unit_test(opened_and_closed_again_and_again),
	};
	enum { TESTS = sizeof suite / sizeof *suite, CASES = sizeof cases / sizeof *cases };
	static struct CMUnitTest tests[CASES * TESTS];
	size_t n = 0;
	struct fixture look;
	fixture_open(&look, "", NULL);
	for (size_t i = 0; i < CASES; i++) {
		struct ost_why why;
		if (!mod_find(OST_KIND_TABLE, cases[i].type, &why)) {
			fprintf(stderr, "# %s is not built: %s\n", cases[i].type, why.text);
			continue;
		}
		for (size_t k = 0; k < TESTS; k++) {
			tests[n] = suite[k];
			tests[n].name = mem_printf("%s: %s", cases[i].type, suite[k].name);
			tests[n++].initial_state = (void *)(uintptr_t)&cases[i];
		}
	}
	fixture_close(&look);
	return n ? _cmocka_run_group_tests("dead servers", tests, n, setup_servers, teardown_servers) : 0;
}
