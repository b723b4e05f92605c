/* SPDX-License-Identifier: Apache-2.0
 * Lists in the DNS: how they are written and asked, what their answers lead to, and that they are asked at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "module/hosts.h"
#include "module/module.h"
#include "tests/support/fixture.h"

struct ost_session {
	const char *client_address, *client_name, *sender, *recipient, *authorized;
	char told[800]; /* "554 5.7.1 text", or the action */
	size_t rounds, questions;
};

static const char *session_field(const struct ost_session *s, const char *name)
{
	const struct {
		const char *name, *value;
	} fields[] = {
		{ "client_address", s->client_address }, { "client_name", s->client_name },
		{ "sender", s->sender },		 { "recipient", s->recipient },
		{ "recipient_authorized", s->authorized },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].value;
	return NULL;
}

static void reply(struct ost_session *s, int code, const char *dsn, const char *text)
{
	snprintf(s->told, sizeof s->told, "%d %s %s", code, dsn, text);
}

static enum ost_verdict access_action(struct ost_session *s, const char *action, const char *kind, const char *object)
{
	snprintf(s->told, sizeof s->told, "%s|%s|%s", action, kind, object);
	return OST_DUNNO;
}

static const struct {
	const char *name;
	enum ost_record type;
	const char *texts[4];
} zone[] = {
	{ "2.2.0.192.bl.test", OST_RECORD_A, { "127.0.0.2", "127.0.0.9" } },
	{ "2.2.0.192.bl.test", OST_RECORD_TXT, { "see http://bl.test/", "and more\x07" } },
	{ "2.2.0.192.other.test", OST_RECORD_A, { "127.0.0.4" } },
	{ "2.2.0.192.odd.test", OST_RECORD_A, { "127.0.0.4" } },
	{ "2.2.0.192.gone.test", OST_RECORD_A, { "203.0.113.80" } },
	{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test", OST_RECORD_A, { "127.0.0.2" } },
	{ "bad.example.dbl.test", OST_RECORD_A, { "127.0.1.2" } },
};

static void dns(struct ost_session *s, struct ost_dns_question *list, size_t n)
{
	s->rounds++;
	s->questions += n;
	for (size_t i = 0; i < n; i++) {
		list[i].outcome = strstr(list[i].name, "slow.test") ? OST_DNS_TEMPFAIL : OST_DNS_NOTFOUND;
		list[i].count = 0;
		for (size_t k = 0; k < sizeof zone / sizeof *zone; k++) {
			if (zone[k].type != list[i].type || strcmp(zone[k].name, list[i].name) != 0)
				continue;
			list[i].outcome = OST_DNS_OK;
			list[i].texts = zone[k].texts;
			while (zone[k].texts[list[i].count])
				list[i].count++;
		}
	}
}

static const struct mod_session_ops session_ops = {
	.session_field = session_field, .reply = reply, .access_action = access_action, .dns = dns, .reply_whole = reply,
};
static struct fixture fix;
static struct mod_instance *in;

static int setup(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	fixture_open(&fix,
		     "maps_rbl_domains = clean.test, bl.test\n"
		     "rbl_reply_maps = inline:{ {other.test = 450 4.7.9 $$rbl_what: $$rbl_domain $${rbl_reason?{why}:{no reason}} $$$$} "
		     "{dbl.test = $$sender_name at $$sender_domain} {odd.test = 550 $${nonsense} } }\n",
		     NULL);
	fixture_log(&fix);
	mod_host_set_session(&session_ops);
	const struct mod_provider *p = mod_find(OST_KIND_CHECK, "dnsbl", &why);
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

static void *prepare(const char *restriction, const char *argument)
{
	const char *const argv[] = { argument, NULL };
	struct ost_why why = { "" };
	void *prepared = NULL;
	if (!ops()->prepare(mod_self(in), restriction, argv, &prepared, &why))
		fail_msg("%s %s: %s", restriction, argument, why.text);
	return prepared;
}

static enum ost_verdict run(void *state, void *prepared, struct ost_session *session)
{
	mod_enter(in, "run", CLOCK_NEVER);
	enum ost_verdict v = ops()->run(mod_self(in), state, prepared, OST_STAGE_RCPT, session);
	mod_leave(in);
	return v;
}

#define BL "Service unavailable; Client host [192.0.2.2] blocked using bl.test; see http://bl.test/ / and more_"

static void what_is_listed_is_refused(void **state)
{
	(void)state;
	static const struct ost_session listed = { .client_address = "192.0.2.2", .client_name = "unknown",
						   .sender = "joe@bad.example", .recipient = "x@y", .authorized = "yes" };
	static const struct {
		const char *restriction, *argument;
		enum ost_verdict verdict;
		const char *told;
	} rows[] = {
		{ "reject_rbl_client", "clean.test", OST_DUNNO, "" },
		{ "reject_rbl_client", "bl.test", OST_REJECT, "554 5.7.1 " BL },
		{ "reject_rbl", "bl.test", OST_REJECT, "554 5.7.1 " BL },
		{ "reject_maps_rbl", NULL, OST_REJECT, "554 5.7.1 " BL },
		{ "reject_rbl_client", "bl.test=127.0.0.3", OST_DUNNO, "" },
		{ "reject_rbl_client", "bl.test=127.0.0.[3..8]", OST_DUNNO, "" },
		{ "reject_rbl_client", "bl.test=127.0.0.9", OST_REJECT,
		  "554 5.7.1 Service unavailable; Client host [192.0.2.2] blocked using bl.test=127.0.0.9; "
		  "see http://bl.test/ / and more_" },
		{ "reject_rbl_client", "other.test=127.0.0.[0;4]", OST_REJECT,
		  "450 4.7.9 192.0.2.2: other.test=127.0.0.[0;4] no reason $" },
		{ "reject_rbl_client", "odd.test", OST_REJECT,
		  "554 5.7.1 Service unavailable; Client host [192.0.2.2] blocked using odd.test" },
		{ "reject_rbl_client", "gone.test", OST_DUNNO, "" },
		{ "reject_rbl_client", "slow.test", OST_DUNNO, "" },
		{ "reject_rhsbl_client", "bl.test", OST_DUNNO, "" },
		{ "reject_rhsbl_sender", "dbl.test", OST_REJECT, "554 5.7.1 joe at bad.example" },
		{ "permit_dnswl_client", "bl.test", OST_PERMIT, "" },
		{ "permit_dnswl_client", "clean.test", OST_DUNNO, "" },
		{ "permit_dnswl_client", "gone.test", OST_DUNNO, "" },
		{ "permit_dnswl_client", "slow.test", OST_DUNNO, "DEFER_IF_REJECT|Client host|192.0.2.2" },
		{ "reject_dnsbl_score", "bl.test other.test threshold=3", OST_DUNNO, "" },
		{ "reject_dnsbl_score", "bl.test*2 other.test threshold=3", OST_REJECT, "554 5.7.1 " BL },
		{ "reject_dnsbl_score", "bl.test*3, other.test*-1, threshold=3", OST_DUNNO, "" },
		{ "reject_dnsbl_score", "slow.test*9 gone.test*9 clean.test*9", OST_DUNNO, "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ost_session s = listed;
		void *prepared = prepare(rows[i].restriction, rows[i].argument);
		enum ost_verdict v = run(NULL, prepared, &s);
		if (v != rows[i].verdict || strcmp(s.told, rows[i].told) != 0)
			fail_msg("%s %s: %d %s", rows[i].restriction, rows[i].argument ? rows[i].argument : "", v, s.told);
		ops()->unprepare(mod_self(in), prepared);
	}
	assert_true(fixture_logged(&fix, "2.2.0.192.gone.test: ignored, as no list answers so: 203.0.113.80"));
	assert_true(fixture_logged(&fix, "2.2.0.192.slow.test: RBL lookup error"));
	assert_true(fixture_logged(&fix, "bad reply template"));
}

static void permission_is_not_for_relaying(void **state)
{
	(void)state;
	struct ost_session s = { .client_address = "192.0.2.2", .recipient = "x@elsewhere.example" };
	void *prepared = prepare("permit_dnswl_client", "bl.test");
	assert_int_equal(run(NULL, prepared, &s), OST_DUNNO);
	s.recipient = NULL;
	assert_int_equal(run(NULL, prepared, &s), OST_PERMIT);
	ops()->unprepare(mod_self(in), prepared);
}

static void ipv6_is_asked_by_nibbles(void **state)
{
	(void)state;
	struct ost_session s = { .client_address = "2001:db8::1" }, odd = { .client_address = "no address" };
	void *prepared = prepare("reject_rbl_client", "bl.test");
	assert_int_equal(run(NULL, prepared, &s), OST_REJECT);
	assert_int_equal(run(NULL, prepared, &odd), OST_DUNNO);
	ops()->unprepare(mod_self(in), prepared);
}

static void literals_and_unknown_names_are_not_asked_for(void **state)
{
	(void)state;
	static const char *const senders[] = { "", "joe@", "joe@[192.0.2.2]", NULL };
	void *prepared = prepare("reject_rhsbl_sender", "dbl.test");
	for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
		struct ost_session s = { .sender = senders[i] };
		assert_int_equal(run(NULL, prepared, &s), OST_DUNNO);
		assert_int_equal(s.questions, 0);
	}
	ops()->unprepare(mod_self(in), prepared);
}

static void all_lists_are_asked_at_once(void **state)
{
	(void)state;
	struct ost_session s = { .client_address = "192.0.2.9", .client_name = "x.example", .sender = "a@b.example" };
	void *memory = NULL;
	void *const prepared[] = { prepare("reject_rbl_client", "bl.test"), prepare("reject_rbl_client", "bl.test=127.0.0.9"),
				   prepare("reject_rbl_client", "other.test"), prepare("reject_rhsbl_sender", "dbl.test"),
				   prepare("reject_dnsbl_score", "bl.test other.test clean.test") };
	enum { N = sizeof prepared / sizeof *prepared };
	assert_true(ops()->session_begin(mod_self(in), &s, &memory));
	for (size_t round = 1; round <= 3; round++) {
		ops()->foresee(mod_self(in), memory, prepared, N, &s);
		for (size_t i = 0; i < N; i++)
			assert_int_equal(run(memory, prepared[i], &s), OST_DUNNO);
		assert_int_equal(s.rounds, round);
		assert_int_equal(s.questions, 4 * round);
	}
	ops()->session_end(mod_self(in), memory);
	for (size_t i = 0; i < N; i++)
		ops()->unprepare(mod_self(in), prepared[i]);
}

static void mistakes_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *restriction, *argument, *why;
	} rows[] = {
		{ "reject_rbl_client", "", "needs a list" },
		{ "reject_rbl_client", "a.test b.test", "takes one list" },
		{ "reject_rbl_client", "a..test", "bad domain" },
		{ "reject_rbl_client", "=127.0.0.1", "bad domain" },
		{ "reject_rbl_client", "a b=1", "bad filter" },
		{ "reject_rbl_client", "a=127.0.0", "bad filter" },
		{ "reject_rbl_client", "a=127.0.0.256", "bad filter" },
		{ "reject_rbl_client", "a=127.0.0.[1..]", "bad filter" },
		{ "reject_rbl_client", "a=127.0.0.[5..2]", "bad filter" },
		{ "reject_rbl_client", "a=127.0.0.[1;2", "bad filter" },
		{ "reject_rbl_client", "a=127.0.0.1.2", "bad filter" },
		{ "reject_rbl_client", "a*2", "a weight has no meaning here" },
		{ "reject_dnsbl_score", "a*x", "bad weight" },
		{ "reject_dnsbl_score", "a threshold=0", "bad threshold" },
		{ "reject_dnsbl_score", "threshold=1", "needs a list" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const argv[] = { rows[i].argument, NULL };
		struct ost_why why = { "" };
		void *prepared;
		assert_false(ops()->prepare(mod_self(in), rows[i].restriction, argv, &prepared, &why));
		if (!strstr(why.text, rows[i].why))
			fail_msg("%s: %s", rows[i].argument, why.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_listed_is_refused),
		cmocka_unit_test(permission_is_not_for_relaying),
		cmocka_unit_test(ipv6_is_asked_by_nibbles),
		cmocka_unit_test(literals_and_unknown_names_are_not_asked_for),
		cmocka_unit_test(all_lists_are_asked_at_once),
		cmocka_unit_test(mistakes_are_named),
	};
	return cmocka_run_group_tests_name("dnsbl", tests, setup, teardown);
}
