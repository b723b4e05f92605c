/* SPDX-License-Identifier: Apache-2.0
 * dovecot: handshakes that are none, servers that are slow, silent, or talk rubbish, and many logins on few connections. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "module/answer.h"
#include "module/module.h"
#include "ostler/auth.h"
#include "tests/support/fixture.h"
#include "tests/support/saslpeer.h"

static struct fixture fix;

static int setup(void **state)
{
	(void)state;
	fixture_open(&fix, "", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_close(&fix);
	return 0;
}

static struct mod_instance *open_name(const char *name, struct ost_why *why)
{
	const struct mod_provider *p = mod_find(OST_KIND_AUTH, "dovecot", why);
	assert_non_null(p);
	return mod_open(p, fix.view, name, why);
}

static struct mod_instance *open_for(const struct peer *p)
{
	struct ost_why why = { "" };
	char name[64];
	snprintf(name, sizeof name, "inet:127.0.0.1:%u", (unsigned)peer_port(p));
	struct mod_instance *in = open_name(name, &why);
	assert_string_equal(why.text, "");
	return in;
}

static const struct ost_auth_session about = { .size = sizeof about, .service = "smtp", .server_name = "mx.test", .realm = "",
					       .client_address = "192.0.2.1", .client_port = "1", .server_address = "", .server_port = "",
					       .encrypted = true, .client_cert = "a\tb\nc\001" };

static enum ost_auth log_in(struct mod_instance *in, const char *mechanism, const char *response, int64_t time, struct ost_why *why)
{
	const struct ost_auth_ops *ops = (const struct ost_auth_ops *)mod_ops(in);
	struct arena *a = arena_new();
	struct ost_answer answer = { .arena = a, .why = why };
	void *exchange = NULL;
	int64_t deadline = clock_mono() + time;
	why->text[0] = '\0';
	mod_enter(in, "test", deadline);
	enum ost_auth got = ops->begin(mod_self(in), &about, mechanism, response, deadline, &exchange, &answer);
	mod_leave(in);
	if (exchange)
		ops->end(mod_self(in), exchange);
	arena_destroy(&a);
	return got;
}

static void names(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "unix:", "inet:", "inet:host", "inet::1", "inet:host:" };
	static const char *const good[] = { "private/auth", "unix:private/auth", "/run/x", "unix:/run/x", "inet:localhost:12345", "inet:[::1]:12345" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ost_why why = { "" };
		assert_null(open_name(bad[i], &why));
		assert_string_not_equal(why.text, "");
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct ost_why why = { "" };
		struct mod_instance *in = open_name(good[i], &why);
		assert_string_equal(why.text, "");
		mod_close(&in);
	}
}

static void handshakes(void **state)
{
	(void)state;
	static const struct {
		const char *hello, *why;
	} rows[] = {
		{ "VERSION\t2\t0\nMECH\tPLAIN\nSPID\t1\nDONE\n", "another protocol, or another version" },
		{ "VERSION\nDONE\n", "another protocol, or another version" },
		{ "VERSION\t1\t0\nSPID\t1\nDONE\n", "auth-master instead of auth-client" },
		{ "MECH\tPLAIN\nSPID\t1\nDONE\n", "has not told its version" },
		{ "VERSION\t1\t0\nMECH\n", "another protocol, or another version" },
		{ "VERSION\t1\t0\nMECH\tPLAIN\n", "no answer in time" },
		{ "220 mail.example.org ESMTP\r\n", "no answer in time" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sasl_peer manner = { .hello = rows[i].hello };
		struct ost_why why;
		struct peer *p = peer_start("127.0.0.1", 0, peer_serve_dovecot, &manner);
		struct mod_instance *in = open_for(p);
		int64_t began = clock_mono();
		assert_int_equal(log_in(in, "PLAIN", SASL_PLAIN_RIGHT, CLOCK_SECOND / 4, &why), OST_AUTH_TEMPFAIL);
		if (!strstr(why.text, rows[i].why))
			fail_msg("%s: %s", rows[i].hello, why.text);
		assert_true(clock_mono() - began < 2 * CLOCK_SECOND);
		mod_close(&in);
		peer_stop(&p);
	}
}

/* What a client cannot say in the protocol is not sent, and what is sent is one line. */
static void nothing_is_smuggled_in(void **state)
{
	(void)state;
	char seen[SASL_PEER_SEEN] = "";
	struct sasl_peer manner = { .seen = seen };
	struct ost_why why;
	struct peer *p = peer_start("127.0.0.1", 0, peer_serve_dovecot, &manner);
	struct mod_instance *in = open_for(p);
	assert_int_equal(log_in(in, "PLAIN", "AA==\nAUTH\t9\tPLAIN", CLOCK_SECOND, &why), OST_AUTH_TEMPFAIL);
	assert_int_equal(log_in(in, "PLAIN\tresp=" SASL_PLAIN_RIGHT, "AA==", CLOCK_SECOND, &why), OST_AUTH_TEMPFAIL);
	assert_string_equal(seen, "");
	assert_int_equal(log_in(in, "PLAIN", SASL_PLAIN_RIGHT, CLOCK_SECOND, &why), OST_AUTH_DONE);
	assert_string_equal(seen, "AUTH\t1\tPLAIN\tservice=smtp\tnologin\trip=192.0.2.1\trport=1\tsecured\tvalid-client-cert\t"
				  "cert_username=a\001tb\001nc\0011\tresp=" SASL_PLAIN_RIGHT "\n");
	mod_close(&in);
	peer_stop(&p);
}

static void rubbish(void **state)
{
	(void)state;
	static const char *const answers[] = { "OK\n", "OK\tx\tuser=a\n", "OK\t%s\n", "CONT\t%s\n", "OK\t99999999999\tuser=a\n", "\n\n\n", "OK\t%s0\tuser=a\n",
					       "FAIL\t%s\ttemp\tuser=known\n" };
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct sasl_peer manner = { .answer = answers[i] };
		struct ost_why why;
		struct peer *p = peer_start("127.0.0.1", 0, peer_serve_dovecot, &manner);
		struct mod_instance *in = open_for(p);
		assert_int_equal(log_in(in, "PLAIN", SASL_PLAIN_RIGHT, CLOCK_SECOND / 4, &why), OST_AUTH_TEMPFAIL);
		mod_close(&in);
		peer_stop(&p);
	}
}

static void *wrong_password(void *arg)
{
	struct ost_why why;
	return (void *)(uintptr_t)(log_in(arg, "PLAIN", SASL_PLAIN_WRONG, 5 * CLOCK_SECOND, &why) != OST_AUTH_FAILED);
}

/* A long line of a server is one that it has no end. */
static void serve_endless(void *ctx, int fd)
{
	static const char hello[] = "VERSION\t1\t1\nMECH\tPLAIN\nSPID\t1\nDONE\n";
	char text[1000];
	(void)ctx;
	memset(text, 'x', sizeof text);
	(void)peer_write(fd, hello, sizeof hello - 1);
	for (int i = 0; i < 1000 && peer_write(fd, text, sizeof text); i++)
		;
}

static void a_line_without_end_is_cut_off(void **state)
{
	(void)state;
	struct ost_why why;
	struct peer *p = peer_start("127.0.0.1", 0, serve_endless, NULL);
	struct mod_instance *in = open_for(p);
	int64_t began = clock_mono();
	assert_int_equal(log_in(in, "PLAIN", SASL_PLAIN_RIGHT, 5 * CLOCK_SECOND, &why), OST_AUTH_TEMPFAIL);
	assert_true(clock_mono() - began < 4 * CLOCK_SECOND);
	mod_close(&in);
	peer_stop(&p);
}

/* Some wait for a refusal that comes late; nobody gets the answer of another. */
static void refusals_that_come_late(void **state)
{
	enum { THREADS = 12 };
	(void)state;
	struct sasl_peer manner = { .pause_ms = 50 };
	pthread_t threads[THREADS];
	struct peer *p = peer_start("127.0.0.1", 0, peer_serve_dovecot, &manner);
	struct mod_instance *in = open_for(p);
	struct ost_why why;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wrong_password, in), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(log_in(in, "PLAIN", SASL_PLAIN_RIGHT, 5 * CLOCK_SECOND, &why), OST_AUTH_DONE);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	assert_true(peer_accepted(p) <= 4);
	mod_close(&in);
	peer_stop(&p);
}

/* Who has guessed often waits longer than we do: the server is not to blame, and is asked on. */
static void a_pause_that_is_too_long_is_no_failure(void **state)
{
	(void)state;
	struct sasl_peer manner = { .pause_ms = 300 };
	struct peer *p = peer_start("127.0.0.1", 0, peer_serve_dovecot, &manner);
	struct mod_instance *in = open_for(p);
	struct ost_why why;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(log_in(in, "PLAIN", SASL_PLAIN_WRONG, CLOCK_SECOND / 10, &why), OST_AUTH_TEMPFAIL);
		assert_string_equal(why.text, "no answer in time");
		assert_int_equal(log_in(in, "PLAIN", SASL_PLAIN_RIGHT, 5 * CLOCK_SECOND, &why), OST_AUTH_DONE);
	}
	mod_close(&in);
	peer_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(handshakes),
		cmocka_unit_test(nothing_is_smuggled_in),
		cmocka_unit_test(rubbish),
		cmocka_unit_test(a_line_without_end_is_cut_off),
		cmocka_unit_test(refusals_that_come_late),
		cmocka_unit_test(a_pause_that_is_too_long_is_no_failure),
	};
	return cmocka_run_group_tests_name("dovecot", tests, setup, teardown);
}
