/* SPDX-License-Identifier: Apache-2.0
 * What every check module must do. The SMTP session is one of the test's own: some know nothing, some are hostile. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "module/hosts.h"
#include "module/module.h"
#include "tests/support/fixture.h"
#include "tests/support/peer.h"

/* One restriction: how it is written well, how badly, and what it may be asked. A new check module adds its lines. */
struct check_case {
	const char *module, *restriction;
	const char *good;    /* an argument that decides nothing for unknown clients */
	const char *rejects; /* one that rejects all that it is asked about, when the session knows it */
	const char *failing; /* one whose back end fails; NULL: cannot fail */
};
static struct check_case cases[] = {
	{ "dnsbl", "reject_rbl_client", "clean.test", "listed.test", NULL },
	{ "dnsbl", "reject_rhsbl_sender", "clean.test", "listed.test=127.0.0.[2..5]", NULL },
	{ "dnsbl", "reject_dnsbl_score", "listed.test*2 clean.test threshold=3", "listed.test*2 threshold=2", NULL },
	{ "access", "check_client_access", "inline:{x=REJECT}", "static:REJECT", "hash:/nonexistent/x" },
	{ "access", "check_helo_access", "inline:{x=REJECT}", "static:REJECT", "hash:/nonexistent/x" },
	{ "access", "check_sender_access", "inline:{x=REJECT}", "static:REJECT", "hash:/nonexistent/x" },
	{ "access", "check_recipient_access", "inline:{x=REJECT}", "static:REJECT", "hash:/nonexistent/x" },
	{ "policy", "check_policy_service", NULL, NULL, "unix:/nonexistent/socket, try_limit=1" }, /* main() names servers */
};

/* ---- sessions ------------------------------------------------------------------------------------------------------ */

struct ost_session {
	const char *(*field)(const char *name); /* what it knows */
	bool replied;                           /* somebody set a reply, or gave an action that does */
};

static const char *knows_nothing(const char *name)
{
	(void)name;
	return NULL;
}

static const char *empty(const char *name)
{
	(void)name;
	return "";
}

static const char *ordinary(const char *name)
{
	static const char *const fields[][2] = {
		{ "client_name", "mail.example.org" }, { "client_address", "192.0.2.1" }, { "helo_name", "mail.example.org" },
		{ "sender", "someone@example.org" },   { "recipient", "other@example.net" },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i][0], name) == 0)
			return fields[i][1];
	return NULL;
}

static const char *hostile(const char *name)
{
	(void)name;
	return "' or 1=1; -- \xff\xfe\n\r\x1b[2J%s%n@...@[IPv6:::::]..";
}

static const char *huge(const char *name)
{
	static char text[65536]; /* written once, before the threads */
	(void)name;
	if (!text[0])
		memset(text, 'a', sizeof text - 1);
	return text;
}

static const char *session_field(const struct ost_session *session, const char *name)
{
	assert_non_null(name);
	return session->field(name);
}

static void reply(struct ost_session *session, int code, const char *dsn, const char *text)
{
	assert_in_range(code, 400, 599);
	assert_non_null(dsn);
	assert_int_equal(dsn[0], '0' + code / 100);
	assert_non_null(text);
	assert_null(strpbrk(text, "\r\n"));
	session->replied = true;
}

static enum ost_verdict access_action(struct ost_session *session, const char *action, const char *kind, const char *object)
{
	assert_non_null(action);
	assert_non_null(kind);
	assert_non_null(object);
	session->replied = true;
	return strcmp(action, "DUNNO") == 0	      ? OST_DUNNO
	       : strncmp(action, "REJECT", 6) == 0 ? OST_REJECT
	       : action[0] == '4'		      ? OST_DEFER
						      : OST_CHECK_FAILED;
}

/* All names below listed.test are known. */
static void dns(struct ost_session *session, struct ost_dns_question *list, size_t n)
{
	static const char *const addresses[] = { "127.0.0.2" };
	static const char end[] = ".listed.test";
	(void)session;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list[i].name);
		bool known = len > sizeof end && strcmp(list[i].name + len - (sizeof end - 1), end) == 0;
		list[i].outcome = known && list[i].type == OST_RECORD_A ? OST_DNS_OK : OST_DNS_NOTFOUND;
		list[i].texts = addresses;
		list[i].count = list[i].outcome == OST_DNS_OK;
	}
}

static const struct mod_session_ops session_ops = { .session_field = session_field, .reply = reply, .access_action = access_action,
						    .dns = dns, .reply_whole = reply };

/* A policy server: *ctx is what it says to questions with a recipient. Lines may be of any length: their beginnings count. */
static void serve_policy(void *ctx, int fd)
{
	static const char word[] = "recipient=";
	char block[4096], line[sizeof word + 1] = "";
	size_t at = 0;
	bool known = false, ok = true;
	for (ssize_t n; ok && (n = recv(fd, block, sizeof block, 0)) > 0;) {
		for (ssize_t i = 0; ok && i < n; i++) {
			if (block[i] != '\n') {
				at += at + 1 < sizeof line ? (line[at] = block[i], 1) : 0;
				continue;
			}
			known = known || (at == sizeof line - 1 && strncmp(line, word, sizeof word - 1) == 0);
			const char *answer = known ? ctx : "action=DUNNO\n\n";
			ok = at > 0 || peer_write(fd, answer, strlen(answer));
			known = known && at > 0;
			at = 0;
		}
	}
}

/* ---- the module ---------------------------------------------------------------------------------------------------- */

static struct fixture fix;
static const struct check_case *tc; /* tests run one after the other */

static struct mod_instance *open_module(void)
{
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_CHECK, tc->module, &why);
	assert_string_equal(why.text, "");
	struct mod_instance *in = mod_open(p, fix.view, tc->module, &why);
	assert_string_equal(why.text, "");
	return in;
}

static const struct ost_check_ops *ops_of(struct mod_instance *in)
{
	return (const struct ost_check_ops *)mod_ops(in);
}

static void *prepare(struct mod_instance *in, const char *argument)
{
	const char *const argv[] = { argument, NULL };
	struct ost_why why = { "" };
	void *prepared = NULL;
	mod_enter(in, "prepare", CLOCK_NEVER);
	bool ok = ops_of(in)->prepare(mod_self(in), tc->restriction, argv, &prepared, &why);
	mod_leave(in);
	if (!ok)
		fail_msg("%s %s: %s", tc->restriction, argument, why.text);
	return prepared;
}

static void unprepare(struct mod_instance *in, void *prepared)
{
	if (ops_of(in)->unprepare)
		ops_of(in)->unprepare(mod_self(in), prepared);
}

/* A verdict that is one, and a reply where it needs one. */
static enum ost_verdict run(struct mod_instance *in, void *prepared, struct ost_session *session)
{
	session->replied = false;
	mod_enter(in, "run", CLOCK_NEVER);
	enum ost_verdict v = ops_of(in)->run(mod_self(in), NULL, prepared, OST_STAGE_RCPT, session);
	mod_leave(in);
	assert_in_range(v, OST_DUNNO, OST_CHECK_FAILED);
	if (v == OST_REJECT || v == OST_DEFER)
		assert_true(session->replied);
	return v;
}

/* ---- the suite ------------------------------------------------------------------------------------------------------ */

static void its_restrictions_are_declared(void **state)
{
	tc = *state;
	struct mod_instance *in = open_module();
	const struct ost_restriction *r = ops_of(in)->restrictions;
	bool declared = false;
	assert_non_null(r);
	for (; r->name; r++) {
		assert_non_null(r->help);
		assert_true(r->stages != 0);
		declared = declared || strcmp(r->name, tc->restriction) == 0;
	}
	assert_true(declared);
	mod_close(&in);
}

static void bad_arguments_are_refused_at_the_start(void **state)
{
	static const char *const bad[] = { "", " , " };
	tc = *state;
	struct mod_instance *in = open_module();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *const argv[] = { bad[i], NULL };
		struct ost_why why = { "" };
		void *prepared = NULL;
		assert_false(ops_of(in)->prepare(mod_self(in), tc->restriction, argv, &prepared, &why));
		assert_string_not_equal(why.text, "");
	}
	mod_close(&in);
}

static void what_is_not_known_is_not_decided(void **state)
{
	tc = *state;
	struct mod_instance *in = open_module();
	struct ost_session nothing = { .field = knows_nothing };
	void *good = prepare(in, tc->good), *rejects = prepare(in, tc->rejects);
	assert_int_equal(run(in, good, &nothing), OST_DUNNO);
	assert_int_equal(run(in, rejects, &nothing), OST_DUNNO);
	unprepare(in, good);
	unprepare(in, rejects);
	mod_close(&in);
}

static void ordinary_sessions_are_decided(void **state)
{
	tc = *state;
	struct mod_instance *in = open_module();
	struct ost_session session = { .field = ordinary };
	void *good = prepare(in, tc->good), *rejects = prepare(in, tc->rejects);
	assert_int_equal(run(in, good, &session), OST_DUNNO);
	assert_int_equal(run(in, rejects, &session), OST_REJECT);
	unprepare(in, good);
	unprepare(in, rejects);
	mod_close(&in);
}

static void a_failing_back_end_never_permits(void **state)
{
	tc = *state;
	if (!tc->failing)
		return;
	struct mod_instance *in = open_module();
	struct ost_session session = { .field = ordinary };
	void *failing = prepare(in, tc->failing);
	enum ost_verdict v = run(in, failing, &session);
	assert_true(v == OST_DEFER || v == OST_CHECK_FAILED);
	unprepare(in, failing);
	mod_close(&in);
}

static void hostile_sessions_do_no_harm(void **state)
{
	tc = *state;
	struct mod_instance *in = open_module();
	void *good = prepare(in, tc->good), *rejects = prepare(in, tc->rejects);
	const char *(*const fields[])(const char *) = { hostile, huge, empty };
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct ost_session session = { .field = fields[i] };
		assert_int_equal(run(in, good, &session), OST_DUNNO);
		run(in, rejects, &session);
	}
	unprepare(in, good);
	unprepare(in, rejects);
	mod_close(&in);
}

struct threaded {
	struct mod_instance *in;
	void *good, *rejects;
};

static void *run_often(void *arg)
{
	const struct threaded *t = arg;
	uintptr_t wrong = 0;
	for (int i = 0; i < 200; i++) {
		struct ost_session a = { .field = ordinary }, b = { .field = hostile };
		wrong += ops_of(t->in)->run(mod_self(t->in), NULL, t->good, OST_STAGE_RCPT, &a) != OST_DUNNO;
		wrong += ops_of(t->in)->run(mod_self(t->in), NULL, t->rejects, OST_STAGE_RCPT, &a) != OST_REJECT;
		wrong += ops_of(t->in)->run(mod_self(t->in), NULL, t->good, OST_STAGE_RCPT, &b) != OST_DUNNO;
	}
	return (void *)wrong;
}

static void many_threads_ask_at_once(void **state)
{
	enum { THREADS = 8 };
	tc = *state;
	pthread_t threads[THREADS];
	struct threaded t = { .in = open_module() };
	t.good = prepare(t.in, tc->good);
	t.rejects = prepare(t.in, tc->rejects);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_often, &t), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	unprepare(t.in, t.good);
	unprepare(t.in, t.rejects);
	mod_close(&t.in);
}

int main(void)
{
	static const struct CMUnitTest suite[] = {
		cmocka_unit_test(its_restrictions_are_declared),
		cmocka_unit_test(bad_arguments_are_refused_at_the_start),
		cmocka_unit_test(what_is_not_known_is_not_decided),
		cmocka_unit_test(ordinary_sessions_are_decided),
		cmocka_unit_test(a_failing_back_end_never_permits),
		cmocka_unit_test(hostile_sessions_do_no_harm),
		cmocka_unit_test(many_threads_ask_at_once),
	};
	enum { TESTS = sizeof suite / sizeof *suite, CASES = sizeof cases / sizeof *cases };
	static struct CMUnitTest tests[CASES * TESTS];
	size_t n = 0;
	fixture_open(&fix, "", NULL);
	mod_host_set_session(&session_ops);
	huge("");
	static char dunno[] = "action=DUNNO\n\n", reject[] = "action=REJECT\n\n";
	struct peer *good = peer_start("127.0.0.1", 0, serve_policy, dunno);
	struct peer *rejects = peer_start("127.0.0.1", 0, serve_policy, reject);
	cases[CASES - 1].good = mem_printf("inet:127.0.0.1:%u", (unsigned)peer_port(good));
	cases[CASES - 1].rejects = mem_printf("inet:127.0.0.1:%u", (unsigned)peer_port(rejects));
	for (size_t i = 0; i < CASES; i++) {
		struct ost_why why;
		if (!mod_find(OST_KIND_CHECK, cases[i].module, &why))
			fprintf(stderr, "# %s is not built: %s\n", cases[i].module, why.text);
		else
			for (size_t k = 0; k < TESTS; k++) {
				tests[n] = suite[k];
				tests[n].name = mem_printf("%s: %s", cases[i].restriction, suite[k].name);
				tests[n++].initial_state = &cases[i];
			}
	}
	int failures = _cmocka_run_group_tests("checks", tests, n, NULL, NULL);
	peer_stop(&good);
	peer_stop(&rejects);
	fixture_close(&fix);
	return failures;
}
