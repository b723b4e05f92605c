/* SPDX-License-Identifier: Apache-2.0
 * Where addresses go, and whether they exist. What the tables below expect is what Postfix 3.7's
 * trivial-rewrite answers with the same configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "resolve/resolver.h"
#include "tests/support/fixture.h"

static const char main_cf[] =
	"compatibility_level = 3.6\n"
	"myhostname = mx.example.com\n"
	"mydomain = example.com\n"
	"mydestination = $myhostname, localhost.$mydomain, localhost, example.com\n"
	"inet_interfaces = 127.0.0.1\n"
	"virtual_alias_domains = alias.test\n"
	"virtual_alias_maps = inline:{ {known@alias.test=user@example.com} {@all.mbox.test=user@example.com} "
	"{two@alias.test=known@alias.test, far@other.test} {loop@alias.test=pool@alias.test} "
	"{pool@alias.test=loop@alias.test} "
	"{self@alias.test=self@alias.test, far@other.test} {@moved.test=@other.test} "
	"{postmaster=root@other.test} }\n"
	"virtual_mailbox_domains = mbox.test, both.test\n"
	"virtual_mailbox_maps = inline:{ {x@mbox.test=x/} {@both.test=all/} }\n"
	"relay_domains = relay.test\n"
	"relay_recipient_maps = inline:{ {x@relay.test=OK} }\n"
	"local_recipient_maps = inline:{ {user=OK} {other@example.com=OK} }\n"
	"recipient_delimiter = +\n"
	"relayhost = [relay.host.test]:587\n"
	"sender_dependent_relayhost_maps = inline:{ {special@s.test=[own.relay.test]} "
	"{@d.test=domain.relay.test:26} "
	"{dunno@s.test=DUNNO} {<>=null.relay.test} }\n"
	"sender_dependent_default_transport_maps = inline:{ {fast@s.test=fast:} "
	"{via@s.test=slow:[slow.host.test]} "
	"{@dd.test=slow} }\n"
	"transport_maps = inline:{ {user@exact.test=smtp:[exact.host]:2525} {u2@plus.test=lmtp:unix:/x} "
	"{dom.test=uucp:hop} "
	"{.sub.test=smtp:subhop} {none.test=local} {only.test=slow:} {hop.test=:[x.test]} {noop.test=:} "
	"{err.test=error:5.7.1 not here} {err2.test=error:} {err3.test=error: outside mail is not "
	"deliverable} "
	"{[192.0.2.9]=smtp:[lit]} {alias.test=smtp:never} {mbox.test=:over} }\n";

static struct fixture fix;
static struct resolver *resolver;
static struct arena *a;

static int setup(void **state)
{
	struct ost_why why = { "x" };
	(void)state;
	fixture_open(&fix, main_cf, NULL);
	resolver = resolver_open(fix.view, &why);
	assert_string_equal(why.text, "");
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_destroy(&a);
	resolver_close(&resolver);
	fixture_close(&fix);
	return 0;
}

struct expected {
	const char *address, *transport, *nexthop, *recipient; /* transport NULL: bad address syntax */
	enum address_class class;
	bool routed;
};

static void check_route(const struct expected *e)
{
	struct resolved r;
	resolver_resolve(resolver, a, "me@x.test", e->address, &r);
	print_message("# <%s>\n", e->address);
	if (!e->transport) {
		assert_int_equal(r.verdict, RESOLVE_BOUNCE);
		assert_string_equal(r.dsn, "5.1.3");
		return;
	}
	assert_int_equal(r.verdict, RESOLVE_OK);
	assert_string_equal(r.transport, e->transport);
	assert_string_equal(r.nexthop, e->nexthop);
	assert_string_equal(r.recipient, e->recipient);
	assert_int_equal(r.address_class, e->class);
	assert_int_equal(r.routed, e->routed);
}

static void routes_are_those_of_postfix(void **state)
{
	static const char rh[] = "[relay.host.test]:587", mx[] = "mx.example.com";
	static const struct expected list[] = {
		{ "user", "local", mx, "user@mx.example.com", CLASS_LOCAL, false },
		{ "user@example.com", "local", mx, "user@example.com", CLASS_LOCAL, false },
		{ "USER@Example.COM", "local", mx, "USER@Example.COM", CLASS_LOCAL, false },
		{ "user@example.com.", "local", mx, "user@example.com", CLASS_LOCAL, false },
		{ .address = "user@example.com.." },
		{ "user@localhost", "local", mx, "user@localhost", CLASS_LOCAL, false },
		{ "user@host", "smtp", rh, "user@host", CLASS_DEFAULT, false },
		{ "user@[127.0.0.1]", "local", mx, "user@[127.0.0.1]", CLASS_LOCAL, false },
		{ "user@[127.0.0.2]", "smtp", rh, "user@[127.0.0.2]", CLASS_DEFAULT, false },
		{ "user@[192.0.2.9]", "smtp", "[lit]", "user@[192.0.2.9]", CLASS_DEFAULT, false },
		{ "user@[IPv6:::1]", "smtp", rh, "user@[IPv6:::1]", CLASS_DEFAULT, false },
		{ .address = "user@[bad]" },
		{ .address = "user@1.2.3.4" },
		{ .address = "user@" },
		{ "u%d.test@example.com", "smtp", rh, "u@d.test", CLASS_DEFAULT, false },
		{ "u%example.com@example.com", "local", mx, "u@example.com", CLASS_LOCAL, false },
		{ "u%d.test@other.test", "smtp", rh, "u%d.test@other.test", CLASS_DEFAULT, true },
		{ "d.test!u@example.com", "smtp", rh, "u@d.test", CLASS_DEFAULT, false },
		{ "d.test!u@relay.test", "relay", rh, "d.test!u@relay.test", CLASS_RELAY, true },
		{ "d.test!u", "smtp", rh, "u@d.test", CLASS_DEFAULT, false },
		{ "a@b@example.com", "smtp", rh, "a@b", CLASS_DEFAULT, false },
		{ "a@b@other.test", "smtp", rh, "a@b@other.test", CLASS_DEFAULT, true },
		{ "a%b%c.test@example.com", "smtp", rh, "a%b@c.test", CLASS_DEFAULT, true },
		{ "x@alias.test", "error", "5.1.1 User unknown in virtual alias table", "x@alias.test",
		  CLASS_VIRTUAL_ALIAS, false },
		{ "x@mbox.test", "virtual", "over", "x@mbox.test", CLASS_VIRTUAL_MAILBOX, false },
		{ "x+ext@mbox.test", "virtual", "over", "x+ext@mbox.test", CLASS_VIRTUAL_MAILBOX, false },
		{ "x@both.test", "virtual", "both.test", "x@both.test", CLASS_VIRTUAL_MAILBOX, false },
		{ "x@relay.test", "relay", rh, "x@relay.test", CLASS_RELAY, false },
		{ "x@sub.relay.test", "relay", rh, "x@sub.relay.test", CLASS_RELAY, false },
		{ "x@other.test", "smtp", rh, "x@other.test", CLASS_DEFAULT, false },
		{ "user@exact.test", "smtp", "[exact.host]:2525", "user@exact.test", CLASS_DEFAULT, false },
		{ "user+e@exact.test", "smtp", "[exact.host]:2525", "user+e@exact.test", CLASS_DEFAULT,
		  false },
		{ "u2+ext@plus.test", "lmtp", "unix:/x", "u2+ext@plus.test", CLASS_DEFAULT, false },
		{ "x@dom.test", "uucp", "hop", "x@dom.test", CLASS_DEFAULT, false },
		{ "x@a.dom.test", "smtp", rh, "x@a.dom.test", CLASS_DEFAULT, false },
		{ "x@sub.test", "smtp", rh, "x@sub.test", CLASS_DEFAULT, false },
		{ "x@a.sub.test", "smtp", "subhop", "x@a.sub.test", CLASS_DEFAULT, false },
		{ "x@b.a.sub.test", "smtp", "subhop", "x@b.a.sub.test", CLASS_DEFAULT, false },
		{ "x@none.test", "local", "none.test", "x@none.test", CLASS_DEFAULT, false },
		{ "x@only.test", "slow", "only.test", "x@only.test", CLASS_DEFAULT, false },
		{ "x@hop.test", "smtp", "[x.test]", "x@hop.test", CLASS_DEFAULT, false },
		{ "x@noop.test", "smtp", rh, "x@noop.test", CLASS_DEFAULT, false },
		{ "x@err.test", "error", "5.7.1 not here", "x@err.test", CLASS_DEFAULT, false },
		{ "x@err2.test", "error", "Address is undeliverable", "x@err2.test", CLASS_DEFAULT, false },
		{ .address = "-dash@example.com" },
		{ .address = "x@bad_domain..test" },
		{ .address = "x@-bad.test" },
		{ "sp ace@example.com", "local", mx, "sp ace@example.com", CLASS_LOCAL, false },
		{ "", "local", mx, "MAILER-DAEMON@mx.example.com", CLASS_LOCAL, false },
		{ "x@UPPER.Other.Test", "smtp", rh, "x@UPPER.Other.Test", CLASS_DEFAULT, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		check_route(&list[i]);
}

static void senders_have_their_own_relays_and_transports(void **state)
{
	static const struct {
		const char *sender, *recipient, *transport, *nexthop;
	} list[] = {
		{ "me@x.test", "x@other.test", "smtp", "[relay.host.test]:587" },
		{ "special@s.test", "x@other.test", "smtp", "[own.relay.test]" },
		{ "special@s.test", "x@relay.test", "relay", "[own.relay.test]" },
		{ "special@s.test", "x@mbox.test", "virtual", "over" },
		{ "special+e@s.test", "x@other.test", "smtp", "[own.relay.test]" },
		{ "u@d.test", "x@other.test", "smtp", "domain.relay.test:26" },
		{ "dunno@s.test", "x@other.test", "smtp", "[relay.host.test]:587" },
		{ "", "x@other.test", "smtp", "null.relay.test" },
		{ "fast@s.test", "x@other.test", "fast", "[relay.host.test]:587" },
		{ "fast@s.test", "x@relay.test", "relay", "[relay.host.test]:587" },
		{ "via@s.test", "x@other.test", "slow", "[slow.host.test]" },
		{ "q@dd.test", "x@other.test", "slow", "[relay.host.test]:587" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		struct resolved r;
		print_message("# <%s> <%s>\n", list[i].sender, list[i].recipient);
		resolver_resolve(resolver, a, list[i].sender, list[i].recipient, &r);
		assert_int_equal(r.verdict, RESOLVE_OK);
		assert_string_equal(r.transport, list[i].transport);
		assert_string_equal(r.nexthop, list[i].nexthop);
	}
}

static void unknown_recipients_are_told_by_the_table_of_their_class(void **state)
{
	static const struct {
		const char *address;
		enum rcpt_exists exists;
		int code;
		const char *dsn, *text;
	} list[] = {
		{ "user@example.com", RCPT_EXISTS, 0, NULL, NULL },
		{ "user+tag@example.com", RCPT_EXISTS, 0, NULL, NULL },
		{ "other@example.com", RCPT_EXISTS, 0, NULL, NULL },
		{ "nobody@example.com", RCPT_UNKNOWN, 550, "5.1.1", "User unknown in local recipient table" },
		{ "double-bounce@mx.example.com", RCPT_EXISTS, 0, NULL, NULL },
		{ "known@alias.test", RCPT_EXISTS, 0, NULL, NULL },
		{ "x@alias.test", RCPT_UNKNOWN, 550, "5.1.1", "User unknown in virtual alias table" },
		{ "x@mbox.test", RCPT_EXISTS, 0, NULL, NULL },
		{ "x+tag@mbox.test", RCPT_EXISTS, 0, NULL, NULL },
		{ "y@mbox.test", RCPT_UNKNOWN, 550, "5.1.1", "User unknown in virtual mailbox table" },
		{ "anyone@both.test", RCPT_EXISTS, 0, NULL, NULL },
		{ "x@relay.test", RCPT_EXISTS, 0, NULL, NULL },
		{ "y@relay.test", RCPT_UNKNOWN, 550, "5.1.1", "User unknown in relay recipient table" },
		{ "anyone@elsewhere.test", RCPT_EXISTS, 0, NULL, NULL },
		{ "x@err.test", RCPT_UNKNOWN, 550, "5.7.1", "not here" },
		{ "x@err3.test", RCPT_UNKNOWN, 550, "5.1.1", "outside mail is not deliverable" },
		{ "user@[bad]", RCPT_UNKNOWN, 501, "5.1.3", "bad address syntax" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		struct resolved r;
		struct rcpt_answer answer;
		print_message("# <%s>\n", list[i].address);
		resolver_resolve(resolver, a, NULL, list[i].address, &r);
		assert_int_equal(resolver_exists(resolver, a, list[i].address, &r, &answer), list[i].exists);
		if (list[i].exists == RCPT_EXISTS)
			continue;
		assert_int_equal(answer.code, list[i].code);
		assert_string_equal(answer.dsn, list[i].dsn);
		assert_string_equal(answer.text, list[i].text);
	}
}

static void aliases_stand_for_addresses(void **state)
{
	static const struct {
		const char *address, *stands_for;
	} list[] = {
		{ "user@elsewhere.test", "user@elsewhere.test" },
		{ "known@alias.test", "user@example.com" },
		{ "known+tag@alias.test", "user+tag@example.com" },
		{ "two@alias.test", "user@example.com far@other.test" },
		{ "self@alias.test", "self@alias.test far@other.test" },
		{ "anyone@moved.test", "anyone@other.test" },
		{ "postmaster", "root@other.test" },
		{ "postmaster@mx.example.com", "root@other.test" },
		{ "postmaster@elsewhere.test", "postmaster@elsewhere.test" },
	};
	const char **found;
	size_t count;
	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		struct buf b = BUF_INIT;
		print_message("# <%s>\n", list[i].address);
		assert_int_equal(resolver_expand(resolver, a, list[i].address, &found, &count), RESOLVE_OK);
		for (size_t n = 0; n < count; n++)
			buf_printf(&b, "%s%s", n ? " " : "", found[n]);
		assert_string_equal(buf_str(&b), list[i].stands_for);
		buf_free(&b);
	}
	/* A circle comes to an end. */
	assert_int_equal(resolver_expand(resolver, a, "loop@alias.test", &found, &count), RESOLVE_DEFER);
}

static void bare_domains_have_a_class(void **state)
{
	struct ost_why why;
	(void)state;
	assert_int_equal(resolver_domain_class(resolver, a, "example.com", &why), CLASS_LOCAL);
	assert_int_equal(resolver_domain_class(resolver, a, "[127.0.0.1]", &why), CLASS_LOCAL);
	assert_int_equal(resolver_domain_class(resolver, a, "alias.test", &why), CLASS_VIRTUAL_ALIAS);
	assert_int_equal(resolver_domain_class(resolver, a, "mbox.test", &why), CLASS_VIRTUAL_MAILBOX);
	assert_int_equal(resolver_domain_class(resolver, a, "relay.test", &why), CLASS_RELAY);
	assert_int_equal(resolver_domain_class(resolver, a, "x.relay.test", &why), CLASS_RELAY);
	assert_int_equal(resolver_domain_class(resolver, a, "other.test", &why), CLASS_DEFAULT);
}

static void tables_of_this_test_answer_at_once(void **state)
{
	(void)state;
	assert_true(resolver_immediate(resolver));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_are_those_of_postfix),
		cmocka_unit_test(senders_have_their_own_relays_and_transports),
		cmocka_unit_test(unknown_recipients_are_told_by_the_table_of_their_class),
		cmocka_unit_test(aliases_stand_for_addresses),
		cmocka_unit_test(bare_domains_have_a_class),
		cmocka_unit_test(tables_of_this_test_answer_at_once),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
