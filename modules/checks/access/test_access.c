/* SPDX-License-Identifier: Apache-2.0
 * access: which field is asked in which order, and what the core is told about it. */
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
	const char *client_name, *client_address, *helo_name, *sender, *recipient;
	char told[600]; /* "action|kind|object" of the last action; "" none */
};

static const char *session_field(const struct ost_session *s, const char *name)
{
	const struct {
		const char *name, *value;
	} fields[] = {
		{ "client_name", s->client_name }, { "client_address", s->client_address }, { "helo_name", s->helo_name },
		{ "sender", s->sender },	   { "recipient", s->recipient },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].value;
	fail_msg("the field %s is not there", name);
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
	return OST_REJECT;
}

static const struct mod_session_ops session_ops = { .session_field = session_field, .reply = reply, .access_action = access_action };
static struct fixture fix;
static struct mod_instance *in;

static int setup(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	fixture_open(&fix, "recipient_delimiter = +\nsmtpd_null_access_lookup_key = <>\n", NULL);
	fixture_log(&fix);
	mod_host_set_session(&session_ops);
	const struct mod_provider *p = mod_find(OST_KIND_CHECK, "access", &why);
	in = p ? mod_open(p, fix.view, "access", &why) : NULL;
	return in ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mod_close(&in);
	fixture_close(&fix);
	return 0;
}

/* told NULL: no opinion. */
static void expect(const char *restriction, const char *table, struct ost_session s, const char *told)
{
	const struct ost_check_ops *ops = (const struct ost_check_ops *)mod_ops(in);
	const char *const argv[] = { table, NULL };
	struct ost_why why = { "" };
	void *prepared;
	assert_true(ops->prepare(mod_self(in), restriction, argv, &prepared, &why));
	mod_enter(in, "run", CLOCK_NEVER);
	enum ost_verdict v = ops->run(mod_self(in), NULL, prepared, OST_STAGE_RCPT, &s);
	mod_leave(in);
	assert_int_equal(v, told ? OST_REJECT : OST_DUNNO);
	assert_string_equal(s.told, told ? told : "");
	ops->unprepare(mod_self(in), prepared);
}

static const struct ost_session usual = {
	.client_name = "mail.example.org", .client_address = "192.0.2.1", .helo_name = "helo.example.net",
	.sender = "user+ext@example.com", .recipient = "someone@sub.example.edu",
};

static void clients_are_searched_by_name_then_by_address(void **state)
{
	(void)state;
	expect("check_client_access", "inline:{mail.example.org=A, 192.0.2.1=B}", usual,
	       "A|Client host|mail.example.org[192.0.2.1]");
	expect("check_client_access", "inline:{example.org=P, 192.0.2.1=B}", usual, "P|Client host|mail.example.org[192.0.2.1]");
	expect("check_client_access", "inline:{192.0.2=N}", usual, "N|Client host|mail.example.org[192.0.2.1]");
	expect("check_client_access", "inline:{192.0.2.2=N}", usual, NULL);
	struct ost_session nameless = usual;
	nameless.client_name = NULL;
	expect("check_client_access", "inline:{192.0.2.1=B}", nameless, "B|Client host|unknown[192.0.2.1]");
}

static void helo_names_are_searched_as_names(void **state)
{
	(void)state;
	expect("check_helo_access", "inline:{example.net=H}", usual, "H|Helo command|helo.example.net");
	expect("check_helo_access", "inline:{mail.example.org=H}", usual, NULL);
	struct ost_session silent = usual;
	silent.helo_name = NULL;
	expect("check_helo_access", "static:H", silent, NULL);
}

static void addresses_are_searched_as_mail_addresses(void **state)
{
	(void)state;
	expect("check_sender_access", "inline:{user+ext@example.com=1, user@example.com=2}", usual,
	       "1|Sender address|user+ext@example.com");
	expect("check_sender_access", "inline:{user@example.com=2, example.com=3}", usual, "2|Sender address|user+ext@example.com");
	expect("check_sender_access", "inline:{com=3, user@=4}", usual, "3|Sender address|user+ext@example.com");
	expect("check_sender_access", "inline:{user@=4}", usual, "4|Sender address|user+ext@example.com");
	expect("check_recipient_access", "inline:{example.edu=5}", usual, "5|Recipient address|someone@sub.example.edu");
	expect("check_recipient_access", "inline:{example.com=5}", usual, NULL);
	struct ost_session null = usual;
	null.sender = "";
	expect("check_sender_access", "inline:{<>=N}", null, "N|Sender address|");
}

static void a_table_that_fails_is_told_to_the_client(void **state)
{
	(void)state;
	expect("check_sender_access", "hash:/nonexistent/table", usual,
	       "451 4.3.5 Server configuration error|Sender address|user+ext@example.com");
}

static void an_argument_is_needed(void **state)
{
	(void)state;
	const struct ost_check_ops *ops = (const struct ost_check_ops *)mod_ops(in);
	const char *const argv[] = { "", NULL };
	struct ost_why why = { "" };
	void *prepared;
	assert_false(ops->prepare(mod_self(in), "check_sender_access", argv, &prepared, &why));
	assert_string_equal(why.text, "check_sender_access: a table is missing");
	assert_false(ops->prepare(mod_self(in), "check_other_access", argv, &prepared, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_are_searched_by_name_then_by_address),
		cmocka_unit_test(helo_names_are_searched_as_names),
		cmocka_unit_test(addresses_are_searched_as_mail_addresses),
		cmocka_unit_test(a_table_that_fails_is_told_to_the_client),
		cmocka_unit_test(an_argument_is_needed),
	};
	return cmocka_run_group_tests_name("access", tests, setup, teardown);
}
