/* SPDX-License-Identifier: Apache-2.0
 * Connections that threads share: kept, limited, closed when idle or dead; and servers that fail are left
 * alone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "module/module.h"
#include "module/pools.h"
#include "ostler/host.h"

/* ---- a module with servers that live here ------------------------------------------------------------------------ */

enum { SERVERS = 3 };
static atomic_bool away[SERVERS];
static atomic_int attempts[SERVERS], open_now, most_open, closed;
static atomic_int connect_ms; /* how long an attempt takes */
static int made[1000];        /* what connections are: their server */
static atomic_int number;

static const struct ost_table_ops ops = { .ops = { .size = sizeof ops } };
static const struct mod_provider provider = { OST_KIND_TABLE, "pooled", "pooledmodule", &ops.ops };
static struct mod_instance *instance;

static void *connect_to(void *ctx, size_t i, int64_t deadline, struct ost_why *why)
{
	(void)ctx;
	(void)deadline;
	atomic_fetch_add(&attempts[i], 1);
	usleep((unsigned)atomic_load(&connect_ms) * 1000);
	if (atomic_load(&away[i])) {
		mod_host.why(why, "server %zu is away", i);
		return NULL;
	}
	int now = atomic_fetch_add(&open_now, 1) + 1, most = atomic_load(&most_open);
	while (now > most && !atomic_compare_exchange_weak(&most_open, &most, now))
		;
	int *c = &made[atomic_fetch_add(&number, 1) % 1000];
	*c = (int)i;
	return c;
}

static void disconnect_from(void *ctx, void *connection)
{
	(void)ctx;
	(void)connection;
	atomic_fetch_sub(&open_now, 1);
	atomic_fetch_add(&closed, 1);
}

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < SERVERS; i++) {
		atomic_store(&away[i], false);
		atomic_store(&attempts[i], 0);
	}
	atomic_store(&open_now, 0);
	atomic_store(&most_open, 0);
	atomic_store(&closed, 0);
	atomic_store(&connect_ms, 0);
	struct ost_why why;
	instance = mod_open(&provider, NULL, "here", &why);
	assert_non_null(instance);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mod_close(&instance);
	assert_int_equal(atomic_load(&open_now), 0);
	return 0;
}

/* A server that has failed is left alone for an hour, or as long as retry says. */
static struct ost_pool *pool_that_retries(size_t servers, uint32_t max, int64_t idle, int64_t retry)
{
	static const struct ost_pool_server list[SERVERS] = { { "unix:first", 0 },
							      { "second", 1 },
							      { "third", 1 } };
	struct ost_pool_config config = {
		.size = sizeof config,
		.max = max,
		.servers = list,
		.count = servers,
		.idle_time = idle,
		.retry_min = retry,
		.retry_max = retry,
		.connect = connect_to,
		.disconnect = disconnect_from,
	};
	struct ost_why why = { "" };
	struct ost_pool *p = mod_host.pool_new(mod_handle(instance), &config, &why);
	assert_non_null(p);
	return p;
}

static struct ost_pool *pool(size_t servers, uint32_t max, int64_t idle)
{
	return pool_that_retries(servers, max, idle, 3600 * CLOCK_SECOND);
}

static int64_t soon(void)
{
	return clock_mono() + 10 * CLOCK_SECOND;
}

static int *take(struct ost_pool *p, bool *fresh)
{
	struct ost_why why = { "" };
	return mod_host.pool_take(p, soon(), fresh, &why);
}

static void refused(struct ost_pool *p, const char *reason)
{
	struct ost_why why = { "" };
	assert_null(mod_host.pool_take(p, soon(), NULL, &why));
	assert_string_equal(why.text, reason);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void a_connection_is_kept(void **state)
{
	(void)state;
	struct ost_pool *p = pool(1, 2, 0);
	bool fresh = false;
	int *one = take(p, &fresh);
	assert_true(one && fresh);
	mod_host.pool_give(p, one, OST_POOL_GOOD, NULL);
	assert_ptr_equal(take(p, &fresh), one);
	assert_false(fresh);
	assert_int_equal(atomic_load(&attempts[0]), 1);
	mod_host.pool_give(p, one, OST_POOL_GOOD, NULL);
	mod_host.pool_free(p);
}

static void a_connection_that_is_too_old_is_not_kept(void **state)
{
	(void)state;
	static const struct ost_pool_server list[] = { { "only", 0 } };
	struct ost_pool_config config = { .size = sizeof config, .servers = list, .count = 1, .life_time = CLOCK_SECOND / 50,
					  .connect = connect_to, .disconnect = disconnect_from };
	struct ost_why why = { "" };
	struct ost_pool *p = mod_host.pool_new(mod_handle(instance), &config, &why);
	bool fresh = false;
	int *one = take(p, &fresh);
	mod_host.pool_give(p, one, OST_POOL_GOOD, NULL);
	one = take(p, &fresh);
	usleep(40 * 1000);
	mod_host.pool_give(p, one, OST_POOL_GOOD, NULL);
	assert_int_equal(atomic_load(&closed), 1);
	one = take(p, &fresh);
	assert_true(fresh);
	mod_host.pool_give(p, one, OST_POOL_GOOD, NULL);
	mod_host.pool_free(p);
}

static void what_the_server_has_closed_is_closed_with_its_sisters(void **state)
{
	(void)state;
	struct ost_pool *p = pool(1, 3, 0);
	int *c[3] = { take(p, NULL), take(p, NULL), take(p, NULL) };
	for (int i = 0; i < 3; i++)
		mod_host.pool_give(p, c[i], OST_POOL_GOOD, NULL);
	int *stale = take(p, NULL);
	mod_host.pool_give(p, stale, OST_POOL_STALE, NULL);
	assert_int_equal(atomic_load(&closed), 3);
	bool fresh = false;
	int *again = take(p, &fresh); /* the server itself is not blamed */
	assert_true(again && fresh);
	mod_host.pool_give(p, again, OST_POOL_GOOD, NULL);
	mod_host.pool_free(p);
}

static void the_best_server_that_can_be_reached_is_taken(void **state)
{
	(void)state;
	struct ost_pool *p = pool(3, 100, 0);
	int *c[50], n[SERVERS] = { 0 };
	for (int i = 0; i < 10; i++)
		n[*(c[i] = take(p, NULL))]++;
	assert_int_equal(n[0], 10);
	atomic_store(&away[0], true);
	for (int i = 10; i < 50; i++)
		n[*(c[i] = take(p, NULL))]++;
	assert_int_equal(n[0], 10);
	assert_true(n[1] > 0 && n[2] > 0);
	for (int i = 0; i < 50; i++)
		mod_host.pool_give(p, c[i], OST_POOL_GOOD, NULL);
	mod_host.pool_free(p);
}

static void who_is_down_is_left_alone_for_a_while(void **state)
{
	(void)state;
	struct ost_pool *p = pool(1, 2, 0);
	atomic_store(&away[0], true);
	for (int i = 0; i < 20; i++)
		refused(p, "unix:first: server 0 is away");
	assert_int_equal(atomic_load(&attempts[0]), 1);
	mod_host.pool_free(p);
}

static void and_asked_again_afterwards(void **state)
{
	(void)state;
	struct ost_pool *p = pool_that_retries(1, 2, 0, 1000);
	atomic_store(&away[0], true);
	refused(p, "unix:first: server 0 is away");
	while (atomic_load(&attempts[0]) < 3) {
		usleep(1000);
		refused(p, "unix:first: server 0 is away");
	}
	atomic_store(&away[0], false);
	int *c;
	while ((c = take(p, NULL)) == NULL)
		usleep(1000);
	mod_host.pool_give(p, c, OST_POOL_GOOD, NULL);
	mod_host.pool_free(p);
}

static void a_failed_answer_costs_the_server_its_turn(void **state)
{
	(void)state;
	struct ost_pool *p = pool(1, 2, 0);
	struct ost_why why;
	int *c = take(p, NULL);
	mod_host.why(&why, "no answer");
	mod_host.pool_give(p, c, OST_POOL_FAILED, &why);
	refused(p, "unix:first: no answer");
	assert_int_equal(atomic_load(&closed), 1);
	mod_host.pool_free(p);
}

static void what_is_idle_too_long_is_closed(void **state)
{
	(void)state;
	struct ost_pool *p = pool(1, 2, 50000);
	int *c = take(p, NULL), *other = take(p, NULL);
	mod_host.pool_give(p, c, OST_POOL_GOOD, NULL);
	assert_true(mod_pools_tidy() != CLOCK_NEVER);
	usleep(60000);
	mod_pools_tidy();
	assert_int_equal(atomic_load(&closed), 1);
	mod_host.pool_give(p, other, OST_POOL_GOOD, NULL);
	mod_host.pool_free(p);
	assert_true(mod_pools_tidy() == CLOCK_NEVER);
}

static void no_server_is_an_error(void **state)
{
	(void)state;
	struct ost_pool_config config = { .size = sizeof config };
	struct ost_why why = { "" };
	assert_null(mod_host.pool_new(mod_handle(instance), &config, &why));
	assert_string_equal(why.text, "no server is named");
}

static void while_all_are_in_use_one_waits(void **state)
{
	(void)state;
	struct ost_pool *p = pool(1, 1, 0);
	int *c = take(p, NULL);
	struct ost_why why = { "" };
	assert_null(mod_host.pool_take(p, clock_mono() + 20000, NULL, &why));
	assert_string_equal(why.text, "all 1 connections are in use");
	mod_host.pool_give(p, c, OST_POOL_GOOD, NULL);
	mod_host.pool_free(p);
}

/* ---- many threads ------------------------------------------------------------------------------------------------ */

static struct ost_pool *shared;
static atomic_int served, sent_away;
static atomic_bool finish;

static void *user(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	while (!atomic_load(&finish)) {
		struct ost_why why = { "" };
		int *c = mod_host.pool_take(shared, soon(), NULL, &why);
		atomic_fetch_add(c ? &served : &sent_away, 1);
		if (!c) {
			usleep(1000);
			continue;
		}
		enum ost_pool_state state = atomic_load(&away[*c]) ? OST_POOL_FAILED
					    : rand_r(&seed) % 50   ? OST_POOL_GOOD
								   : OST_POOL_STALE;
		mod_host.pool_give(shared, c, state, NULL);
	}
	return NULL;
}

/* Servers come and go; never more connections than allowed, and none is left over (teardown looks). */
static void many_threads_share_a_few(void **state)
{
	(void)state;
	pthread_t threads[20];
	shared = pool_that_retries(3, 4, 1000, 5000);
	for (uintptr_t i = 0; i < 20; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, user, (void *)i), 0);
	for (int round = 0; round < 10; round++) {
		atomic_store(&away[round % SERVERS], round % 2 == 0);
		mod_pools_tidy();
		usleep(20000);
	}
	atomic_store(&finish, true);
	for (int i = 0; i < 20; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&served) > 0);
	assert_in_range(atomic_load(&most_open), 1, 4 + 4); /* those that are being closed no longer count */
	mod_host.pool_free(shared);
}

static void *refused_user(void *arg)
{
	(void)arg;
	struct ost_why why = { "" };
	assert_null(mod_host.pool_take(shared, soon(), NULL, &why));
	return NULL;
}

/* A hundred that wait for a server which cannot be reached are sent away by the first failure. */
static void the_first_failure_is_everybodys(void **state)
{
	(void)state;
	pthread_t threads[100];
	shared = pool(1, 2, 0);
	atomic_store(&away[0], true);
	atomic_store(&connect_ms, 50);
	for (int i = 0; i < 100; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, refused_user, NULL), 0);
	for (int i = 0; i < 100; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(atomic_load(&attempts[0]), 1, 2); /* as many as may be tried at the same time */
	mod_host.pool_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_connection_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_connection_that_is_too_old_is_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_server_has_closed_is_closed_with_its_sisters, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_best_server_that_can_be_reached_is_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_is_down_is_left_alone_for_a_while, setup, teardown),
		cmocka_unit_test_setup_teardown(and_asked_again_afterwards, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_answer_costs_the_server_its_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_idle_too_long_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(no_server_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(while_all_are_in_use_one_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads_share_a_few, setup, teardown),
		cmocka_unit_test_setup_teardown(the_first_failure_is_everybodys, setup, teardown),
	};
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
