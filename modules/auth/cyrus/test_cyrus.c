/* SPDX-License-Identifier: Apache-2.0
 * cyrus: what a failure means, and names that nobody has. The rest is in tests/contract/test_auth.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "module/answer.h"
#include "module/module.h"
#include "ostler/auth.h"
#include "tests/support/fixture.h"

static struct fixture fix;

static int setup(void **state)
{
	(void)state;
	fixture_open(&fix, "cyrus_sasl_config_path = $config_directory\n", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_close(&fix);
	return 0;
}

static enum ost_auth plain(struct mod_instance *in, struct ost_why *why)
{
	const struct ost_auth_ops *ops = (const struct ost_auth_ops *)mod_ops(in);
	const struct ost_auth_session about = { .size = sizeof about, .service = "smtp", .server_name = "mx.test", .realm = "",
						.client_address = "", .client_port = "", .server_address = "", .server_port = "" };
	struct arena *a = arena_new();
	struct ost_answer answer = { .arena = a, .why = why };
	void *exchange = NULL;
	mod_enter(in, "test", CLOCK_NEVER);
	enum ost_auth got = ops->begin(mod_self(in), &about, "PLAIN", "AGtub3duAHNlY3JldA==", clock_mono() + CLOCK_SECOND, &exchange, &answer);
	mod_leave(in);
	if (exchange)
		ops->end(mod_self(in), exchange);
	arena_destroy(&a);
	return got;
}

/* saslauthd does not run: that is not the client's fault. */
static void a_back_end_that_is_not_there(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	fixture_file(&fix, "broken.conf", "pwcheck_method: saslauthd\nmech_list: PLAIN\nsaslauthd_path: /nonexistent/mux\n");
	const struct mod_provider *p = mod_find(OST_KIND_AUTH, "cyrus", &why);
	assert_non_null(p);
	struct mod_instance *in = mod_open(p, fix.view, "broken", &why);
	assert_non_null(in);
	assert_int_equal(plain(in, &why), OST_AUTH_TEMPFAIL);
	assert_string_not_equal(why.text, "");
	mod_close(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_back_end_that_is_not_there),
	};
	return cmocka_run_group_tests_name("cyrus", tests, setup, teardown);
}
