/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/trial.h"

extern const struct ost_module discard_LTX_ost_module;

static void all_is_sent(void **state)
{
	(void)state;
	static const char *const rcpts[] = { "a@example.org", "b@example.org", NULL };
	static const char *const texts[][2] = { { "nobody reads it", "nobody reads it" }, { "", "discarded" } };
	struct ost_why why;
	void *self;
	assert_true(discard_LTX_ost_module.load(&trial_host, &why));
	const struct ost_transport_ops *ops = (const struct ost_transport_ops *)discard_LTX_ost_module.provides[0].ops;
	assert_true(ops->ops.open(NULL, NULL, &self, &why));
	for (size_t i = 0; i < 2; i++) {
		struct trial t = { .ops = ops };
		trial_start(&t, "Subject: x\n\n", rcpts);
		t.d.nexthop = texts[i][0];
		trial_deliver(&t, self);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(t.told[k].status, OST_SENT);
			assert_string_equal(t.told[k].dsn, "2.0.0");
			assert_string_equal(t.told[k].text, texts[i][1]);
		}
	}
	ops->ops.close(self);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_is_sent) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
