/* SPDX-License-Identifier: Apache-2.0
 * Sessions, one step at a time: what is said, what is kept, what a parked session costs. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/smtpd/stage.h"

static struct stage st;

static int setup(void **state)
{
	(void)state;
	stage_open(&st, "compatibility_level = 3.6\nmyhostname = mx.test\nmydestination = mx.test\nlocal_recipient_maps =\n"
			"mynetworks = 192.0.2.0/24\nsmtpd_peername_lookup = no\nsmtpd_forbid_bare_newline_exclusions =\n"
			"message_size_limit = 1000000\nsmtpd_soft_error_limit = 3\nsmtpd_hard_error_limit = 5\n"
			"smtpd_error_sleep_time = 1s\nlocal_header_rewrite_clients =\n");
	fixture_log(&st.fix);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&st);
	return 0;
}

#define ENVELOPE "MAIL FROM:<a@b.test>\r\nRCPT TO:<joe@mx.test>\r\n"
#define ENVELOPE_REPLIES "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
#define BOGUS "500 5.5.2 Error: command not recognized\r\n"
#define START_DATA "354 End data with <CR><LF>.<CR><LF>\r\n"

/* Greets and gets to DATA. */
static struct client *in_data(void)
{
	struct client *c = client_new(&st);
	assert_string_equal(c->text, "220 mx.test ESMTP Ostler\r\n");
	assert_int_equal(strncmp(client_say(c, "EHLO c.test\r\n"), "250-mx.test\r\n", 13), 0);
	assert_string_equal(client_say(c, ENVELOPE "DATA\r\n"), ENVELOPE_REPLIES START_DATA);
	return c;
}

static void a_message_is_stored(void **state)
{
	(void)state;
	size_t before = st.hints;
	struct client *c = in_data();
	assert_string_equal(client_say(c, "Subject: x\r\n\r\nbody\r\n"), "");
	assert_int_equal(strncmp(client_say(c, ".\r\n"), "250 2.0.0 Ok: queued as ", 24), 0);
	assert_int_equal(st.hints, before + 1);
	assert_string_equal(client_say(c, "QUIT\r\n"), "221 2.0.0 Bye\r\n(closed)");
	assert_true(fixture_logged(&st.fix, "disconnect from unknown[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"));
	client_free(&c);
}

static void a_stored_message_pardons_errors(void **state)
{
	(void)state;
	struct client *c = client_new(&st);
	client_say(c, "EHLO c.test\r\n");
	assert_string_equal(client_say(c, "A\r\nB\r\n"), BOGUS BOGUS);
	client_say(c, ENVELOPE "DATA\r\n");
	assert_int_equal(strncmp(client_say(c, "\r\nx\r\n.\r\n"), "250 2.0.0 Ok: queued as ", 24), 0);
	/* the third of them would be parked without the pardon */
	assert_string_equal(client_say(c, "C\r\nD\r\n"), BOGUS BOGUS);
	client_free(&c);
}

static void pipelined_commands_get_one_answer(void **state)
{
	(void)state;
	struct client *c = in_data();
	/* the end, another message and the end of the session in one piece */
	const char *got = client_say(c, "\r\nx\r\n.\r\n" ENVELOPE "RSET\r\nMAIL FROM:<>\r\nQUIT\r\n");
	assert_int_equal(strncmp(got, "250 2.0.0 Ok: queued as ", 24), 0);
	assert_string_equal(strchr(got, '\n') + 1, ENVELOPE_REPLIES "250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n221 2.0.0 Bye\r\n(closed)");
	client_free(&c);
}

/* What a client says and its end may come as one event; the answers reach it all the same. */
static void last_words_are_answered(void **state)
{
	(void)state;
	struct client *c = in_data();
	assert_int_equal(send(c->fd, "x\r\n.\r\nNOOP\r\n", 12, 0), 12);
	shutdown(c->fd, SHUT_WR);
	const char *got = client_say(c, "");
	assert_int_equal(strncmp(got, "250 2.0.0 Ok: queued as ", 24), 0);
	assert_string_equal(strchr(got, '\n') + 1, "250 2.0.0 Ok\r\n(closed)");
	client_free(&c);
	c = client_new(&st);
	assert_int_equal(send(c->fd, "QUIT\r\n", 6, 0), 6);
	shutdown(c->fd, SHUT_WR);
	assert_string_equal(client_say(c, ""), "221 2.0.0 Bye\r\n(closed)");
	client_free(&c);
	assert_int_equal(atomic_load(&st.server->sessions), 0);
}

static void data_may_come_in_any_pieces(void **state)
{
	(void)state;
	static const char text[] = "Subject: x\r\n..dot\r\n\r\n.x\r\na\rb\r\n.\r\n";
	for (size_t piece = 1; piece < sizeof text; piece++) {
		struct client *c = in_data();
		const char *got = "";
		for (size_t at = 0; at < sizeof text - 1; at += piece) {
			assert_string_equal(got, "");
			got = client_send(c, text + at, sizeof text - 1 - at < piece ? sizeof text - 1 - at : piece);
		}
		assert_int_equal(strncmp(got, "250 2.0.0 Ok: queued as ", 24), 0);
		client_free(&c);
	}
}

static void a_lost_message_is_forgotten(void **state)
{
	(void)state;
	size_t before = st.hints;
	struct client *c = in_data();
	client_say(c, "Subject: half\r\n\r\nhalf a mess");
	client_free(&c);
	assert_int_equal(st.hints, before);
	assert_true(fixture_logged(&st.fix, "lost connection after DATA (17 bytes) from unknown[192.0.2.1]"));
}

static void errors_park_the_session(void **state)
{
	(void)state;
	struct client *c = client_new(&st);
	int64_t began = clock_mono();
	/* from the third error on, replies wait; no thread waits with them */
	assert_string_equal(client_say(c, "A\r\nB\r\nC\r\nD\r\n"), "");
	assert_int_equal(waiter_parked(st.server->waiter), 1);
	while (waiter_parked(st.server->waiter) == 1 && clock_mono() - began < 900 * 1000) {
		usleep(10000);
		stage_run(&st);
		assert_string_equal(client_say(c, ""), "");
	}
	while (clock_mono() - began < CLOCK_SECOND + 200000)
		usleep(10000);
	assert_string_equal(client_say(c, ""), BOGUS BOGUS BOGUS);
	while (clock_mono() - began < 2 * CLOCK_SECOND + 400000)
		usleep(10000);
	assert_string_equal(client_say(c, ""), BOGUS);
	client_free(&c);
}

static void a_parked_session_is_small(void **state)
{
	(void)state;
	enum { N = 500 };
	static struct client *clients[N];
	struct mallinfo2 before = mallinfo2();
	for (int i = 0; i < N; i++) {
		clients[i] = client_new(&st);
		assert_int_equal(strncmp(client_say(clients[i], "EHLO some.client.example\r\n"), "250-", 4), 0);
	}
	struct mallinfo2 after = mallinfo2();
	size_t each = (after.uordblks - before.uordblks) / N - sizeof(struct client);
	print_message("a parked session: %zu bytes\n", each);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their allocators do not count for mallinfo2() */
	assert_true(each < 3000);
#endif
	for (int i = 0; i < N; i++)
		client_free(&clients[i]);
}

static void wake(void *ctx, void *owner, struct wait_entry *entry)
{
	(void)owner;
	waiter_wake_locked(ctx, entry);
}

static void a_retiring_server_sends_clients_home(void **state)
{
	(void)state;
	struct client *idle = client_new(&st), *busy = in_data();
	atomic_store(&st.server->retiring, true);
	waiter_each_parked(st.server->waiter, wake, st.server->waiter);
	/* the idle one is told to come again; the busy one finishes its message */
	assert_string_equal(client_say(idle, ""), "421 4.3.2 mx.test Error: service is being restarted\r\n(closed)");
	assert_int_equal(strncmp(client_say(busy, "\r\nx\r\n.\r\n"), "250 2.0.0 ", 10), 0);
	atomic_store(&st.server->retiring, false);
	client_free(&idle);
	client_free(&busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_stored),
		cmocka_unit_test(a_stored_message_pardons_errors),
		cmocka_unit_test(pipelined_commands_get_one_answer),
		cmocka_unit_test(last_words_are_answered),
		cmocka_unit_test(data_may_come_in_any_pieces),
		cmocka_unit_test(a_lost_message_is_forgotten),
		cmocka_unit_test(errors_park_the_session),
		cmocka_unit_test(a_parked_session_is_small),
		cmocka_unit_test(a_retiring_server_sends_clients_home),
	};
	return cmocka_run_group_tests_name("smtpd/session", tests, setup, teardown);
}
