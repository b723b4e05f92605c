/* SPDX-License-Identifier: Apache-2.0
 * EHLO keywords that are not for everybody, and SMTPUTF8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/smtpd/stage.h"

#define CONFIG \
	"compatibility_level = 3.6\nmyhostname = mx.test\nmydestination = mx.test, b\xc3\xbc" "cher.test\nlocal_recipient_maps =\n" \
	"smtpd_peername_lookup = no\nlocal_header_rewrite_clients =\nsmtpd_relay_restrictions = reject_unauth_destination\n"
#define UTF8_DOMAIN "x@b\xc3\xbc" "cher.test"
#define NO_DSN "501 5.7.1 DSN support is disabled\r\n"
#define BAD_SENDER "501 5.1.7 Bad sender address syntax\r\n"

static struct stage st;

/* What EHLO answers under a configuration, and then what each line of `then` does. */
static void ask(const char *more, void (*then)(struct client *, const char *ehlo))
{
	char main_cf[1000] = CONFIG;
	(void)snprintf(main_cf + sizeof CONFIG - 1, sizeof main_cf - sizeof CONFIG + 1, "%s", more);
	stage_open(&st, main_cf);
	struct client *c = client_new(&st);
	char ehlo[1000];
	(void)snprintf(ehlo, sizeof ehlo, "%s", client_say(c, "EHLO c.test\r\n"));
	then(c, ehlo);
	client_free(&c);
	stage_close(&st);
}

static void offered(struct client *c, const char *ehlo)
{
	assert_non_null(strstr(ehlo, "\r\n250-SMTPUTF8\r\n250 LIMITS RCPTMAX=1000\r\n"));
	assert_string_equal(client_say(c, "MAIL FROM:<" UTF8_DOMAIN ">\r\n"), BAD_SENDER);
	assert_string_equal(client_say(c, "MAIL FROM:<" UTF8_DOMAIN "> SMTPUTF8X\r\n"), BAD_SENDER);
	assert_string_equal(client_say(c, "MAIL FROM:<a@b.test> SMTPUTF8=1\r\n"), "555 5.5.4 Unsupported option: SMTPUTF8=1\r\n");
	assert_string_equal(client_say(c, "MAIL FROM:<" UTF8_DOMAIN "> SMTPUTF8\r\n"), "250 2.1.0 Ok\r\n");
	assert_string_equal(client_say(c, "RCPT TO:<" UTF8_DOMAIN ">\r\n"), "250 2.1.5 Ok\r\n");
	assert_string_equal(client_say(c, "RSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<" UTF8_DOMAIN ">\r\n"),
			    "250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n501 5.1.3 Bad recipient address syntax\r\n");
}

static void not_offered(struct client *c, const char *ehlo)
{
	assert_null(strstr(ehlo, "SMTPUTF8"));
	assert_string_equal(client_say(c, "MAIL FROM:<a@b.test> SMTPUTF8\r\n"), "555 5.5.4 Unsupported option: SMTPUTF8\r\n");
}

static void only_dsn_hidden(struct client *c, const char *ehlo)
{
	assert_non_null(strstr(ehlo, "SMTPUTF8"));
	assert_null(strstr(ehlo, "DSN"));
	assert_string_equal(client_say(c, "MAIL FROM:<a@b.test> RET=FULL\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<a@mx.test> ORCPT=rfc822;a\r\n"),
			    NO_DSN "250 2.1.0 Ok\r\n" NO_DSN);
}

static void unsure(struct client *c, const char *ehlo)
{
	(void)c;
	assert_string_equal(ehlo, "421 4.3.0 mx.test Server local data error\r\n(closed)");
}

static void utf8_in_replies(struct client *c, const char *ehlo)
{
	(void)ehlo;
	assert_string_equal(client_say(c, "VRFY x@\xc3\xa9.test SMTPUTF8\r\nVRFY SMTPUTF8\r\n"),
			    "454 4.7.1 <x@\xc3\xa9.test>: Relay access denied\r\n501 5.5.4 Syntax: VRFY address [SMTPUTF8]\r\n");
	assert_string_equal(client_say(c, "MAIL FROM:<\xc3\xa9@b.test>\r\nRCPT TO:<\xc3\xa9@x.test>\r\nRSET\r\n"),
			    "250 2.1.0 Ok\r\n454 4.7.1 <??@x.test>: Relay access denied\r\n250 2.0.0 Ok\r\n");
	assert_string_equal(client_say(c, "MAIL FROM:<a@b.test> smtputf8\r\nRCPT TO:<\xc3\xa9@x.test>\r\n"),
			    "250 2.1.0 Ok\r\n454 4.7.1 <\xc3\xa9@x.test>: Relay access denied\r\n");
}

static void other_limit(struct client *c, const char *ehlo)
{
	(void)c;
	assert_non_null(strstr(ehlo, "\r\n250 LIMITS RCPTMAX=7\r\n"));
}

static void no_limits(struct client *c, const char *ehlo)
{
	(void)c;
	assert_null(strstr(ehlo, "LIMITS"));
	assert_non_null(strstr(ehlo, "\r\n250 SMTPUTF8\r\n"));
}

static void limits_are_told(void **state)
{
	(void)state;
	ask("smtpd_recipient_limit = 7\n", other_limit);
	ask("ostler_announce_limits = no\n", no_limits);
	ask("smtpd_discard_ehlo_keywords = limits\n", no_limits);
}

static void smtputf8_is_asked_for(void **state)
{
	(void)state;
	ask("", offered);
	ask("", utf8_in_replies);
	ask("smtputf8_enable = no\n", not_offered);
	ask("smtpd_discard_ehlo_keywords = silent-discard, smtputf8\n", not_offered);
}

static void keywords_are_hidden_by_address(void **state)
{
	(void)state;
	ask("smtpd_discard_ehlo_keyword_address_maps = inline:{{192.0.2.1 = smtputf8}}\n", not_offered);
	/* an entry stands in place of the general list */
	ask("smtpd_discard_ehlo_keywords = smtputf8\nsmtpd_discard_ehlo_keyword_address_maps = inline:{{192.0.2.1 = silent-discard,dsn}}\n",
	    only_dsn_hidden);
	ask("smtpd_discard_ehlo_keyword_address_maps = inline:{{192.0.2.2 = smtputf8}}\n", offered);
	ask("smtpd_discard_ehlo_keyword_address_maps = fail:x\n", unsure);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(smtputf8_is_asked_for), cmocka_unit_test(limits_are_told),
					   cmocka_unit_test(keywords_are_hidden_by_address) };
	return cmocka_run_group_tests_name("smtpd/hello", tests, NULL, NULL);
}
