/* SPDX-License-Identifier: Apache-2.0
 * check_policy_service: what goes over the wire, what becomes of each kind of answer, and servers that are slow, rude or dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "module/hosts.h"
#include "module/module.h"
#include "tests/support/fixture.h"
#include "tests/support/peer.h"

struct ost_session {
	const char *sender;
	char told[2600]; /* "action|kind|object" */
};

static const char *session_field(const struct ost_session *s, const char *name)
{
	const struct {
		const char *name, *value;
	} fields[] = {
		{ "protocol_state", "RCPT" },	     { "client_address", "192.0.2.1" },	   { "sender", s->sender },
		{ "checked_object", "b@example.net" }, { "checked_kind", "Recipient address" }, { "size", "12345" },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].value;
	return NULL;
}

static void reply(struct ost_session *s, int code, const char *dsn, const char *text)
{
	(void)s;
	fail_msg("reply %d %s %s", code, dsn, text);
}

static enum ost_verdict access_action(struct ost_session *s, const char *action, const char *kind, const char *object)
{
	snprintf(s->told, sizeof s->told, "%s|%s|%s", action, kind, object);
	return OST_DUNNO;
}

static const struct mod_session_ops session_ops = { .session_field = session_field, .reply = reply, .access_action = access_action };
static struct fixture fix;
static struct mod_instance *in;

static int setup(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	fixture_open(&fix, "smtpd_policy_service_try_limit = 1\nmail_version = 1.2.3\ncompatibility_level = 3.6\n", NULL);
	fixture_log(&fix);
	mod_host_set_session(&session_ops);
	const struct mod_provider *p = mod_find(OST_KIND_CHECK, "policy", &why);
	in = p ? mod_open(p, fix.view, "smtpd", &why) : NULL;
	return in ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mod_close(&in);
	fixture_close(&fix);
	return 0;
}

static const struct ost_check_ops *ops(void)
{
	return (const struct ost_check_ops *)mod_ops(in);
}

/* ---- servers ------------------------------------------------------------------------------------------------------- */

enum manner { ANSWER, ONE_EACH, SILENT, SLOW, ENDLESS, CLOSE };

struct server {
	enum manner manner;
	const char *reply;
	char asked[8192]; /* the last question */
};

static bool read_question(int fd, char *out, size_t size)
{
	size_t at = 0;
	for (size_t n; (n = peer_read_to(fd, '\n', out + at, size - at)) > 0; at += n)
		if (n == 1)
			return true;
	return false;
}

static void serve(void *ctx, int fd)
{
	struct server *s = ctx;
	while (read_question(fd, s->asked, sizeof s->asked)) {
		bool ok = s->manner != CLOSE;
		for (const char *p = s->reply; s->manner == SLOW && ok && *p; p++) {
			usleep(20000);
			ok = peer_write(fd, p, 1);
		}
		while (s->manner == ENDLESS && ok)
			ok = peer_write(fd, s->reply, strlen(s->reply));
		if (s->manner == ANSWER || s->manner == ONE_EACH)
			ok = peer_write(fd, s->reply, strlen(s->reply)) && s->manner == ANSWER;
		if (!ok)
			return;
	}
}

static void *prepare(const char *argument)
{
	const char *const argv[] = { argument, NULL };
	struct ost_why why = { "" };
	void *prepared = NULL;
	if (!ops()->prepare(mod_self(in), "check_policy_service", argv, &prepared, &why))
		fail_msg("%s: %s", argument, why.text);
	return prepared;
}

static void run(void *prepared, struct ost_session *session)
{
	mod_enter(in, "run", CLOCK_NEVER);
	ops()->run(mod_self(in), NULL, prepared, OST_STAGE_RCPT, session);
	mod_leave(in);
}

/* Asks once; what the core was told. */
static const char *ask(enum manner manner, const char *answer, const char *more)
{
	static struct ost_session session;
	struct server server = { .manner = manner, .reply = answer };
	struct peer *peer = peer_start("127.0.0.1", 0, serve, &server);
	char argument[200];
	snprintf(argument, sizeof argument, "inet:127.0.0.1:%u, %s", (unsigned)peer_port(peer), more);
	void *prepared = prepare(argument);
	session = (struct ost_session){ .sender = "a@example.org" };
	run(prepared, &session);
	ops()->unprepare(mod_self(in), prepared);
	peer_stop(&peer);
	return session.told;
}

#define FAILED "451 4.3.5 Server configuration problem|Recipient address|b@example.net"

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void answers_are_done(void **state)
{
	(void)state;
	static const struct {
		const char *reply, *told; /* told NULL: the default action */
	} rows[] = {
		{ "action=DUNNO\n\n", "DUNNO" },
		{ "action=550 5.7.23 no\n\n", "550 5.7.23 no" },
		{ "action=  reject  x \n\n", "reject  x " },
		{ "action=DUNNO\r\n\r\n", "DUNNO" },
		{ "other=x\naction=OK\nmore=y\n\n", "OK" },
		{ "action=one\naction=two\n\n", "one" },
		{ "action=gr\xc3\xbc\xc3\x9f dich\n\n", "gr\xc3\xbc\xc3\x9f dich" },
		{ "action=b\xe4\n\n", NULL },
		{ "action=\n\n", NULL },
		{ "\n", NULL },
		{ "other=x\n\n", NULL },
		{ "no attribute\n\n", NULL },
		{ "=x\naction=OK\n\n", NULL },
		{ "ACTION=OK\n\n", NULL },
		{ "220 mail.example.org ESMTP\r\n", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char want[200];
		snprintf(want, sizeof want, "%s|Recipient address|b@example.net", rows[i].told ? rows[i].told : "");
		assert_string_equal(ask(ANSWER, rows[i].reply, "timeout=10s"), rows[i].told ? want : FAILED);
	}
	assert_true(fixture_logged(&fix, "warning: problem talking to server 127.0.0.1:"));
	assert_true(fixture_logged(&fix, "missing attribute action in the reply"));
}

static void rude_servers_do_not_hold_anybody(void **state)
{
	(void)state;
	static char long_line[6000];
	memset(long_line, 'x', sizeof long_line - 1);
	static const struct {
		enum manner manner;
		const char *reply;
	} rows[] = {
		{ SILENT, "" }, { CLOSE, "" }, { ENDLESS, "a=b\n" }, { ENDLESS, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
		{ SLOW, "action=DUNNO this takes longer than there is time for it, which is one second and not a bit more\n\n" },
		{ ANSWER, long_line },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t start = clock_mono();
		assert_string_equal(ask(rows[i].manner, rows[i].reply, "timeout=1s"), FAILED);
		assert_true(clock_mono() - start < 5 * CLOCK_SECOND);
	}
}

static void the_question_has_all_attributes(void **state)
{
	(void)state;
	static const char want[] =
		"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=\nclient_address=192.0.2.1\nclient_name=\n"
		"client_port=\nreverse_client_name=\nserver_address=\nserver_port=\nhelo_name=\nsender=a?b@example.org\n"
		"recipient=\nrecipient_count=0\nqueue_id=\ninstance=\nsize=12345\netrn_domain=\nstress=\nsasl_method=\n"
		"sasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\n"
		"encryption_protocol=\nencryption_cipher=\nencryption_keysize=0\npolicy_context=the context\n"
		"compatibility_level=3.6\nmail_version=1.2.3\n\n";
	struct server server = { .manner = ANSWER, .reply = "action=DUNNO\n\n" };
	struct ost_session session = { .sender = "a\nb@example.org" };
	char path[128], argument[300];
	snprintf(path, sizeof path, "%s/socket", fix.dir);
	struct peer *peer = peer_start(path, 0, serve, &server);
	snprintf(argument, sizeof argument, "unix:%s, { policy_context = the context }", path);
	void *prepared = prepare(argument);
	run(prepared, &session);
	assert_string_equal(server.asked, want);
	ops()->unprepare(mod_self(in), prepared);
	peer_stop(&peer);
}

/* How many connections a hundred questions take. */
static size_t connections(enum manner manner, const char *more)
{
	struct server server = { .manner = manner, .reply = "action=DUNNO\n\n" };
	struct peer *peer = peer_start("127.0.0.1", 0, serve, &server);
	char argument[200];
	snprintf(argument, sizeof argument, "inet:[127.0.0.1]:%u %s", (unsigned)peer_port(peer), more);
	void *prepared = prepare(argument);
	for (int i = 0; i < 100; i++) {
		struct ost_session session = { .sender = "" };
		run(prepared, &session);
		assert_string_equal(session.told, "DUNNO|Recipient address|b@example.net");
		usleep(manner == ONE_EACH ? 2000 : 0); /* what was closed is seen to be */
	}
	size_t n = peer_accepted(peer);
	ops()->unprepare(mod_self(in), prepared);
	peer_stop(&peer);
	return n;
}

static void connections_are_kept(void **state)
{
	(void)state;
	assert_int_equal(connections(ANSWER, ""), 1);
	assert_int_equal(connections(ANSWER, "request_limit=10"), 10);
	assert_int_equal(connections(ONE_EACH, "try_limit=3"), 100);
}

static void a_server_that_is_not_there(void **state)
{
	(void)state;
	static const struct {
		const char *argument, *told;
	} rows[] = {
		{ "unix:/nonexistent/socket", FAILED },
		{ "unix:private/nonexistent", FAILED },
		{ "inet:127.0.0.1:1", FAILED },
		{ "inet:1", FAILED },
		{ "inet:127.0.0.1:1 default_action=DUNNO", "DUNNO|Recipient address|b@example.net" },
		{ "inet:127.0.0.1:1, { default_action = 450 4.7.1 later }", "450 4.7.1 later|Recipient address|b@example.net" },
		{ "inet:127.0.0.1:1, try_limit=2 retry_delay=1s", FAILED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ost_session session = { .sender = "" };
		void *prepared = prepare(rows[i].argument);
		run(prepared, &session);
		assert_string_equal(session.told, rows[i].told);
		ops()->unprepare(mod_self(in), prepared);
	}
	assert_true(fixture_logged(&fix, "warning: problem talking to server private/nonexistent: "));
}

static void mistakes_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *argument, *why;
	} rows[] = {
		{ "", "a policy server is missing" },
		{ "host:25", "no policy server: \"host:25\"" },
		{ "unix:", "no policy server" },
		{ "inet:", "no policy server" },
		{ "inet::25", "no policy server" },
		{ "inet:host:", "no policy server" },
		{ "inet:::1:25", "no policy server" },
		{ "inet:x:1 timeout", "missing '=' after attribute name" },
		{ "inet:x:1 timeout=0", "bad value for attribute timeout" },
		{ "inet:x:1 timeout=1x", "bad value for attribute timeout" },
		{ "inet:x:1 try_limit=0", "bad value for attribute try_limit" },
		{ "inet:x:1 try_limit=99999999999999999999", "bad value for attribute try_limit" },
		{ "inet:x:1 colour=red", "unknown attribute: \"colour\"" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const argv[] = { rows[i].argument, NULL };
		struct ost_why why = { "" };
		void *prepared;
		assert_false(ops()->prepare(mod_self(in), "check_policy_service", argv, &prepared, &why));
		if (!strstr(why.text, rows[i].why))
			fail_msg("%s: %s", rows[i].argument, why.text);
	}
}

static void the_longest_is_what_the_attempts_may_take(void **state)
{
	(void)state;
	void *prepared = prepare("inet:127.0.0.1:1, timeout=2m, try_limit=3, retry_delay=5s");
	assert_in_range(ops()->longest(mod_self(in), prepared), 375 * CLOCK_SECOND, 380 * CLOCK_SECOND);
	ops()->unprepare(mod_self(in), prepared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_done),
		cmocka_unit_test(rude_servers_do_not_hold_anybody),
		cmocka_unit_test(the_question_has_all_attributes),
		cmocka_unit_test(connections_are_kept),
		cmocka_unit_test(a_server_that_is_not_there),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(the_longest_is_what_the_attempts_may_take),
	};
	return cmocka_run_group_tests_name("policy", tests, setup, teardown);
}
