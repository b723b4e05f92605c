/* SPDX-License-Identifier: Apache-2.0
 * The SMTP client against scripted servers: what it says, what it makes of replies, and how it ends when a server goes wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "transports/smtp/test_scene.h"

/* ---- what goes well -------------------------------------------------------------------------------------------------------- */

static void delivers_pipelined(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL FROM:<s@example.com> SIZE=\n<RCPT TO:<r0@example.org>\r\n<DATA\n"
					  ">250 2.1.0 Ok\n>250 2.1.5 Ok\n>354 go\nbody\n>250 2.0.0 Ok: queued as X\n<QUIT\n", 1);
	deliver(s);
	scene_end(s);
	const struct told *t = &s->trial.told[0];
	assert_int_equal(t->status, OST_SENT);
	assert_string_equal(t->dsn, "2.0.0");
	assert_string_equal(t->text, "250 2.0.0 Ok: queued as X");
	assert_int_equal(t->flags, OST_REPORT_RELAYED_NO_DSN);
	assert_non_null(strstr(s->seen, "Subject: x\r\n\r\nline\r\n..dot\r\n.\r\n"));
	assert_non_null(strstr(t->relay, "127.0.0.1[127.0.0.1]:"));
	scene_free(s);
}

static void delivers_without_pipelining(void **state)
{
	(void)state;
	expect(">220-a\n>220 fake\n<EHLO\n>500 what\n<HELO client.example\n>250 fake\n<MAIL FROM:<s@example.com>\r\n>250 ok\n"
	       "<RCPT\n>250 ok\n<DATA\n>354 go\nbody\n>250 fine\n<QUIT\n",
	       OST_SENT, "2.0.0", "250 fine");
}

static void uses_a_connection_again(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 one\n"
					  "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 two\n<QUIT\n", 1);
	deliver(s);
	assert_int_equal(s->trial.told[0].status, OST_SENT);
	deliver(s);
	scene_end(s);
	assert_int_equal(s->trial.told[0].status, OST_SENT);
	assert_string_equal(s->trial.told[0].text, "250 two");
	assert_int_equal(s->trial.told[0].uses, 2);
	scene_free(s);
}

static void a_kept_connection_that_was_closed_is_replaced(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 one\nclose\nagain\n" GREET
					  "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 two\n<QUIT\n", 1);
	deliver(s);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 two");
	assert_int_equal(s->trial.told[0].uses, 1);
	scene_free(s);
}

static void a_kept_connection_that_dies_unseen_is_replaced(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 one\n<MAIL\nreset\nagain\n" GREET
					  "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 two\n<QUIT\n", 1);
	deliver(s);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 two");
	scene_free(s);
}

static void resets_after_a_refused_transaction(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL\n<RCPT\n<DATA\n>250 ok\n>550 5.1.1 no\n>554 no\n"
					  "<RSET\n<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>250 ok\n>354 go\nbody\n>250 two\n<QUIT\n", 1);
	deliver(s);
	assert_int_equal(s->trial.told[0].status, OST_BOUNCED);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 two");
	scene_free(s);
}

static void each_recipient_has_its_own_reply(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL\n<RCPT\n<RCPT\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>550-5.1.1 who\n>550 5.1.1 no\n"
					  ">450 4.2.0 later\n>354 go\nbody\n>250 fine\n<QUIT\n", 3);
	deliver(s);
	scene_end(s);
	assert_int_equal(s->trial.told[0].status, OST_SENT);
	assert_int_equal(s->trial.told[1].status, OST_BOUNCED);
	assert_string_equal(s->trial.told[1].text, "host 127.0.0.1[127.0.0.1] said: 550-5.1.1 who 550 5.1.1 no "
						   "(in reply to RCPT TO command)");
	assert_string_equal(s->trial.told[1].diagnostic, "550-5.1.1 who 550 5.1.1 no");
	assert_int_equal(s->trial.told[2].status, OST_DEFERRED);
	assert_string_equal(s->trial.told[2].dsn, "4.2.0");
	scene_free(s);
}

static void many_recipients_go_in_groups(void **state)
{
	(void)state;
	static char script[64 * 1024];
	enum { N = 190 };
	size_t at = (size_t)snprintf(script, sizeof script, "%s<MAIL\n>250 ok\n", GREET);
	for (int i = 0; i < N; i++)
		at += (size_t)snprintf(script + at, sizeof script - at, "<RCPT TO:<r%d@\n>250 ok\n", i);
	snprintf(script + at, sizeof script - at, "<DATA\n>354 go\nbody\n>250 fine\n<QUIT\n");
	struct scene *s = scene_new(script, N);
	deliver(s);
	scene_end(s);
	for (int i = 0; i < N; i++)
		assert_int_equal(s->trial.told[i].status, OST_SENT);
	scene_free(s);
}

static void dsn_parameters_are_passed_on(void **state)
{
	(void)state;
	struct scene *s = scene_new(">220 fake\n<EHLO\n>250-fake\n>250 DSN\n<MAIL FROM:<s@example.com> RET=HDRS ENVID=a+2Bb\r\n>250 ok\n"
				    "<RCPT TO:<r0@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+3Dy@z\r\n>250 ok\n"
				    "<DATA\n>354 go\nbody\n>250 fine\n<QUIT\n", 1);
	s->trial.d.ret = 2;
	s->trial.d.envid = "a+b";
	s->rcpts[0].notify = 2 | 8;
	s->rcpts[0].orcpt = "rfc822;x=y@z";
	deliver(s);
	scene_end(s);
	assert_int_equal(s->trial.told[0].flags, OST_REPORT_DSN_PASSED_ON);
	scene_free(s);
}

static void the_next_server_takes_what_the_first_puts_off(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL\n<RCPT\n<DATA\n>250 ok\n>451 later\n>554 no\n<QUIT\nagain\n" GREET
					  "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 two\n<QUIT\n", 1);
	snprintf(s->nexthop, sizeof s->nexthop, "twice:%u", fake_port(s->server));
	s->config.cache_on_demand = false;
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 two");
	scene_free(s);
}

/* ---- what goes wrong ------------------------------------------------------------------------------------------------------- */

#define SAID "host 127.0.0.1[127.0.0.1] said: "
#define ENVELOPE GREET "<MAIL\n<RCPT\n<DATA\n"

static const struct {
	const char *script;
	enum ost_delivered status;
	const char *dsn, *text;
} failures[] = {
	/* replies */
	{ ">554 5.7.1 go away\n", OST_DEFERRED, "4.7.1", "refused to talk to me: 554 5.7.1 go away" },
	{ ">421 busy\n", OST_DEFERRED, "4.0.0", "refused to talk to me: 421 busy" },
	{ ">220 x\n<EHLO\n>500 no\n<HELO\n>550 5.7.0 never\n", OST_BOUNCED, "5.7.0", "refused to talk to me" },
	{ GREET_BARE "<MAIL\n>550 5.1.8 bad sender\n", OST_BOUNCED, "5.1.8",
	  SAID "550 5.1.8 bad sender (in reply to MAIL FROM command)" },
	{ GREET_BARE "<MAIL\n>451 4.3.0 not now\n", OST_DEFERRED, "4.3.0", "(in reply to MAIL FROM command)" },
	{ GREET_BARE "<MAIL\n>250 ok\n<RCPT\n>550 5.1.1 who\n", OST_BOUNCED, "5.1.1", "(in reply to RCPT TO command)" },
	{ ENVELOPE ">250 ok\n>250 ok\n>554 5.5.1 no\n", OST_BOUNCED, "5.5.1", "(in reply to DATA command)" },
	{ ENVELOPE ">250 ok\n>250 ok\n>354 go\nbody\n>552 5.2.2 full\n", OST_BOUNCED, "5.2.2", "(in reply to end of DATA command)" },
	{ ENVELOPE ">250 ok\n>250 ok\n>354 go\nbody\n>452 4.2.2 full\n", OST_DEFERRED, "4.2.2", "(in reply to end of DATA command)" },
	{ ENVELOPE ">250 ok\n>421 4.3.2 bye\n", OST_DEFERRED, "4.3.2", SAID "421 4.3.2 bye (in reply to RCPT TO command)" },
	{ ENVELOPE ">250 ok\n>550 5.1.1 who\n>354 go\nbody\n>554 none\n", OST_BOUNCED, "5.1.1", "550 5.1.1 who" },
	/* a bare enhanced code is text; a code of another class is not the status */
	{ GREET_BARE "<MAIL\n>550 5.7.1\n", OST_BOUNCED, "5.7.1", "550 5.7.1" },
	{ GREET_BARE "<MAIL\n>450 4.7.\n", OST_DEFERRED, "4.0.0", "450 4.7." },
	{ GREET_BARE "<MAIL\n>550 4.7.1 x\n", OST_BOUNCED, "5.0.0", "550 4.7.1 x" },
	{ GREET_BARE "<MAIL\n>550\n", OST_BOUNCED, "5.0.0", "550" },
	/* closed at each step */
	{ "close\n", OST_DEFERRED, "4.4.2", "lost connection with 127.0.0.1[127.0.0.1] while receiving the initial server greeting" },
	{ ">220 x\nclose\n", OST_DEFERRED, "4.4.2", "while performing the EHLO handshake" },
	{ ">220 x\n<EHLO\nreset\n", OST_DEFERRED, "4.4.2", "while performing the EHLO handshake" },
	{ ">220 x\n<EHLO\n>500 x\n<HELO\nclose\n", OST_DEFERRED, "4.4.2", "while performing the HELO handshake" },
	{ GREET_BARE "<MAIL\nclose\n", OST_DEFERRED, "4.4.2", "while sending MAIL FROM" },
	{ GREET_BARE "<MAIL\n>250 ok\n<RCPT\nclose\n", OST_DEFERRED, "4.4.2", "while sending RCPT TO" },
	{ ENVELOPE ">250 ok\n>250 ok\nclose\n", OST_DEFERRED, "4.4.2", "while sending DATA command" },
	{ ENVELOPE ">250 ok\n>250 ok\n>354 go\nbody\nclose\n", OST_DEFERRED, "4.4.2",
	  "while sending end of data -- message may be sent more than once" },
	{ ENVELOPE ">250 ok\n>250 ok\n>354 go\nbody\n>>250 2.0.\nclose\n", OST_DEFERRED, "4.4.2", "while sending end of data" },
	/* silence */
	{ "wait 2500\n", OST_DEFERRED, "4.4.2", "conversation with 127.0.0.1[127.0.0.1] timed out while receiving the initial" },
	{ ENVELOPE ">250 ok\n>250 ok\n>354 go\nbody\nwait 2500\n", OST_DEFERRED, "4.4.2", "timed out while sending end of data" },
	/* not SMTP, or too much of it */
	{ "flood 100000\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ "long 10000\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ ">hello\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ ">>\\0\\0\\0\\n\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ ">999 x\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ ">2200 x\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ ENVELOPE ">250 ok\n>250 ok\n>354 go\n>250 2.0.0 yes\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ ENVELOPE ">>250 a\\r\\n250 b\\r\\n354 c\\r\\n250 d\\r\\n250 e\\r\\n\n", OST_DEFERRED, "4.5.0", "protocol error" },
	{ ENVELOPE ">354 go\n>354 go\n>354 go\n", OST_DEFERRED, "4.0.0", "354 go" },
};

static void failures_are_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
		expect(failures[i].script, failures[i].status, failures[i].dsn, failures[i].text);
}

static void no_connection_is_deferred(void **state)
{
	(void)state;
	struct scene *s = scene_new(NULL, 1);
	deliver(s);
	assert_int_equal(s->trial.told[0].status, OST_DEFERRED);
	assert_string_equal(s->trial.told[0].dsn, "4.4.1");
	assert_string_equal(s->trial.told[0].text, "connect to 127.0.0.1[127.0.0.1]:1: Connection refused");
	assert_int_equal(s->trial.told[0].flags, OST_REPORT_DESTINATION);
	assert_string_equal(s->trial.told[0].relay, "");
	scene_end(s);
	scene_free(s);
}

static void lookups_that_fail(void **state)
{
	(void)state;
	static const struct {
		const char *nexthop, *dsn;
		enum ost_delivered status;
	} rows[] = { { "nowhere", "5.4.4", OST_BOUNCED },
		     { "later", "4.4.3", OST_DEFERRED },
		     { "[unclosed", "4.3.5", OST_DEFERRED },
		     { "x:noport", "4.3.5", OST_DEFERRED },
		     { "x:99999", "4.3.5", OST_DEFERRED } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct scene *s = scene_new(NULL, 1);
		s->trial.d.nexthop = rows[i].nexthop;
		deliver(s);
		assert_int_equal(s->trial.told[0].status, rows[i].status);
		assert_string_equal(s->trial.told[0].dsn, rows[i].dsn);
		scene_end(s);
		scene_free(s);
	}
}

static void the_fallback_is_used(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>354 go\nbody\n>250 two\n<QUIT\n", 1);
	char relay[64];
	snprintf(relay, sizeof relay, "%s", s->nexthop);
	s->config.fallback_relay = relay;
	s->trial.d.nexthop = "nowhere";
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 two");
	scene_free(s);
}

static void a_message_beyond_size_is_not_sent(void **state)
{
	(void)state;
	expect(">220 x\n<EHLO\n>250-x\n>250 SIZE 10\n<QUIT\n", OST_BOUNCED, "5.3.4", "exceeds size limit 10 of server");
}

static void utf8_needs_smtputf8(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET "<QUIT\n", 1);
	s->trial.d.flags = OST_MSG_SMTPUTF8;
	s->rcpts[0].address = "\xc3\xa4@example.org";
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].dsn, "5.6.7");
	scene_free(s);
}

static void an_unreadable_message_is_not_finished(void **state)
{
	(void)state;
	static char big[200 * 1024];
	memset(big, 'x', sizeof big);
	struct scene *s = scene_new(ENVELOPE ">250 ok\n>250 ok\n>354 go\n", 1);
	s->trial.content = big;
	s->trial.size = s->trial.d.content_size = sizeof big;
	s->trial.in_memory = false;
	s->trial.unreadable = true;
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].dsn, "4.3.0");
	assert_null(strstr(s->seen, "\r\n.\r\n"));
	scene_free(s);
}

/* What is stored as it goes out goes out as it is; when not all of it turns out good, the message is not ended. */
static void wire_form_is_sent_as_it_is(void **state)
{
	(void)state;
	static char wire[30 * 1024];
	for (size_t i = 0; i < sizeof wire; i++)
		wire[i] = i % 60 == 58 ? '\r' : i % 60 == 59 ? '\n' : i % 120 < 2 ? '.' : 'w';
	for (int good = 1; good >= 0; good--) {
		struct scene *s = scene_new(good ? ENVELOPE ">250 ok\n>250 ok\n>354 go\nbody\n>250 2.0.0 taken\n<QUIT\n" :
						   ENVELOPE ">250 ok\n>250 ok\n>354 go\n", 1);
		s->trial.in_memory = false;
		s->trial.wire = wire;
		s->trial.wire_size = sizeof wire;
		s->trial.wire_good = sizeof wire - !good;
		deliver(s);
		scene_end(s);
		assert_string_equal(s->trial.told[0].dsn, good ? "2.0.0" : "4.3.0");
		const char *at = strstr(s->seen, "DATA\r\n");
		assert_non_null(at);
		if (good)
			assert_memory_equal(at + 6, wire, sizeof wire);
		assert_int_equal(strstr(s->seen, "\r\n.\r\n") != NULL, good);
		scene_free(s);
	}
}

static void addresses_are_quoted(void **state)
{
	(void)state;
	struct scene *s = scene_new(GREET_BARE "<MAIL FROM:<\"a b\"@example.com>\r\n>250 ok\n<RCPT TO:<\"x\\\"y??RCPT\"@z>\r\n>550 no\n", 1);
	s->trial.d.sender = "a b@example.com";
	s->rcpts[0].address = "x\"y\r\nRCPT@z";
	deliver(s);
	scene_end(s);
	scene_free(s);
}

/* ---- content ------------------------------------------------------------------------------------------------------------------ */

static void wire_is(const char *in, size_t limit, const char *out)
{
	for (size_t piece = 1; piece <= strlen(in) + 1; piece++) { /* whatever the pieces it comes in */
		struct wire w = { .line_limit = limit };
		struct text t = { .len = 0 };
		for (size_t at = 0; at < strlen(in); at += piece)
			wire_put(&w, &t, in + at, strlen(in) - at < piece ? strlen(in) - at : piece);
		wire_end(&w, &t);
		assert_string_equal(t.data, out);
		text_free(&t);
	}
}

static void content_on_the_wire(void **state)
{
	(void)state;
	wire_is("", 998, ".\r\n");
	wire_is("a\n", 998, "a\r\n.\r\n");
	wire_is("a", 998, "a\r\n.\r\n");
	wire_is(".\n..\nx.\n", 998, "..\r\n...\r\nx.\r\n.\r\n");
	wire_is("a\r\nb\rc\n\r", 998, "a\r\nb c\r\n\r\n.\r\n");
	wire_is("\r.\r\n", 998, " .\r\n.\r\n");
	wire_is("123456789012345\n", 12, "123456789012\r\n 345\r\n.\r\n");
	wire_is("123456789012.\n.\n", 12, "123456789012\r\n .\r\n..\r\n.\r\n");
	wire_is("123456789012\n", 12, "123456789012\r\n.\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_on_the_wire),
		cmocka_unit_test(delivers_pipelined),
		cmocka_unit_test(delivers_without_pipelining),
		cmocka_unit_test(uses_a_connection_again),
		cmocka_unit_test(a_kept_connection_that_was_closed_is_replaced),
		cmocka_unit_test(a_kept_connection_that_dies_unseen_is_replaced),
		cmocka_unit_test(resets_after_a_refused_transaction),
		cmocka_unit_test(each_recipient_has_its_own_reply),
		cmocka_unit_test(many_recipients_go_in_groups),
		cmocka_unit_test(dsn_parameters_are_passed_on),
		cmocka_unit_test(the_next_server_takes_what_the_first_puts_off),
		cmocka_unit_test(failures_are_told_apart),
		cmocka_unit_test(no_connection_is_deferred),
		cmocka_unit_test(lookups_that_fail),
		cmocka_unit_test(the_fallback_is_used),
		cmocka_unit_test(a_message_beyond_size_is_not_sent),
		cmocka_unit_test(utf8_needs_smtputf8),
		cmocka_unit_test(an_unreadable_message_is_not_finished),
		cmocka_unit_test(wire_form_is_sent_as_it_is),
		cmocka_unit_test(addresses_are_quoted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
