/* SPDX-License-Identifier: Apache-2.0
 * AUTH, word for word: what the client is told, what the log says, and what is left of a login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "smtpd/auth.h"
#include "tests/support/saslpeer.h"
#include "tests/unit/smtpd/stage.h"

#define GOOD "235 2.7.0 Authentication successful\r\n"
#define FAILED "535 5.7.8 Error: authentication failed: "
#define MAIL "MAIL FROM:<a@b.test>\r\n"
#define OK "250 2.1.0 Ok\r\n"

static struct stage st;
static struct peer *peer;
static struct sasl_peer manner;

static int setup(void **state)
{
	static char seen[SASL_PEER_SEEN];
	(void)state;
	manner.seen = seen;
	peer = peer_start("127.0.0.1", 0, peer_serve_dovecot, &manner);
	char *main_cf = mem_printf(
		"compatibility_level = 3.6\nmyhostname = mx.test\nmydestination = mx.test\nlocal_recipient_maps =\n"
		"mynetworks =\nsmtpd_peername_lookup = no\nsmtpd_soft_error_limit = 1000\nsmtpd_hard_error_limit = 1000\n"
		"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:127.0.0.1:%u\n"
		"smtpd_sasl_authenticated_header = yes\nbroken_sasl_auth_clients = yes\nsmtpd_delay_reject = no\n"
		"smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n"
		"smtpd_sender_login_maps = inline:{ {own@b.test=known, boss} {other@b.test=boss} }\n"
		"smtpd_sender_restrictions = reject_sender_login_mismatch\n"
		"smtpd_end_of_data_restrictions = reject_header_from_mismatch\n",
		(unsigned)peer_port(peer));
	stage_open(&st, main_cf);
	free(main_cf);
	fixture_log(&st.fix);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&st);
	peer_stop(&peer);
	return 0;
}

static struct client *hello(void)
{
	struct client *c = client_new(&st);
	client_say(c, "EHLO c.test\r\n");
	return c;
}

static void expect(struct client *c, const char *line, const char *reply)
{
	assert_string_equal(client_say(c, line), reply);
}

static void it_is_announced(void **state)
{
	(void)state;
	struct client *c = client_new(&st);
	const char *got = client_say(c, "EHLO c.test\r\n");
	assert_non_null(strstr(got, "\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n"));
	client_free(&c);
}

static void logins(void **state)
{
	(void)state;
	struct client *c = hello();
	expect(c, "AUTH PLAIN " SASL_PLAIN_RIGHT "\r\n", GOOD);
	expect(c, "AUTH PLAIN " SASL_PLAIN_RIGHT "\r\n", "503 5.5.1 Error: already authenticated\r\n");
	expect(c, "MAIL FROM:<own@b.test>\r\nRCPT TO:<x@far.test>\r\nQUIT\r\n", OK "250 2.1.5 Ok\r\n221 2.0.0 Bye\r\n(closed)");
	assert_true(fixture_logged(&st.fix, ": client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=known"));
	assert_true(fixture_logged(&st.fix, "ehlo=1 auth=1/2 mail=1 rcpt=1 quit=1 commands=5/6"));
	client_free(&c);
	c = hello();
	expect(c, "auth login\r\n", "334 VXNlcm5hbWU6\r\n");
	expect(c, SASL_USER "\r\n", "334 UGFzc3dvcmQ6\r\n");
	expect(c, SASL_PASSWORD "\r\n", GOOD);
	client_free(&c);
	c = hello();
	expect(c, "AUTH PLAIN\r\n" SASL_PLAIN_RIGHT "\r\n", "334 \r\n" GOOD);
	client_free(&c);
}

static void refusals(void **state)
{
	(void)state;
	static const struct {
		const char *say, *reply;
	} rows[] = {
		{ "AUTH\r\n", "501 5.5.4 Syntax: AUTH mechanism\r\n" },
		{ "AUTH PLAIN a b\r\n", "501 5.5.4 Syntax: AUTH mechanism\r\n" },
		{ "AUTH CRAM-MD5\r\n", FAILED "Invalid authentication mechanism\r\n" },
		{ "AUTH INTERNAL\r\n", FAILED "Invalid authentication mechanism\r\n" },
		{ "AUTH PL\tAIN\r\n", FAILED "Invalid authentication mechanism\r\n" },
		{ "AUTH PLAIN\"x\r\n", FAILED "Invalid authentication mechanism\r\n" },
		{ "AUTH PLAIN AAA\r\n", FAILED "Invalid base64 data in initial response\r\n" },
		{ "AUTH PLAIN A===\r\n", FAILED "Invalid base64 data in initial response\r\n" },
		{ "AUTH PLAIN AA=A\r\n", FAILED "Invalid base64 data in initial response\r\n" },
		{ "AUTH PLAIN !\r\n", FAILED "Invalid base64 data in initial response\r\n" },
		{ "AUTH PLAIN\r\n\xc3\xa4\r\n", "334 \r\n" FAILED "Invalid base64 data in continued response\r\n" },
		{ "AUTH PLAIN\r\n*\r\n", "334 \r\n501 5.7.0 Authentication aborted\r\n" },
		{ "AUTH PLAIN =\r\n", FAILED "(reason unavailable)\r\n" },
		{ "AUTH PLAIN " SASL_PLAIN_WRONG "\r\n", FAILED "(reason unavailable)\r\n" },
		{ "AUTH LOGIN\r\n" SASL_USER "\r\n" SASL_NO_PASSWORD "\r\n",
		  "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n" FAILED "(reason unavailable)\r\n" },
		{ "MAIL FROM:<>\r\nAUTH PLAIN\r\nRSET\r\n",
		  OK "503 5.5.1 Error: MAIL transaction in progress\r\n250 2.0.0 Ok\r\n" },
		{ "NOOP\r\n", "250 2.0.0 Ok\r\n" },
	};
	struct client *c = hello();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect(c, rows[i].say, rows[i].reply);
	assert_true(fixture_logged(&st.fix, "warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: (reason unavailable)"));
	assert_true(fixture_logged(&st.fix, "warning: unknown[192.0.2.1]: SASL PLAIN authentication aborted"));
	client_free(&c);
}

/* A line may have smtpd_sasl_response_limit bytes, its CR included, also with AUTH in front. */
static void lengths(void **state)
{
	(void)state;
	enum { LIMIT = 12288 };
	char *line = mem_alloc(LIMIT + 16);
	struct client *c = hello();
	for (int over = 0; over < 2; over++) {
		memset(line, 'A', LIMIT);
		snprintf(line + LIMIT - 1 + over, 3, "\r\n");
		expect(c, "AUTH PLAIN\r\n", "334 \r\n");
		expect(c, line,
		       over ? "500 5.5.6 SASL response limit exceeded\r\n" : FAILED "Invalid base64 data in continued response\r\n");
	}
	memset(line, 'A', LIMIT);
	memcpy(line, "AUTH PLAIN ", 11);
	snprintf(line + 11 + (LIMIT - 12) / 4 * 4, 3, "\r\n");
	expect(c, line, FAILED "(reason unavailable)\r\n");
	expect(c, "AUTH PLAIN " SASL_PLAIN_RIGHT "\r\n", GOOD);
	free(line);
	client_free(&c);
}

/* What goes to the back end about the session. */
static void facts(void **state)
{
	(void)state;
	struct client *c = hello();
	manner.seen[0] = '\0';
	expect(c, "AUTH PLAIN " SASL_PLAIN_RIGHT "\r\n", GOOD);
	char *line = strstr(manner.seen, "\tPLAIN\t");
	assert_non_null(line);
	assert_string_equal(line, "\tPLAIN\tservice=smtp\tnologin\trip=192.0.2.1\trport=4000\tresp=" SASL_PLAIN_RIGHT "\n");
	client_free(&c);
}

/* AUTH= of MAIL (RFC 4954 5). */
static void mail_parameter(void **state)
{
	(void)state;
	struct client *c = hello();
	expect(c, "MAIL FROM:<a@b.test> AUTH=<>\r\nRSET\r\n", OK "250 2.0.0 Ok\r\n");
	expect(c, "MAIL FROM:<a@b.test> AUTH=x AUTH=y\r\n", "503 5.5.4 Error: multiple AUTH= options\r\n");
	expect(c, "MAIL FROM:<a@b.test> AUTH=e+3Dmc2@example.com\r\nRCPT TO:<joe@mx.test>\r\nRSET\r\n",
	       OK "250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n");
	assert_true(fixture_logged(&st.fix, ": client=unknown[192.0.2.1], sasl_sender=e+3Dmc2@example.com"));
	client_free(&c);
}

/* smtpd_sender_login_maps. */
static void senders(void **state)
{
	(void)state;
	struct client *c = hello();
	expect(c, "MAIL FROM:<own@b.test>\r\n", "553 5.7.1 <own@b.test>: Sender address rejected: not logged in\r\n");
	expect(c, "MAIL FROM:<unknown@b.test>\r\nRSET\r\n", OK "250 2.0.0 Ok\r\n");
	expect(c, "AUTH PLAIN " SASL_PLAIN_RIGHT "\r\n", GOOD);
	expect(c, "MAIL FROM:<own@b.test>\r\nRSET\r\n", OK "250 2.0.0 Ok\r\n");
	expect(c, "MAIL FROM:<other@b.test>\r\n", "553 5.7.1 <other@b.test>: Sender address rejected: not owned by user known\r\n");
	expect(c, "MAIL FROM:<unknown@b.test>\r\n", "553 5.7.1 <unknown@b.test>: Sender address rejected: not owned by user known\r\n");
	expect(c, "MAIL FROM:<>\r\n", OK);
	client_free(&c);
}

/* reject_header_from_mismatch. */
static void headers(void **state)
{
	(void)state;
	static const struct {
		const char *header, *reply;
	} rows[] = {
		{ "From: own@b.test\r\n", "250 2.0.0 Ok: queued as" },
		{ "from:\r\n Me <OWN@b.test>\r\n", "250 2.0.0 Ok: queued as" },
		{ "Subject: no From\r\n", "250 2.0.0 Ok: queued as" },
		{ "From: other@b.test\r\n", "550 5.7.1 <other@b.test>: From header rejected: not owned by user known" },
		{ "From: own@b.test <other@b.test>\r\n", "550 5.7.1 <other@b.test>: From header rejected: not owned by user known" },
		{ "From: own@b.test,\r\n unknown@b.test\r\n", "550 5.7.1 <unknown@b.test>: From header rejected: not owned by user known" },
		{ "From: own@b.test\r\nFrom: own@b.test\r\n", "550 5.7.1 From header rejected: one From header" },
		{ "From: \r\n", "550 5.7.1 From header rejected: one From header" },
	};
	struct client *c = hello();
	expect(c, "AUTH PLAIN " SASL_PLAIN_RIGHT "\r\n", GOOD);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[512];
		expect(c, "MAIL FROM:<own@b.test>\r\nRCPT TO:<joe@mx.test>\r\nDATA\r\n",
		       OK "250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
		snprintf(text, sizeof text, "%s\r\nFrom: other@b.test\r\n.\r\n", rows[i].header);
		const char *got = client_say(c, text);
		if (strncmp(got, rows[i].reply, strlen(rows[i].reply)) != 0)
			fail_msg("%s: %s", rows[i].header, got);
	}
	client_free(&c);
}

/* Clients that leave in the middle, in every state; an answer of the back end that is none. */
static void ends(void **state)
{
	(void)state;
	static const char *const answers[] = { "OK\t%s\n", "OK\t%s\tuser=\n", "OK\t99999\tuser=x\nFAIL\t%s\ttemp\n", "CONT\t%s\n", "CONT\t%s\t!\"\n",
					       "OK\n", "FAIL\t%s\tcode=temp_fail\treason=x\n" };
	struct client *c = hello();
	expect(c, "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n");
	client_free(&c);
	assert_true(fixture_logged(&st.fix, "lost connection after AUTH from unknown[192.0.2.1]"));
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		manner.answer = answers[i];
		c = hello();
		const char *got = client_say(c, "AUTH PLAIN " SASL_PLAIN_RIGHT "\r\n");
		if (strncmp(got, "454 4.7.0 Temporary authentication failure: ", 44) != 0)
			fail_msg("%s: %s", answers[i], got);
		expect(c, "NOOP\r\n", "250 2.0.0 Ok\r\n");
		client_free(&c);
		manner.answer = NULL;
		usleep(600000); /* a back end that has said rubbish is left alone for a moment */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_announced), cmocka_unit_test(logins),         cmocka_unit_test(refusals), cmocka_unit_test(lengths),
		cmocka_unit_test(facts),           cmocka_unit_test(mail_parameter), cmocka_unit_test(senders),
		cmocka_unit_test(headers),         cmocka_unit_test(ends),
	};
	return cmocka_run_group_tests_name("smtpd/auth", tests, setup, teardown);
}
