/* SPDX-License-Identifier: Apache-2.0
 * Parsing restriction lists: what forbids a start. (What they decide is compared with Postfix's answers end to end.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "smtpd/restrict.h"
#include "tests/unit/smtpd/stage.h"

#define RELAY "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"

static void mistakes_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *main_cf, *says; /* NULL: fine */
	} cases[] = {
		{ RELAY, NULL },
		{ RELAY "smtpd_client_restrictions = permit_mynetworks, reject\n", NULL },
		{ RELAY "smtpd_recipient_restrictions = nonsense\n", "smtpd_recipient_restrictions: unknown restriction: \"nonsense\"" },
		{ RELAY "smtpd_sender_restrictions = check_sender_access\n", "restriction check_sender_access needs an argument" },
		{ RELAY "smtpd_sender_restrictions = inline:{x=reject}, warn_if_reject reject\n", NULL },
		{ RELAY "smtpd_data_restrictions = inline:{x=reject}\n", "smtpd_data_restrictions: a lookup table alone cannot stand here" },
		{ RELAY "smtpd_helo_restrictions = sleep\n", "restriction sleep needs an argument" },
		{ RELAY "smtpd_restriction_classes = one, two\none = two\ntwo = one\n", "the restriction class leads to itself" },
		{ RELAY "smtpd_restriction_classes = one\none = permit\nsmtpd_helo_restrictions = one, reject\n", NULL },
		{ RELAY "smtpd_restriction_classes = one\n", "has no value" },
		{ "smtpd_relay_restrictions =\n", "specify at least one working instance of" },
		{ "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks\n", "specify at least one" },
		{ "smtpd_relay_restrictions = warn_if_reject reject\n", "specify at least one" },
		{ "smtpd_relay_restrictions = permit, reject\n", "specify at least one" },
		{ "smtpd_relay_restrictions = check_relay_domains\n", NULL },
		{ RELAY "smtpd_etrn_restrictions = inline:{x=reject}, check_etrn_access inline:{y=ok}\n", NULL },
		{ RELAY "smtpd_client_restrictions = check_client_mx_access inline:{x=reject}, check_reverse_client_hostname_access static:ok\n", NULL },
		{ RELAY "smtpd_helo_restrictions = reject_unknown_hostname, permit_naked_ip_address\n", NULL },
		{ "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n", NULL },
		{ "smtpd_restriction_classes = c\nc = reject_unauth_destination\nsmtpd_relay_restrictions = c\n", NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture fix;
		struct ost_why why = { "" };
		fixture_open(&fix, cases[i].main_cf, NULL);
		restrict_install_host();
		struct findings *findings = findings_new();
		struct restrictions *r = restrictions_open(fix.view, fix.config, findings, &why);
		assert_int_equal(r != NULL, cases[i].says == NULL);
		assert_int_equal(findings_fatal(findings), cases[i].says != NULL);
		if (cases[i].says && !strstr(why.text, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", why.text, cases[i].says);
		restrictions_close(&r);
		findings_destroy(&findings);
		fixture_close(&fix);
	}
}

/* A table that cannot be opened, or fails, is never a yes. */
static void broken_tables_do_not_open_doors(void **state)
{
	(void)state;
	static const struct {
		const char *param, *rcpt, *reply;
	} cases[] = {
		{ "mynetworks = hash:/nonexistent/x\n", "joe@mx.test", "451 4.3.0 " },
		{ "relay_domains = hash:/nonexistent/x\n", "joe@far.test", "451 4.3.0 " },
		{ "mydestination = hash:/nonexistent/x\n", "joe@mx.test", "451 4.3.0 " },
		{ "virtual_alias_maps = hash:/nonexistent/x\n", "joe@mx.test", "451 4.3.0 " },
		{ "local_recipient_maps = hash:/nonexistent/x\n", "joe@mx.test", "451 4.3.0 " },
		{ "smtpd_sender_restrictions = check_sender_access hash:/nonexistent/x\n", "joe@mx.test", "451 4.3." },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct stage st;
		char main_cf[500];
		snprintf(main_cf, sizeof main_cf, "compatibility_level = 3.6\nmyhostname = mx.test\nmydestination = mx.test\n"
			 "local_recipient_maps =\nsmtpd_peername_lookup = no\nsmtpd_forbid_bare_newline_exclusions =\n"
			 "smtpd_client_event_limit_exceptions =\n" RELAY "%s", cases[i].param);
		stage_open(&st, main_cf);
		fixture_log(&st.fix);
		struct client *c = client_new(&st);
		client_say(c, "EHLO x\r\n");
		client_say(c, "MAIL FROM:<a@b.test>\r\n");
		snprintf(main_cf, sizeof main_cf, "RCPT TO:<%s>\r\n", cases[i].rcpt);
		const char *got = client_say(c, main_cf);
		if (strncmp(got, cases[i].reply, strlen(cases[i].reply)) != 0)
			fail_msg("%sanswered %s", cases[i].param, got);
		client_free(&c);
		stage_close(&st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(broken_tables_do_not_open_doors),
	};
	return cmocka_run_group_tests_name("smtpd/restrict", tests, NULL, NULL);
}
