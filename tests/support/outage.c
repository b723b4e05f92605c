/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/outage.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

enum { THREADS = 50, ROUNDS = 3 };

struct outage {
	struct table *table;
	const char *key, *value;
	atomic_bool end;
	atomic_uint right, again, wrong;
};

static void *keep_asking(void *arg)
{
	struct outage *o = arg;
	struct arena *a = arena_new();
	while (!atomic_load(&o->end)) {
		struct lookup found;
		arena_reset(a);
		enum ost_found result = table_lookup(o->table, a, o->key, strlen(o->key), &found);
		bool right = o->value ? result == OST_FOUND && strcmp(found.value, o->value) == 0
				      : result == OST_NOTFOUND;
		atomic_fetch_add(right ? &o->right : result == OST_TEMPFAIL ? &o->again : &o->wrong, 1);
		usleep(result == OST_TEMPFAIL ? 10000 : 1000);
	}
	arena_destroy(&a);
	return NULL;
}

/* Waits until, for a while, there are answers of the one kind and none of the other. */
static void wait_for_only(atomic_uint *wanted, atomic_uint *other, int seconds)
{
	int64_t until = clock_mono() + seconds * CLOCK_SECOND;
	for (;;) {
		unsigned had = atomic_load(wanted), others = atomic_load(other);
		usleep(200000);
		if (atomic_load(wanted) > had && atomic_load(other) == others)
			return;
		if (clock_mono() > until)
			fail_msg("after %d seconds: %u more of those that are expected, %u of the others",
				 seconds, atomic_load(wanted) - had, atomic_load(other) - others);
	}
}

void outage_restarts(struct table *t, struct server *server, const char *key, const char *value)
{
	struct outage o = { .table = t, .key = key, .value = value };
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, keep_asking, &o), 0);
	wait_for_only(&o.right, &o.again, 10);
	for (int i = 0; i < ROUNDS; i++) {
		server_kill(server);
		wait_for_only(&o.again, &o.right, 10);
		server_start(server);
		wait_for_only(&o.right, &o.again, 5);
	}
	atomic_store(&o.end, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&o.wrong), 0);
}

void outage_silent(struct table *t, const char *key, int64_t time)
{
	struct arena *a = arena_new();
	struct lookup found;
	int64_t start = clock_mono();
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), OST_TEMPFAIL);
	int64_t took = clock_mono() - start;
	if (took < time / 2)
		fail_msg("after %lld us: %s", (long long)took, found.why.text);
	assert_true(took < time * 3 + 5 * CLOCK_SECOND);
	assert_string_not_equal(found.why.text, "");
	start = clock_mono(); /* and it is left alone: no second one waits */
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), OST_TEMPFAIL);
	assert_string_not_equal(found.why.text, "");
	arena_destroy(&a);
}
