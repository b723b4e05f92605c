/* SPDX-License-Identifier: Apache-2.0
 * Rates of clients in the table that workers share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "process/rates.h"

static struct rate_table table;

static int fresh(void **state)
{
	(void)state;
	memset(&table, 0, sizeof table);
	rates_attach(&table, 7);
	return 0;
}

static void test_counts_within_a_window(void **state)
{
	(void)state;
	assert_int_equal(rates_count(RATE_MESSAGES, "smtp:192.0.2.1", 1000, 60), 1);
	assert_int_equal(rates_count(RATE_MESSAGES, "smtp:192.0.2.1", 1059, 60), 2);
	assert_int_equal(rates_count(RATE_MESSAGES, "smtp:192.0.2.2", 1059, 60), 1);
	assert_int_equal(rates_count(RATE_RECIPIENTS, "smtp:192.0.2.1", 1059, 60), 1);
}

static void test_a_window_begins_with_its_first_event(void **state)
{
	(void)state;
	rates_count(RATE_MESSAGES, "k", 1000, 60);
	rates_count(RATE_MESSAGES, "k", 1059, 60);
	assert_int_equal(rates_count(RATE_MESSAGES, "k", 1060, 60), 1);
	assert_int_equal(rates_count(RATE_MESSAGES, "k", 1119, 60), 2);
}

static void test_who_comes_often_is_not_forgotten_for_many(void **state)
{
	(void)state;
	char key[32];
	for (int i = 0; i < 100; i++)
		rates_count(RATE_CONNECTIONS, "often", 1000, 60);
	for (int i = 0; i < 4 * RATE_BUCKETS * RATE_SLOTS; i++) {
		snprintf(key, sizeof key, "once %d", i);
		rates_count(RATE_CONNECTIONS, key, 1001, 60);
	}
	assert_int_equal(rates_count(RATE_CONNECTIONS, "often", 1002, 60), 101);
}

static void test_without_a_table_nothing_is_counted(void **state)
{
	(void)state;
	rates_attach(NULL, 0);
	assert_int_equal(rates_count(RATE_MESSAGES, "k", 1000, 60), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_counts_within_a_window, fresh),
		cmocka_unit_test_setup(test_a_window_begins_with_its_first_event, fresh),
		cmocka_unit_test_setup(test_who_comes_often_is_not_forgotten_for_many, fresh),
		cmocka_unit_test_setup(test_without_a_table_nothing_is_counted, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
