/* SPDX-License-Identifier: Apache-2.0
 * pgsql: what libpq is told of hosts and their addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "addresses.h"
#include "shared/trial_why.h"

enum { TIME = 1000 };

static int64_t asked_until; /* the last name's deadline */

/* one.test has one address, two.test has two; of slow.test it is not known in time. */
static bool addresses(struct ost_instance *instance, const char *host, struct ost_address *list, size_t max,
		      size_t *count, int64_t deadline, struct ost_why *why)
{
	(void)instance;
	assert_true(max >= 2);
	asked_until = deadline;
	*count = strcmp(host, "two.test") == 0 ? 2 : strcmp(host, "slow.test") == 0 ? 0 : 1;
	snprintf(list[0].text, sizeof list[0].text, "192.0.2.1");
	snprintf(list[1].text, sizeof list[1].text, "2001:db8::2");
	if (*count == 0)
		snprintf(why->text, sizeof why->text, "host %s: not in time", host);
	return *count > 0;
}

static int64_t now(void)
{
	return 0;
}

static const struct ost_host host = {
	.size = sizeof host, .addresses = addresses, .now = now, .why = host_why
};
static const struct pgsql table = { .host = &host };

static const char *word(const struct pgsql_numeric *n, const char *name)
{
	for (size_t i = 0; n->name[i]; i++)
		if (strcmp(n->name[i], name) == 0)
			return n->value[i];
	return NULL;
}

static void names_and_addresses_go_side_by_side(void **state)
{
	(void)state;
	static const struct {
		const char *host, *port, *hosts, *addresses, *ports;
	} rows[] = {
		{ "one.test", NULL, "one.test", "192.0.2.1", "" },
		{ "one.test", "5433", "one.test", "192.0.2.1", "5433" },
		{ "two.test", "5433", "two.test,two.test", "192.0.2.1,2001:db8::2", "5433,5433" },
		{ "one.test,two.test", "1,2", "one.test,two.test,two.test", "192.0.2.1,192.0.2.1,2001:db8::2",
		  "1,2,2" },
		{ "one.test,/run/x", "1", "one.test,/run/x", "192.0.2.1,", "1,1" },
		{ "/run/x,one.test", ",2", "/run/x,one.test", ",192.0.2.1", ",2" },
		{ ",one.test", NULL, ",one.test", ",192.0.2.1", "," },
		{ "slow.test,one.test", "1,2", "one.test", "192.0.2.1", "2" },
		{ "@abstract", NULL, "@abstract", "", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ost_why why = { "" };
		struct pgsql_numeric n;
		struct pgsql_target g = { .name = { "dbname", "host", rows[i].port ? "port" : NULL },
					  .value = { "x", rows[i].host, rows[i].port } };
		assert_true(pgsql_numeric_make(&n, &table, &g, TIME, &why));
		assert_string_equal(word(&n, "dbname"), "x");
		assert_string_equal(word(&n, "host"), rows[i].hosts);
		assert_string_equal(word(&n, "hostaddr"), rows[i].addresses);
		assert_string_equal(word(&n, "port"), rows[i].ports);
		pgsql_numeric_free(&n);
	}
}

static void what_says_where_is_left_as_it_is(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct pgsql_numeric n;
	struct pgsql_target addressed = { .name = { "host", "hostaddr" },
					  .value = { "slow.test", "192.0.2.9" } },
			    none = { .name = { "dbname" }, .value = { "x" } };
	assert_true(pgsql_numeric_make(&n, &table, &addressed, TIME, &why));
	assert_string_equal(word(&n, "host"), "slow.test");
	assert_string_equal(word(&n, "hostaddr"), "192.0.2.9");
	pgsql_numeric_free(&n);
	assert_true(pgsql_numeric_make(&n, &table, &none, TIME, &why));
	assert_null(word(&n, "host"));
	assert_null(word(&n, "hostaddr"));
	pgsql_numeric_free(&n);
}

static void names_that_are_not_found_in_time_are_told(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct pgsql_numeric n;
	struct pgsql_target g = { .name = { "host" }, .value = { "slow.test,slow.test" } };
	assert_false(pgsql_numeric_make(&n, &table, &g, TIME, &why));
	assert_string_equal(why.text, "host slow.test: not in time");
	pgsql_numeric_free(&n);
	g.value[0] = "slow.test,one.test,one.test,one.test"; /* each has its share, the last one all that is
								left */
	assert_true(pgsql_numeric_make(&n, &table, &g, TIME, &why));
	assert_int_equal(asked_until, TIME);
	pgsql_numeric_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_addresses_go_side_by_side),
		cmocka_unit_test(what_says_where_is_left_as_it_is),
		cmocka_unit_test(names_that_are_not_found_in_time_are_told),
	};
	return cmocka_run_group_tests_name("pgsql addresses", tests, NULL, NULL);
}
