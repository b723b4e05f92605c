/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/address.h"
#include "mail/addrlist.h"

static int setup(void **state)
{
	*state = arena_new();
	return 0;
}

static int teardown(void **state)
{
	struct arena *a = *state;
	arena_destroy(&a);
	return 0;
}

static void paths_of_mail_and_rcpt(void **state)
{
	static const struct {
		const char *text, *address; /* NULL: refused */
		bool strict;
		const char *rest;
	} cases[] = {
		{ "<a@b>", "a@b", true, "" },
		{ "<>", "", true, "" },
		{ "<a@b> SIZE=1", "a@b", true, " SIZE=1" },
		{ "<a@b>SIZE=1", "a@b", true, "SIZE=1" },
		{ "a@b", "a@b", false, "" },
		{ "a@b", NULL, true, NULL },
		{ "  a@b BODY=7BIT", "a@b", false, " BODY=7BIT" },
		{ " <a@b>", NULL, true, NULL },
		{ "<@x,@y:u@c.d>", "u@c.d", true, "" },
		{ "<@x,y:u@c.d>", NULL, false, NULL },
		{ "<@:u@c.d>", NULL, false, NULL },
		{ "<\"a b\"@d.e>", "a b@d.e", true, "" },
		{ "<\"a\\\"b\"@d.e>", "a\"b@d.e", true, "" },
		{ "<\"\"@d.e>", "@d.e", true, "" },
		{ "<\"a@b\"@c.d>", "a@b@c.d", true, "" },
		{ "<\"a", NULL, false, NULL },
		{ "<\"a\\", NULL, false, NULL },
		{ "<a\"b@c.d>", NULL, false, NULL },
		{ "<a b@c.d>", NULL, false, NULL },
		{ "<a@b", NULL, false, NULL },
		{ "<<a@b>>", NULL, false, NULL },
		{ "", NULL, false, NULL },
		{ "<a@[192.0.2.1]>", "a@[192.0.2.1]", true, "" },
		{ "<a@[192.0.2.1>", NULL, false, NULL },
		{ "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", true, "" },
		{ "<a@[999.1.1.1]>", NULL, true, NULL },
		{ "<a..b@c.d>", NULL, true, NULL },
		{ "<a..b@c.d>", "a..b@c.d", false, "" },
		{ "<u%r@d.e>", "u%r@d.e", true, "" },
		{ "<u@r@d.e>", "u@r@d.e", false, "" },
		{ "<postmaster>", "postmaster", true, "" },
		{ "<a(c)@b>", NULL, false, NULL },
		{ "<${run{/bin/x y}}@localhost>", NULL, false, NULL },
		{ "<\xc3\xa9@b>", NULL, false, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *got;
		size_t used;
		enum address_outcome outcome = address_parse_path(*state, cases[i].text, strlen(cases[i].text),
								  cases[i].strict, &got, &used);
		if (!cases[i].address) {
			assert_int_equal(outcome, ADDRESS_SYNTAX);
			assert_true(used <= strlen(cases[i].text));
			continue;
		}
		assert_int_equal(outcome, ADDRESS_OK);
		assert_true(used <= strlen(cases[i].text));
		assert_string_equal(got, cases[i].address);
		assert_string_equal(cases[i].text + used, cases[i].rest);
	}
}

static void a_nul_does_not_cut_an_address(void **state)
{
	static const char text[] = "<a\0b@x>";
	const char *got;
	size_t used;
	assert_int_equal(address_parse_path(*state, text, sizeof text - 1, false, &got, &used), ADDRESS_SYNTAX);
}

static void long_paths_are_refused(void **state)
{
	char *text = malloc(5003);
	const char *got;
	size_t used;
	memset(text, 'a', 5003);
	text[0] = '<';
	text[5002] = '>';
	assert_int_equal(address_parse_path(*state, text, 5003, false, &got, &used), ADDRESS_TOO_LONG);
	free(text);
}

static void quoting_leads_back(void **state)
{
	static const char *const plain[] = { "a@b.c", "a.b+x@c.d", "postmaster", "a@[192.0.2.1]" };
	static const char *const odd[] = { "a b@c.d", ".a@c.d", "a.@c.d", "a..b@c.d", "@c.d", "a\"b@c.d", "a\\b@c.d",
					   "a@b@c.d", "a,b@c.d", "a(b)@c.d" };
	struct buf out = BUF_INIT;
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		buf_reset(&out);
		address_quote(&out, plain[i]);
		assert_string_equal(buf_str(&out), plain[i]);
	}
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		const char *back;
		size_t used;
		buf_reset(&out);
		buf_putc(&out, '<');
		address_quote(&out, odd[i]);
		buf_putc(&out, '>');
		assert_int_equal(out.data[1], '"');
		assert_int_equal(address_parse_path(*state, out.data, out.len, true, &back, &used), ADDRESS_OK);
		assert_string_equal(back, odd[i]);
	}
	buf_free(&out);
}

static void extensions_are_split(void **state)
{
	static const struct {
		const char *local, *delimiters, *base, *ext;
	} cases[] = {
		{ "a+b", "+", "a", "+b" },       { "a+b+c", "+", "a", "+b+c" },
		{ "+a", "+", NULL, NULL },       { "a", "+", NULL, NULL },
		{ "a-b", "+-", "a", "-b" },      { "owner-x", "-", NULL, NULL },
		{ "x-request", "-", NULL, NULL }, { "mailer-daemon", "-", NULL, NULL },
		{ "double-bounce", "-", NULL, NULL }, { "owner+x", "+", "owner", "+x" },
		{ "a+b", "", NULL, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *base, *ext;
		bool split = address_split(*state, cases[i].local, cases[i].delimiters, &base, &ext);
		assert_int_equal(split, cases[i].base != NULL);
		assert_string_equal(base, split ? cases[i].base : cases[i].local);
		if (split)
			assert_string_equal(ext, cases[i].ext);
	}
}

static void domains_and_literals(void **state)
{
	(void)state;
	static const char *const good[] = { "a", "a.b", "xn--a-b.example", "a_b.c", "3com.com" };
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "1.2.3.4", "a b", "a\xc3\xa9" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(domain_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(domain_valid(bad[i], strlen(bad[i])));
	static const char *const utf8[] = { "a", "\xc3\xa9", "b\xc3\xbc" "cher.test", "a.\xe4\xbe\x8b" };
	static const char *const not_utf8[] = { "", "\xc3", "a\xff.b", "\xc3\xa9.", "-\xc3\xa9", "\xc3\xa9..b", "1.2", "\xed\xa0\x80" };
	for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++)
		assert_true(domain_valid_utf8(utf8[i], strlen(utf8[i])));
	for (size_t i = 0; i < sizeof not_utf8 / sizeof *not_utf8; i++)
		assert_false(domain_valid_utf8(not_utf8[i], strlen(not_utf8[i])));
	char label[65];
	memset(label, 'a', 64);
	label[64] = '\0';
	assert_true(domain_valid(label, 63));
	assert_false(domain_valid(label, 64));
	static const char *const literal[] = { "[1.2.3.4]", "[IPv6:::1]", "[ipv6:2001:db8::1]" };
	static const char *const not_literal[] = { "[]", "[1.2.3.4", "[IPv6::::::]", "[999.1.1.1]", "1.2.3.4", "[::1]" };
	for (size_t i = 0; i < sizeof literal / sizeof *literal; i++)
		assert_true(domain_literal_valid(literal[i], strlen(literal[i])));
	for (size_t i = 0; i < sizeof not_literal / sizeof *not_literal; i++)
		assert_false(domain_literal_valid(not_literal[i], strlen(not_literal[i])));
}

static void lists_of_addresses(void **state)
{
	static const char text[] = "a@b, Joe \"D.\" Doe <c@d> (a (nested) comment), grp: e@f, g;, \"x, y\"@z, <@r:h@i>, "
				   "root ,, [1.2.3.4]";
	static const char *const want[] = { "a@b", "c@d", "e@f", "g", "x, y@z", "h@i", "root", "[1.2.3.4]" };
	struct addrlist got = addrlist_parse(*state, text, sizeof text - 1, 100);
	assert_int_equal(got.count, sizeof want / sizeof *want);
	for (size_t i = 0; i < got.count; i++)
		assert_string_equal(got.list[i], want[i]);
	assert_false(got.truncated);
	got = addrlist_parse(*state, text, sizeof text - 1, 2);
	assert_int_equal(got.count, 2);
	assert_true(got.truncated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paths_of_mail_and_rcpt, setup, teardown),
		cmocka_unit_test_setup_teardown(a_nul_does_not_cut_an_address, setup, teardown),
		cmocka_unit_test_setup_teardown(long_paths_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(quoting_leads_back, setup, teardown),
		cmocka_unit_test_setup_teardown(extensions_are_split, setup, teardown),
		cmocka_unit_test(domains_and_literals),
		cmocka_unit_test_setup_teardown(lists_of_addresses, setup, teardown),
	};
	return cmocka_run_group_tests_name("mail/address", tests, NULL, NULL);
}
