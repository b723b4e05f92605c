/* SPDX-License-Identifier: Apache-2.0
 * The parts of core/process that need no process: throttle, counters, mentions, messages, ports, addresses.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "process/addresses.h"
#include "process/control.h"
#include "process/counters.h"
#include "process/mentions.h"
#include "process/throttle.h"

/* ---- throttle ------------------------------------------------------------------------------------------------ */

enum { LONGEST = 60 * 1000000 };

static void rare_deaths_cost_no_time(void **state)
{
	(void)state;
	struct throttle t = { 0 };
	int64_t now = 1000 * CLOCK_SECOND;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(throttle_ended(&t, now, true, 3 * CLOCK_SECOND, LONGEST), 0);
		now += 3 * CLOCK_SECOND;
	}
}

static void many_deaths_wait_ever_longer(void **state)
{
	(void)state;
	struct throttle t = { 0 };
	int64_t now = 1000 * CLOCK_SECOND, last = 0;
	for (int i = 0; i < 10; i++)
		assert_int_equal(throttle_ended(&t, now, true, CLOCK_SECOND / 10, LONGEST), 0);
	for (int i = 0; i < 20; i++) {
		int64_t wait = throttle_ended(&t, now, true, CLOCK_SECOND / 10, LONGEST);
		assert_true(wait >= CLOCK_SECOND && wait <= LONGEST);
		assert_true(wait >= last);
		last = wait;
	}
	assert_int_equal(last, LONGEST);
	/* after a good while all is forgotten */
	now += 3600 * CLOCK_SECOND;
	assert_int_equal(throttle_ended(&t, now, true, 3600 * CLOCK_SECOND, LONGEST), 0);
	assert_int_equal(t.failures, 0);
}

static void a_failed_start_waits_at_once(void **state)
{
	(void)state;
	struct throttle t = { 0 };
	assert_int_equal(throttle_ended(&t, CLOCK_SECOND, false, 1000, LONGEST), CLOCK_SECOND);
	assert_int_equal(throttle_ended(&t, 2 * CLOCK_SECOND, false, 1000, LONGEST), 2 * CLOCK_SECOND);
	assert_int_equal(throttle_ended(&t, 4 * CLOCK_SECOND, false, 1000, 3 * CLOCK_SECOND),
			 3 * CLOCK_SECOND);
}

/* ---- counters ------------------------------------------------------------------------------------------------ */

static void *page;

static int counters_setup(void **state)
{
	(void)state;
	page = mem_zalloc(counters_bytes() + 64);
	counters_init((void *)(((uintptr_t)page + 63) & ~(uintptr_t)63));
	return 0;
}

static int counters_teardown(void **state)
{
	(void)state;
	free(page);
	return 0;
}

static void *aligned_page(void)
{
	return (void *)(((uintptr_t)page + 63) & ~(uintptr_t)63);
}

static void counts_are_summed_over_columns(void **state)
{
	(void)state;
	counters_attach(aligned_page(), 0);
	assert_true(counters_add(COUNTER_CONNECTIONS, "192.0.2.1", 2));
	assert_true(counters_add(COUNTER_CONNECTIONS, "192.0.2.2", 1));
	counters_attach(aligned_page(), 7);
	assert_true(counters_add(COUNTER_CONNECTIONS, "192.0.2.1", 1));
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "192.0.2.1"), 3);
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "192.0.2.2"), 1);
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "192.0.2.3"), 0);
	assert_int_equal(counters_sum(COUNTER_SESSIONS_OF_LOGIN, "192.0.2.1"), 0);
	assert_true(counters_add(COUNTER_CONNECTIONS, "192.0.2.1", -1));
	assert_false(counters_add(COUNTER_CONNECTIONS, "192.0.2.1", -1)); /* this column has none left */
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "192.0.2.1"), 2);
	counters_clear(aligned_page(), 0); /* its process died */
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "192.0.2.1"), 0);
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "192.0.2.2"), 0);
}

static void places_are_used_again(void **state)
{
	(void)state;
	char key[32];
	counters_attach(aligned_page(), 0);
	for (int i = 0; i < 200000; i++) {
		snprintf(key, sizeof key, "2001:db8::%x", (unsigned)i);
		assert_true(counters_add(COUNTER_CONNECTIONS, key, 1));
		assert_int_equal(counters_sum(COUNTER_CONNECTIONS, key), 1);
		assert_true(counters_add(COUNTER_CONNECTIONS, key, -1));
	}
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "2001:db8::1"), 0);
}

static void ten_thousand_clients_are_counted(void **state)
{
	(void)state;
	char key[32];
	unsigned lost = 0, wrong = 0;
	counters_attach(aligned_page(), 0);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(key, sizeof key, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		lost += !counters_add(COUNTER_CONNECTIONS, key, 1);
	}
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(key, sizeof key, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		wrong += counters_sum(COUNTER_CONNECTIONS, key) > 1;
	}
	assert_true(lost < 100);
	assert_int_equal(wrong, 0);
}

static void *hammer(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		counters_add(COUNTER_CONNECTIONS, "198.51.100.1", 1);
		counters_add(COUNTER_CONNECTIONS, i & 1 ? "198.51.100.2" : "198.51.100.3", 1);
		counters_add(COUNTER_CONNECTIONS, "198.51.100.1", -1);
		counters_add(COUNTER_CONNECTIONS, i & 1 ? "198.51.100.2" : "198.51.100.3", -1);
	}
	return NULL;
}

static void threads_lose_no_count(void **state)
{
	(void)state;
	pthread_t threads[4];
	counters_attach(aligned_page(), 3);
	counters_add(COUNTER_CONNECTIONS, "198.51.100.1", 5);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "198.51.100.1"), 5);
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "198.51.100.2"), 0);
	assert_int_equal(counters_sum(COUNTER_CONNECTIONS, "198.51.100.3"), 0);
}

static void status_is_per_column(void **state)
{
	(void)state;
	int active, parked;
	counters_attach(aligned_page(), 2);
	counters_busy(3, 40);
	counters_busy_of(aligned_page(), 2, &active, &parked);
	assert_int_equal(active, 3);
	assert_int_equal(parked, 40);
	counters_clear(aligned_page(), 2);
	counters_busy_of(aligned_page(), 2, &active, &parked);
	assert_int_equal(active + parked, 0);
}

/* ---- mentions ------------------------------------------------------------------------------------------------ */

static void files_are_found_as_words_alone(void **state)
{
	(void)state;
	const char *value = "hash:/etc/a, regexp:/etc/bc {check_x texthash:/etc/d} proxy:hash:/etc/e/f";
	static const char *const named[] = { "/etc/a", "/etc/a.db", "/etc/bc",
					     "/etc/d", "/etc/e/f",  "/etc/e/f.cdb" };
	static const char *const other[] = { "/etc",  "/etc/b", "/etc/bc/d",   "/etc/a.dbx", "/etc/e",
					     "etc/a", "",       "/etc/shadow", "/c/a" };
	for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
		assert_true(value_mentions(value, named[i]));
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		assert_false(value_mentions(value, other[i]));
	assert_true(value_mentions("/etc/x", "/etc/x"));
	assert_false(value_mentions("", "/etc/x"));
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

static struct ipc_message as_message(const struct buf *b)
{
	return (struct ipc_message){ .body = b->data, .len = b->len };
}

static void fields_are_read(void **state)
{
	(void)state;
	struct control_fields f;
	struct buf b = BUF_INIT;
	tlv_put_u64(&b, F_ID, 7);
	tlv_put_str(&b, K_NAMED, "joe");
	tlv_put_u64(&b, 9999, 1); /* of a later version */
	tlv_put_u64(&b, K_UID, 1000);
	struct ipc_message m = as_message(&b);
	assert_true(control_read(&m, &f));
	assert_int_equal(f.id, 7);
	assert_string_equal(f.name, "joe");
	assert_true(f.has_uid);
	assert_int_equal(f.uid, 1000);
	buf_free(&b);
}

static void bad_fields_are_refused(void **state)
{
	(void)state;
	struct control_fields f;
	struct buf b = BUF_INIT;
	char longer[600];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	tlv_put_str(&b, K_NAMED, longer);
	struct ipc_message m = as_message(&b);
	assert_false(control_read(&m, &f));
	buf_reset(&b);
	tlv_put(&b, K_NAMED, 0, "a\0b", 3);
	m = as_message(&b);
	assert_false(control_read(&m, &f));
	buf_reset(&b);
	tlv_put(&b, F_ID, 0, "1", 1);
	m = as_message(&b);
	assert_false(control_read(&m, &f));
	buf_reset(&b);
	tlv_put_u64(&b, F_ID, 1);
	m = as_message(&b);
	m.len--;
	assert_false(control_read(&m, &f));
	buf_free(&b);
}

/* ---- addresses ----------------------------------------------------------------------------------------------- */

static void interfaces_become_addresses(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct listen_address *list;
	struct ost_why why;
	size_t n;
	assert_true(addresses_of(a, "loopback-only", "ipv4", &list, &n, &why));
	assert_int_equal(n, 1);
	assert_string_equal(list[0].text, "127.0.0.1");
	assert_true(addresses_of(a, "all", "ipv4", &list, &n, &why));
	assert_int_equal(n, 1);
	assert_string_equal(list[0].text, "0.0.0.0");
	assert_true(addresses_of(a, "127.0.0.1, 127.0.0.1 127.0.0.2", "ipv4", &list, &n, &why));
	assert_int_equal(n, 2);
	assert_true(addresses_of(a, "[::1]", "ipv4", &list, &n, &why));
	assert_int_equal(n, 0);
	assert_false(addresses_of(a, "no.such.host.invalid", "all", &list, &n, &why));
	assert_non_null(strstr(why.text, "no.such.host.invalid"));
	arena_destroy(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rare_deaths_cost_no_time),
		cmocka_unit_test(many_deaths_wait_ever_longer),
		cmocka_unit_test(a_failed_start_waits_at_once),
		cmocka_unit_test_setup_teardown(counts_are_summed_over_columns, counters_setup,
						counters_teardown),
		cmocka_unit_test_setup_teardown(places_are_used_again, counters_setup, counters_teardown),
		cmocka_unit_test_setup_teardown(ten_thousand_clients_are_counted, counters_setup,
						counters_teardown),
		cmocka_unit_test_setup_teardown(threads_lose_no_count, counters_setup, counters_teardown),
		cmocka_unit_test_setup_teardown(status_is_per_column, counters_setup, counters_teardown),
		cmocka_unit_test(files_are_found_as_words_alone),
		cmocka_unit_test(fields_are_read),
		cmocka_unit_test(bad_fields_are_refused),
		cmocka_unit_test(interfaces_become_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
