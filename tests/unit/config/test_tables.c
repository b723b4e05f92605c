/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/param.h"
#include "config/support.h"
#include "config/value.h"

/* Both tables are sorted and have no name in common: the searches rely on it. */
static void sorted(void **state)
{
	const struct param *before = NULL, *p;
	size_t i = 0, implemented = 0;
	for (; (p = param_at(i)) != NULL; i++) {
		if (before && strcmp(before->name, p->name) >= 0)
			fail_msg("%s stands before %s", before->name, p->name);
		assert_ptr_equal(param_find(p->name), p);
		implemented += p->grade == CFG_IMPLEMENTED;
		before = p;
	}
	assert_int_equal(implemented, P_COUNT);
	assert_true(i > 800);
}

static void numbers(void **state)
{
	assert_string_equal(param_get(P_myhostname)->name, "myhostname");
	assert_int_equal(param_number(param_find("smtpd_timeout")), P_smtpd_timeout);
	assert_int_equal(param_number(param_find("smtp_tls_security_level")), -1);
	assert_null(param_find("no_such_parameter"));
}

/* Every parameter is documented, is read by somebody, and has a default that it would accept. */
static void complete(void **state)
{
	for (int id = 0; id < P_COUNT; id++) {
		const struct param *p = param_get((enum param_id)id);
		struct ost_why why;
		int64_t value;
		assert_true(p->help && strlen(p->help) > 8 && p->help[strlen(p->help) - 1] == '.');
		assert_true((p->daemons & BY_ALL) != 0);
		if (p->type != CFG_STR && p->type != CFG_RAW && !strchr(p->defval, '$') &&
		    !value_parse(p, value_unit(p->defval), p->defval, &value, &why))
			fail_msg("%s: %s", p->name, why.text);
		assert_true(!p->max || p->max >= p->min);
	}
}

static void families(void **state)
{
	const struct param_family *f;
	size_t len;
	for (size_t i = 0; (f = param_family(i)) != NULL; i++) {
		assert_non_null(param_find(f->defval + 1));
		assert_ptr_equal(param_family_by_base(f->defval + 1), f);
	}
	f = param_family_of("policy-spf_time_limit", &len);
	assert_non_null(f);
	assert_int_equal(len, strlen("policy-spf"));
	f = param_family_of("x_destination_recipient_limit", &len);
	assert_string_equal(f->suffix, "_destination_recipient_limit");
	assert_int_equal(len, 1);
	assert_null(param_family_of("_time_limit", &len));
	assert_null(param_family_of("smtpd_banner", &len));
}

static void successors(void **state)
{
	assert_string_equal(param_successor("virtual_maps"), "virtual_alias_maps");
	assert_null(param_successor("virtual_alias_maps"));
}

/* Whatever has no effect says why, and every reason is for a name that there is. */
static void reasons(void **state)
{
	const struct param *p;
	const char *pattern;
	for (size_t i = 0; (p = param_at(i)) != NULL; i++)
		if (p->grade == CFG_NO_EFFECT && !support_reason(p->name))
			fail_msg("%s: no reason in reasons.def", p->name);
	for (unsigned n = 0; (pattern = support_pattern(n)) != NULL; n++) {
		bool fits = false;
		for (size_t i = 0; !fits && (p = param_at(i)) != NULL; i++)
			fits = support_fits(pattern, p->name);
		if (!fits)
			fail_msg("%s: there is no such parameter", pattern);
	}
	assert_true(support_harmless("smtp_tls_security_level", "may"));
	assert_false(support_harmless("smtp_tls_security_level", "ma"));
	assert_false(support_harmless("header_checks", "may"));
}

static void daemons(void **state)
{
	assert_int_equal(daemon_bit("smtpd"), BY_SMTPD);
	assert_int_equal(daemon_bit("oqmgr"), BY_QMGR);
	assert_int_equal(daemon_bit("nosuch"), 0);
	assert_string_equal(daemon_name(BY_TRIVIAL_REWRITE), "trivial-rewrite");
	assert_null(daemon_name(BY_SMTPD | BY_SMTP));
	assert_true(param_get(P_smtpd_banner)->daemons == BY_SMTPD);
	assert_true(param_get(P_myhostname)->daemons == BY_ALL);
	assert_true(param_get(P_virtual_alias_expansion_limit)->daemons & BY_CLEANUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorted),   cmocka_unit_test(numbers),    cmocka_unit_test(complete),
		cmocka_unit_test(families), cmocka_unit_test(successors), cmocka_unit_test(daemons),
		cmocka_unit_test(reasons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
