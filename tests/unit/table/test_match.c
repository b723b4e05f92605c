/* SPDX-License-Identifier: Apache-2.0
 * Lists that match names and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "table/network.h"
#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("parent_domain_matches_subdomains = with_parents, smtpd_access_maps\n");

static void expect_name(const char *param, const char *spec, const char *name, enum ost_found expected)
{
	struct lookup found;
	struct matchlist *m = matchlist_names(fix.view, param, spec, NULL);
	enum ost_found result = matchlist_name(m, a, name, &found);
	if (result != expected)
		fail_msg("%s: %s in \"%s\": %d, expected %d", param, name, spec, result, expected);
	if (result == OST_FOUND)
		assert_non_null(found.value);
}

static void names_are_compared_without_case(void **state)
{
	(void)state;
	expect_name("x", "example.com, Example.ORG", "EXAMPLE.com", OST_FOUND);
	expect_name("x", "example.com example.org", "example.org", OST_FOUND);
	expect_name("x", "example.com", "xexample.com", OST_NOTFOUND);
	expect_name("x", "", "example.com", OST_NOTFOUND);
}

static void subdomains_match_as_the_parameter_says(void **state)
{
	(void)state;
	expect_name("x", "example.com", "sub.example.com", OST_NOTFOUND);
	expect_name("x", ".example.com", "sub.example.com", OST_FOUND);
	expect_name("x", ".example.com", "a.sub.example.com", OST_FOUND);
	expect_name("x", ".example.com", "example.com", OST_NOTFOUND);
	expect_name("with_parents", "example.com", "sub.example.com", OST_FOUND);
	expect_name("with_parents", "example.com", "example.com", OST_FOUND);
	expect_name("with_parents", "example.com", "badexample.com", OST_NOTFOUND);
	expect_name("with_parents", ".example.com", "sub.example.com", OST_NOTFOUND);
}

static void the_first_match_decides_and_may_say_no(void **state)
{
	(void)state;
	expect_name("x", "!bad.example.com, .example.com", "bad.example.com", OST_NOTFOUND);
	expect_name("x", "!bad.example.com, .example.com", "good.example.com", OST_FOUND);
	expect_name("x", ".example.com, !bad.example.com", "bad.example.com", OST_FOUND);
	expect_name("x", "!!example.com", "example.com", OST_FOUND);
}

static void tables_are_asked_for_parents_too(void **state)
{
	(void)state;
	expect_name("x", "inline:{example.com=y}", "example.com", OST_FOUND);
	expect_name("x", "inline:{example.com=y}", "Sub.Example.Com", OST_NOTFOUND);
	expect_name("x", "inline:{.example.com=y}", "sub.example.com", OST_FOUND);
	expect_name("with_parents", "inline:{example.com=y}", "a.b.example.com", OST_FOUND);
	expect_name("with_parents", "!inline:{a.example.com=y} example.com", "a.example.com", OST_NOTFOUND);
	expect_name("x", "regexp:{{/^example\\.com$/ y}}", "sub.example.com", OST_NOTFOUND);
	expect_name("x", "regexp:{{/^example\\.com$/ y}}", "example.com", OST_FOUND);
}

/* As Postfix: a domain is local, or an alias or mailbox domain, when it is named itself. */
static void some_lists_have_whole_names_alone(void **state)
{
	(void)state;
	static const char *const params[] = { "mydestination", "virtual_alias_domains", "virtual_mailbox_domains" };
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		expect_name(params[i], ".example.com", "sub.example.com", OST_NOTFOUND);
		expect_name(params[i], "example.com", "Example.com", OST_FOUND);
		expect_name(params[i], "inline:{.example.com=y}", "sub.example.com", OST_NOTFOUND);
		expect_name(params[i], "inline:{example.com=y}", "example.com", OST_FOUND);
	}
	expect_name("relay_domains", ".example.com", "sub.example.com", OST_FOUND);
	expect_name("relay_domains", "inline:{.example.com=y}", "sub.example.com", OST_FOUND);
}

static void files_are_lists(void **state)
{
	(void)state;
	char spec[400], text[400], inner[200];
	snprintf(inner, sizeof inner, "%s", fixture_file(&fix, "inner", "inner.org\n"));
	snprintf(text, sizeof text, "# names\none.org\ntwo.org, three.org\n\n  four.org\n!%s\n", inner);
	snprintf(spec, sizeof spec, "first.org, %s, last.org", fixture_file(&fix, "names", text));
	expect_name("x", spec, "first.org", OST_FOUND);
	expect_name("x", spec, "one.org", OST_FOUND);
	expect_name("x", spec, "three.org", OST_FOUND);
	expect_name("x", spec, "four.org", OST_FOUND);
	expect_name("x", spec, "last.org", OST_FOUND);
	expect_name("x", spec, "inner.org", OST_NOTFOUND);
	snprintf(spec, sizeof spec, "!%s, .org", inner);
	expect_name("x", spec, "inner.org", OST_NOTFOUND);
	expect_name("x", spec, "outer.org", OST_FOUND);
}

static void what_cannot_be_read_is_not_a_no(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	expect_name("x", "a.org, /nonexistent/file, b.org", "a.org", OST_FOUND);
	expect_name("x", "a.org, /nonexistent/file, b.org", "b.org", OST_TEMPFAIL);
	expect_name("x", "hash:/nonexistent/file", "b.org", OST_TEMPFAIL);
	matchlist_names(fix.view, "x", "/nonexistent/file", &why);
	assert_non_null(strstr(why.text, "/nonexistent/file: No such file"));
	matchlist_names(fix.view, "x", "a.org, inline:{a=b}", &why);
	assert_string_equal(why.text, "");
}

static void a_file_that_names_itself_ends(void **state)
{
	(void)state;
	char path[200];
	snprintf(path, sizeof path, "%s/loop", fix.dir);
	fixture_file(&fix, "loop", path);
	expect_name("x", path, "a.org", OST_TEMPFAIL);
}

static void expect_client(const char *spec, const char *name, const char *address, enum ost_found expected)
{
	struct lookup found;
	struct matchlist *m = matchlist_networks(fix.view, "mynetworks", spec, NULL);
	enum ost_found result = matchlist_client(m, a, name, address, &found);
	if (result != expected)
		fail_msg("%s[%s] in \"%s\": %d, expected %d", name ? name : "-", address, spec, result, expected);
}

static void networks_match(void **state)
{
	(void)state;
	static const char list[] = "127.0.0.0/8 [::1]/128 !10.0.0.1 10.0.0.0/24 192.0.2.7 [2001:db8::]/33 [2001:db9::5]";
	expect_client(list, NULL, "127.1.2.3", OST_FOUND);
	expect_client(list, NULL, "128.1.2.3", OST_NOTFOUND);
	expect_client(list, NULL, "::1", OST_FOUND);
	expect_client(list, NULL, "10.0.0.1", OST_NOTFOUND);
	expect_client(list, NULL, "10.0.0.2", OST_FOUND);
	expect_client(list, NULL, "10.0.1.2", OST_NOTFOUND);
	expect_client(list, NULL, "192.0.2.7", OST_FOUND);
	expect_client(list, NULL, "192.0.2.8", OST_NOTFOUND);
	expect_client(list, NULL, "2001:db8:7fff::1", OST_FOUND);
	expect_client(list, NULL, "2001:db8:8000::1", OST_NOTFOUND);
	expect_client(list, NULL, "2001:db9::5", OST_FOUND);
	expect_client(list, NULL, "2001:db9::6", OST_NOTFOUND);
	expect_client("0.0.0.0/0", NULL, "255.255.255.255", OST_FOUND);
	expect_client("0.0.0.0/0", NULL, "::1", OST_NOTFOUND);
	expect_client("[::]/0", NULL, "fe80::1%eth0", OST_FOUND);
	expect_client(list, NULL, "unknown", OST_NOTFOUND);
}

static void clients_match_by_name_and_table_too(void **state)
{
	(void)state;
	expect_client("mail.example.com", "mail.example.com", "192.0.2.1", OST_FOUND);
	expect_client("mail.example.com", NULL, "192.0.2.1", OST_NOTFOUND);
	expect_client("inline:{192.0.2.1=y}", "x.org", "192.0.2.1", OST_FOUND);
	expect_client("inline:{x.org=y}", "x.org", "192.0.2.1", OST_FOUND);
	expect_client("inline:{y.org=y}", "x.org", "192.0.2.1", OST_NOTFOUND);
}

static void bad_networks_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *reason;
	} bad[] = {
		{ "192.0.2.1/24", "non-null host address bits in \"192.0.2.1/24\", perhaps you should use \"192.0.2.0/24\" instead" },
		{ "[2001:db8::1]/64", "perhaps you should use \"[2001:db8::]/64\" instead" },
		{ "192.0.2.0/33", "bad net/mask pattern" },
		{ "192.0.2/24", "bad net/mask pattern" },
		{ "[::1]/129", "bad net/mask pattern" },
		{ "[::1", "bad net/mask pattern" },
		{ "192.0.2.0/", "bad net/mask pattern" },
		{ "192.0.2.0/-1", "" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ost_why why = { "" };
		struct lookup found;
		struct matchlist *m = matchlist_networks(fix.view, "mynetworks", bad[i].spec, &why);
		if (!strstr(why.text, bad[i].reason))
			fail_msg("%s: \"%s\"", bad[i].spec, why.text);
		if (*bad[i].reason)
			assert_int_equal(matchlist_client(m, a, NULL, "203.0.113.1", &found), OST_TEMPFAIL);
		else
			assert_int_equal(matchlist_client(m, a, NULL, "203.0.113.1", &found), OST_NOTFOUND);
	}
}

static void expect_access(const char *spec, enum ost_access_order order, const char *object, const char *value)
{
	struct lookup found;
	struct maps *m = maps_open(fix.view, spec, NULL);
	enum ost_found result = access_find(m, fix.view, a, order, object, &found);
	if ((result == OST_FOUND) != (value != NULL))
		fail_msg("%s in %s: %d", object, spec, result);
	if (value)
		assert_string_equal(found.value, value);
}

static void access_tables_are_searched_in_order(void **state)
{
	(void)state;
	expect_access("inline:{a.b.c=1, b.c=2, c=3}", OST_ACCESS_HOST, "a.b.c", "1");
	expect_access("inline:{b.c=2, c=3}", OST_ACCESS_HOST, "A.B.C", "2");
	expect_access("inline:{c=3}", OST_ACCESS_HOST, "a.b.c", "3");
	expect_access("inline:{.c=3}", OST_ACCESS_HOST, "a.b.c", NULL);
	expect_access("inline:{2.1=3}", OST_ACCESS_HOST, "[192.0.2.1]", NULL);
	expect_access("inline:{192.0.2=n}", OST_ACCESS_ADDRESS, "192.0.2.1", "n");
	expect_access("inline:{192=n}", OST_ACCESS_ADDRESS, "192.0.2.1", "n");
	expect_access("inline:{2.1=n}", OST_ACCESS_ADDRESS, "192.0.2.1", NULL);
	expect_access("inline:{2001:db8=n}", OST_ACCESS_ADDRESS, "2001:db8::1", "n");
	expect_access("regexp:{{/^192\\.0\\.2$/ n}}", OST_ACCESS_ADDRESS, "192.0.2.1", NULL);
	expect_access("inline:{u@d.org=1, d.org=2, org=3, u@=4}", OST_ACCESS_MAIL, "u@d.org", "1");
	expect_access("inline:{d.org=2, org=3, u@=4}", OST_ACCESS_MAIL, "u@d.org", "2");
	expect_access("inline:{org=3, u@=4}", OST_ACCESS_MAIL, "u@d.org", "3");
	expect_access("inline:{u@=4}", OST_ACCESS_MAIL, "U@D.ORG", "4");
	expect_access("inline:{<>=null}", OST_ACCESS_MAIL, "", "null");
	expect_access("regexp:{{/^d/ domain}, {/u@d/ whole}}", OST_ACCESS_MAIL, "u@d.org", "whole");
}

static void numeric_addresses_are_told_from_names(void **state)
{
	(void)state;
	struct ip ip;
	assert_true(ip_parse("192.0.2.1", &ip) && ip.family == AF_INET);
	assert_true(ip_parse("IPv6:::1", &ip) && ip.family == AF_INET6);
	assert_true(ip_parse("fe80::1%eth0", &ip) && ip.family == AF_INET6);
	assert_false(ip_parse("192.0.2", &ip));
	assert_false(ip_parse("", &ip));
	assert_false(ip_parse("a.very.long.name.that.is.no.address.at.all.and.does.not.fit", &ip));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_compared_without_case),
		cmocka_unit_test(subdomains_match_as_the_parameter_says),
		cmocka_unit_test(the_first_match_decides_and_may_say_no),
		cmocka_unit_test(tables_are_asked_for_parents_too),
		cmocka_unit_test(some_lists_have_whole_names_alone),
		cmocka_unit_test(files_are_lists),
		cmocka_unit_test(what_cannot_be_read_is_not_a_no),
		cmocka_unit_test(a_file_that_names_itself_ends),
		cmocka_unit_test(networks_match),
		cmocka_unit_test(clients_match_by_name_and_table_too),
		cmocka_unit_test(bad_networks_are_named),
		cmocka_unit_test(access_tables_are_searched_in_order),
		cmocka_unit_test(numeric_addresses_are_told_from_names),
	};
	return cmocka_run_group_tests_name("match", tests, setup, teardown);
}
