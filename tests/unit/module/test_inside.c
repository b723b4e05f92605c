/* SPDX-License-Identifier: Apache-2.0
 * Who is inside a module: the shared page, instances that are replaced while threads use them, serial modules. */
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
#include "base/magic.h"
#include "module/enter.h"
#include "module/module.h"
#include "ostler/host.h"
#include "tests/support/fixture.h"

static void *page;

static int setup(void **state)
{
	(void)state;
	page = aligned_alloc(64, MOD_PAGE_SIZE);
	assert_non_null(page);
	memset(page, 0, MOD_PAGE_SIZE);
	mod_page_attach(page);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mod_shutdown();
	mod_page_attach(NULL);
	free(page);
	return 0;
}

/* ---- a module that lives here ------------------------------------------------------------------------------------ */

static atomic_int closed, inside, most_inside;

static void count_close(void *self)
{
	(void)self;
	atomic_fetch_add(&closed, 1);
}

static const struct ost_table_ops plain_ops = { .ops = { .size = sizeof plain_ops, .close = count_close } };
static const struct ost_table_ops serial_ops = {
	.ops = { .size = sizeof serial_ops, .flags = OST_SERIAL, .close = count_close },
};
static const struct mod_provider plain = { OST_KIND_TABLE, "plain", "plainmodule", &plain_ops.ops };
static const struct mod_provider serial = { OST_KIND_TABLE, "serial", "serialmodule", &serial_ops.ops };

static struct mod_instance *open_one(const struct mod_provider *p)
{
	struct ost_why why = { "" };
	struct mod_instance *in = mod_open(p, NULL, "x", &why);
	assert_string_equal(why.text, "");
	assert_non_null(in);
	return in;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void the_page_tells_where_threads_are(void **state)
{
	(void)state;
	char text[200];
	struct mod_instance *a = open_one(&plain), *b = open_one(&serial);
	assert_false(mod_page_describe(page, text, sizeof text));
	assert_string_equal(text, "");
	mod_enter(a, "lookup", CLOCK_NEVER);
	assert_true(mod_page_describe(page, text, sizeof text));
	assert_string_equal(text, "module plainmodule, lookup");
	mod_enter(b, "session_begin_is_cut", CLOCK_NEVER);
	assert_true(mod_page_describe(page, text, sizeof text));
	assert_string_equal(text, "module serialmodule, session_begin_i");
	mod_leave(b);
	assert_true(mod_page_describe(page, text, sizeof text));
	assert_string_equal(text, "module plainmodule, lookup");
	mod_leave(a);
	assert_false(mod_page_describe(page, text, sizeof text));
	mod_close(&a);
	mod_close(&b);
}

static void *crash(void *arg)
{
	struct mod_instance *in = arg;
	mod_enter(in, "crash", CLOCK_NEVER);
	mod_page_mark_crash();
	mod_leave(in);
	mod_enter(in, "crashed", CLOCK_NEVER); /* as a dead thread would leave it */
	pause();
	return NULL;
}

static void the_thread_that_crashed_is_the_one_that_is_named(void **state)
{
	(void)state;
	char text[200] = "";
	pthread_t thread;
	struct mod_instance *a = open_one(&plain), *b = open_one(&serial);
	mod_enter(b, "innocent", CLOCK_NEVER);
	assert_int_equal(pthread_create(&thread, NULL, crash, a), 0);
	for (int i = 0; i < 1000 && !strstr(text, "crashed"); i++) {
		usleep(1000);
		mod_page_describe(page, text, sizeof text);
	}
	assert_string_equal(text, "module plainmodule, crashed");
	mod_leave(b);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	mod_close(&b);
}

struct seen {
	size_t count;
	struct mod_call last;
};

static void take_call(void *ctx, const struct mod_call *c)
{
	struct seen *seen = ctx;
	seen->count++;
	seen->last = *c;
	assert_true(c->slot < MOD_PAGE_SLOTS);
}

static struct seen look(void)
{
	struct seen seen = { 0 };
	mod_page_calls(page, take_call, &seen);
	return seen;
}

static void calls_are_seen_with_their_limits(void **state)
{
	(void)state;
	int64_t now = clock_mono();
	struct mod_instance *a = open_one(&plain);
	assert_int_equal(look().count, 0);
	mod_enter(a, "lookup", now + 10 * CLOCK_SECOND);
	struct mod_call first = look().last;
	assert_int_equal(look().count, 1);
	assert_int_equal(first.thread, gettid());
	assert_true(first.limit > now + 19 * CLOCK_SECOND && first.limit <= now + 20 * CLOCK_SECOND);
	mod_leave(a);
	assert_int_equal(look().count, 0);
	mod_enter(a, "lookup", CLOCK_NEVER);
	assert_true(look().last.limit == CLOCK_NEVER);
	assert_true(look().last.number != first.number); /* another call of the same thread */
	mod_leave(a);
	mod_close(&a);
}

static void entry_points_without_an_instance_are_noted(void **state)
{
	(void)state;
	char text[200];
	mod_note("othermodule", "load", mod_deadline(1));
	assert_true(mod_page_describe(page, text, sizeof text));
	assert_string_equal(text, "module othermodule, load");
	mod_note_end();
	assert_false(mod_page_describe(page, text, sizeof text));
}

static void a_page_full_of_rubbish_is_read_safely(void **state)
{
	(void)state;
	char text[200];
	memset(page, 0xff, MOD_PAGE_SIZE);
	assert_false(mod_page_describe(page, text, sizeof text));
	mod_page_attach(page); /* sets the magic number alone */
	mod_page_describe(page, text, sizeof text);
	look();
}

static void an_instance_is_closed_when_the_last_thread_has_left(void **state)
{
	(void)state;
	struct mod_instance *old = open_one(&plain), *_Atomic where, *none = NULL;
	atomic_store(&closed, 0);
	atomic_store(&where, old);
	struct mod_instance *in = mod_enter_shared(&where, "lookup", CLOCK_NEVER);
	assert_ptr_equal(in, old);
	struct mod_instance *fresh = open_one(&plain);
	atomic_store(&where, fresh);
	mod_retire(&old);
	assert_null(old);
	assert_int_equal(atomic_load(&closed), 0);
	mod_leave(in);
	mod_retire(&none);
	assert_int_equal(atomic_load(&closed), 1);
	mod_close(&fresh);
	assert_int_equal(atomic_load(&closed), 2);
	atomic_store(&where, NULL);
	assert_null(mod_enter_shared(&where, "lookup", CLOCK_NEVER));
}

enum { THREADS = 8, ROUNDS = 2000 };
static struct mod_instance *_Atomic current;

static void *use_current(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct mod_instance *in = mod_enter_shared(&current, "lookup", CLOCK_NEVER);
		if (in) {
			assert(mod_ops(in) == &plain_ops.ops); /* not freed: the sanitizers look, too */
			mod_leave(in);
		}
	}
	return NULL;
}

static void instances_are_replaced_under_many_threads(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	atomic_store(&closed, 0);
	atomic_store(&current, open_one(&plain));
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_current, NULL), 0);
	for (int i = 0; i < 200; i++) {
		struct mod_instance *old = atomic_load(&current);
		atomic_store(&current, open_one(&plain));
		mod_retire(&old);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	struct mod_instance *none = NULL, *last = atomic_load(&current);
	mod_retire(&none);
	assert_int_equal(atomic_load(&closed), 200);
	atomic_store(&current, NULL);
	mod_close(&last);
}

static void *use_serial(void *arg)
{
	struct mod_instance *in = arg;
	for (int i = 0; i < 500; i++) {
		mod_enter(in, "lookup", CLOCK_NEVER);
		int n = atomic_fetch_add(&inside, 1) + 1;
		if (n > atomic_load(&most_inside))
			atomic_store(&most_inside, n);
		sched_yield();
		atomic_fetch_sub(&inside, 1);
		mod_leave(in);
	}
	return NULL;
}

static void a_serial_module_has_one_thread_inside(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	struct mod_instance *in = open_one(&serial);
	atomic_store(&most_inside, 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_serial, in), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&most_inside), 1);
	mod_close(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_tells_where_threads_are),
		cmocka_unit_test(calls_are_seen_with_their_limits),
		cmocka_unit_test(entry_points_without_an_instance_are_noted),
		cmocka_unit_test(an_instance_is_closed_when_the_last_thread_has_left),
		cmocka_unit_test(instances_are_replaced_under_many_threads),
		cmocka_unit_test(a_serial_module_has_one_thread_inside),
		cmocka_unit_test(the_thread_that_crashed_is_the_one_that_is_named), /* spoils the page for others */
		cmocka_unit_test(a_page_full_of_rubbish_is_read_safely),
	};
	return cmocka_run_group_tests_name("inside", tests, setup, teardown);
}
