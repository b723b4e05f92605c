/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/trial.h"

extern const struct ost_module error_LTX_ost_module;

static void texts_and_codes(void **state)
{
	(void)state;
	static const struct {
		const char *service, *nexthop, *dsn, *text;
		enum ost_delivered status;
	} rows[] = {
		{ "error", "no mail here", "5.0.0", "no mail here", OST_BOUNCED },
		{ "error", "5.1.6 moved", "5.1.6", "moved", OST_BOUNCED },
		{ "error", "5.1.6", "5.1.6", "mail is not deliverable", OST_BOUNCED },
		{ "error", "4.1.6 \t moved", "5.1.6", "moved", OST_BOUNCED },
		{ "error", "5.1 moved", "5.0.0", "5.1 moved", OST_BOUNCED },
		{ "error", "5.1.6000 moved", "5.0.0", "5.1.6000 moved", OST_BOUNCED },
		{ "error", "5.1.6moved", "5.0.0", "5.1.6moved", OST_BOUNCED },
		{ "error", "", "5.0.0", "mail is not deliverable", OST_BOUNCED },
		{ "retry", "5.1.6 moved", "4.1.6", "moved", OST_DEFERRED },
		{ "retry", "", "4.0.0", "mail is not deliverable", OST_DEFERRED },
	};
	static const char *const rcpts[] = { "a@example.org", "b@example.org", NULL };
	struct ost_why why;
	void *self;
	assert_true(error_LTX_ost_module.load(&trial_host, &why));
	const struct ost_transport_ops *ops = (const struct ost_transport_ops *)error_LTX_ost_module.provides[0].ops;
	assert_true(ops->ops.open(NULL, NULL, &self, &why));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct trial t = { .ops = ops, .service = rows[i].service };
		trial_start(&t, "", rcpts);
		t.d.nexthop = rows[i].nexthop;
		trial_deliver(&t, self);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(t.told[k].status, rows[i].status);
			assert_string_equal(t.told[k].dsn, rows[i].dsn);
			assert_string_equal(t.told[k].text, rows[i].text);
		}
	}
	ops->ops.close(self);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(texts_and_codes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
