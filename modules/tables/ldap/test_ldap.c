/* SPDX-License-Identifier: Apache-2.0
 * ldap: lists and quoting, and against a real slapd: parameters, passwords, servers that are silent or gone.
 * What it answers is compared with Postfix's answers in tests/e2e/test_directory_oracle.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tables/ldap/directory.h"
#include "tests/support/group.h"
#include "tests/support/lines.h"
#include "tests/support/outage.h"

FIXTURE_GROUP("");

static struct server slapd = { .argv = { "/usr/sbin/slapd" } };
static char conf[128], url[256]; /* of the server */

static int start(void **state)
{
	setup(state);
	fixture_log(&fix);
	if (!server_installed(slapd.argv[0]))
		return 0;
	char make[300], folder[100];
	const char *srcdir = getenv("OST_SRCDIR");
	snprintf(make, sizeof make, "%s/tests/lib/directory/make", srcdir ? srcdir : ".");
	snprintf(folder, sizeof folder, "%s/slapd", fix.dir);
	server_run((const char *[]){ make, folder, "sasl-host localhost", "sasl-realm test",
				     "authz-regexp uid=([^,]*),.*cn=auth cn=$1,dc=test", NULL });
	snprintf(conf, sizeof conf, "%s/slapd.conf", folder);
	snprintf(slapd.socket, sizeof slapd.socket, "%s/ldapi", fix.dir);
	snprintf(url, sizeof url, "ldapi://");
	for (const char *p = slapd.socket; *p; p++)
		snprintf(url + strlen(url), sizeof url - strlen(url), *p == '/' ? "%%2F" : "%c", *p);
	const char *const args[] = { "-f", conf, "-h", url, "-d", "0" };
	memcpy(&slapd.argv[1], args, sizeof args);
	server_start(&slapd);
	return 0;
}

static int stop(void **state)
{
	server_kill(&slapd);
	return teardown(state);
}

static void need_slapd(void)
{
	if (slapd.pid > 0)
		return;
	print_message("# skip: slapd is not installed\n");
	skip();
}

/* ---- without a server ---------------------------------------------------------------------------------------------------- */

static void keys_are_quoted(void **state)
{
	static const struct {
		const char *key, *filter, *dn;
	} cases[] = {
		{ "joe@x.test", "joe@x.test", "joe@x.test" },
		{ "*)(uid=*", "\\2A\\29\\28uid\\3D\\2A", "\\2A\\29\\28uid\\3D\\2A" },
		{ "a\\b", "a\\5Cb", "a\\5Cb" },
		{ " #a,b+c;d<e>\"", " \\23a,b+c\\3Bd\\3Ce\\3E\\22", "\\20\\23a\\2Cb\\2Bc\\3Bd\\3Ce\\3E\\22" },
		{ "\n\x7f\xc3\xa4", "\\0A\\7F\\C3\\A4", "\\0A\\7F\\C3\\A4" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text_buf filter = { 0 }, dn = { 0 };
		directory_quote_for_filter(NULL, &filter, cases[i].key, strlen(cases[i].key));
		directory_quote_for_dn(NULL, &dn, cases[i].key, strlen(cases[i].key));
		assert_string_equal(text_buf_text(&filter), cases[i].filter);
		assert_string_equal(text_buf_text(&dn), cases[i].dn);
		text_buf_free(&filter);
		text_buf_free(&dn);
	}
	struct text_buf out = { 0 };
	directory_quote_for_filter(NULL, &out, "a\0b", 3);
	assert_string_equal(text_buf_text(&out), "a\\00b");
	text_buf_free(&out);
}

static void servers_become_urls(void **state)
{
	static const struct {
		const char *text, *first, *second;
	} cases[] = {
		{ "localhost", "ldap://localhost:390", NULL },
		{ "a.test:1389, b.test", "ldap://a.test:1389", "ldap://b.test:390" },
		{ "[::1] [::1]:99", "ldap://[::1]:390", "ldap://[::1]:99" },
		{ "ldaps://a.test\n ldapi://%2Frun%2Fldapi", "ldaps://a.test", "ldapi://%2Frun%2Fldapi" },
	};
	static const char *const bad[] = { "", " , ", "http://a.test", "ldap://a:b" };
	struct servers s;
	struct expansion_flaw flaw;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(directory_servers_parse(&s, cases[i].text, 390, &flaw));
		assert_int_equal(s.count, cases[i].second ? 2 : 1);
		assert_string_equal(s.urls[0], cases[i].first);
		if (cases[i].second)
			assert_string_equal(s.urls[1], cases[i].second);
		directory_servers_free(&s);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		flaw.text[0] = '\0';
		assert_false(directory_servers_parse(&s, bad[i], 390, &flaw));
		assert_non_null(strstr(flaw.text, "parameter server_host: "));
		directory_servers_free(&s);
	}
}

static void attributes_have_kinds(void **state)
{
	(void)state;
	const char *const lists[] = { [ATTRIBUTE_TERMINAL] = "t",
				      [ATTRIBUTE_LEAF] = "l,Mail",
				      [ATTRIBUTE_PLAIN] = "mail drop;lang-en",
				      [ATTRIBUTE_SPECIAL] = " dn\turl " };
	struct attributes list;
	assert_true(directory_attributes_parse(&list, lists));
	assert_int_equal(list.count, 6);
	assert_int_equal(list.kinds[directory_attributes_find(&list, "MAIL")], ATTRIBUTE_LEAF);
	assert_int_equal(list.kinds[directory_attributes_find(&list, "mail;lang-de")], ATTRIBUTE_LEAF);
	assert_int_equal(list.kinds[directory_attributes_find(&list, "drop;lang-en")], ATTRIBUTE_PLAIN);
	assert_int_equal(directory_attributes_find(&list, "drop"), 6);
	assert_int_equal(directory_attributes_find(&list, "mailx"), 6);
	assert_int_equal(list.kinds[directory_attributes_find(&list, "url")], ATTRIBUTE_SPECIAL);
	char *of_url[] = { (char[]){ "mail;lang-en" }, (char[]){ "drop" }, (char[]){ "other" },
			   (char[]){ "dn" }, NULL };
	char **selected = directory_attributes_select(&list, of_url);
	assert_string_equal(selected[0], "mail;lang-en");
	assert_string_equal(selected[1], "drop;lang-en");
	assert_string_equal(selected[2], "dn");
	assert_null(selected[3]);
	free(selected);
	selected = directory_attributes_select(&list, NULL);
	assert_string_equal(selected[5], "url");
	assert_null(selected[6]);
	free(selected);
	directory_attributes_free(&list);
}

static void bad_parameters_are_refused(void **state)
{
	static const struct {
		const char *lines, *complaint;
	} bad[] = {
		{ "", "parameter search_base is required and not set" },
		{ "search_base =\n", "parameter search_base is required and empty" },
		{ "search_base = dc=test\nquery_filter = (cn=%x)\n",
		  "parameter query_filter: Invalid query template: (cn=%x)" },
		{ "search_base = %\n", "parameter search_base: Invalid query template: %" },
		{ "search_base = dc=test\nresult_format = %q\n",
		  "parameter result_format: Invalid result template: %q" },
		{ "search_base = dc=test\nbind = perhaps\n",
		  "parameter bind: must be no, none, yes, simple or sasl, not \"perhaps\"" },
		{ "search_base = dc=test\nscope = all\n",
		  "parameter scope: must be sub, one or base, not \"all\"" },
		{ "search_base = dc=test\nversion = 2\nstart_tls = yes\n",
		  "parameter version: start_tls and bind = sasl need version 3" },
		{ "search_base = dc=test\ntls_cert = /x\n",
		  "parameters tls_cert and tls_key: one needs the other" },
		{ "search_base = dc=test\nstart_tls = yes\ntls_ca_cert_file = /nonexistent\n",
		  "TLS cannot be set up: " },
		{ "search_base = dc=test\nserver_host = http://x\n",
		  "parameter server_host: no LDAP server: http://x" },
		{ "search_base = dc=test\nrecursion_limit = 0\n", "parameter recursion_limit: " },
		{ "search_base = dc=test\ndomain = /nonexistent\n", "open /nonexistent: " },
		{ "search_base = dc=test\ntls_require_cert = maybe\n", "parameter tls_require_cert: " },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char name[32], spec[200];
		struct ost_why why = { "" };
		snprintf(name, sizeof name, "bad%zu.cf", i);
		snprintf(spec, sizeof spec, "ldap:%s", fixture_file(&fix, name, bad[i].lines));
		table_open(fix.view, spec, &why);
		if (!strstr(why.text, bad[i].complaint))
			fail_msg("%s: %s", bad[i].lines, why.text);
	}
}

static void silent(const char *scheme, const char *more)
{
	char text[300];
	int port = 0, fd = server_silent(NULL, &port);
	snprintf(text, sizeof text, "server_host = %s://127.0.0.1:%d\nsearch_base = dc=test\ntimeout = 1\n%s",
		 scheme, port, more);
	outage_silent(lines_table(&fix, "ldap", text), "joe@x.test", CLOCK_SECOND);
	close(fd);
}

static void a_server_that_is_silent_is_left_alone(void **state)
{
	(void)state;
	silent("ldap", "");
	silent("ldap", "bind = no\n");
	silent("ldap", "start_tls = yes\n");
	silent("ldaps", "");
	silent("ldaps", "bind = no\n");
	silent("ldap", "bind = sasl\nsasl_mechs = SCRAM-SHA-1\nbind_dn = x\nbind_pw = y\n");
}

/* ---- with one ------------------------------------------------------------------------------------------------------------- */

static struct table *table(const char *more)
{
	char text[800];
	snprintf(text, sizeof text,
		 "server_host = %s\nsearch_base = dc=test\nquery_filter = (mailacceptinggeneralid=%%s)\n%s",
		 url, more);
	return lines_table(&fix, "ldap", text);
}

static void expect_failure(struct table *t, const char *key, const char *reason)
{
	struct lookup found;
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), OST_TEMPFAIL);
	if (!strstr(found.why.text, reason))
		fail_msg("%s is not in: %s", reason, found.why.text);
}

static void passwords_are_never_shown(void **state)
{
	(void)state;
	need_slapd();
	struct table *bad = table("bind_dn = cn=reader,dc=test\nbind_pw = a-wrong-secret\ndebuglevel = -1\n");
	expect_failure(bad, "secret@x.test", "bind: Invalid credentials");
	assert_true(fixture_logged(&fix, "bind: Invalid credentials"));
	assert_true(fixture_logged(&fix, table_name(bad)));
	struct table *good = table("bind_dn = cn=reader,dc=test\nbind_pw = the-right-one\ndebuglevel = -1\n");
	lines_expect(good, a, "secret@x.test", "secret@mail.test");
	assert_true(fixture_logged(&fix, "libldap: ldap_search"));
	assert_false(fixture_logged(&fix, "a-wrong-secret"));
	assert_false(fixture_logged(&fix, "the-right-one"));
	int off = 0;
	ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &off);
}

/* As who the socket's other end is; and with a password that is not sent. */
static void sasl_works(void **state)
{
	(void)state;
	need_slapd();
	lines_expect(
		table("bind = sasl\nsasl_mechs = SCRAM-SHA-1\nbind_dn = reader\nbind_pw = the-right-one\n"),
		a, "secret@x.test", "secret@mail.test");
	expect_failure(
		table("bind = sasl\nsasl_mechs = SCRAM-SHA-1\nbind_dn = reader\nbind_pw = a-wrong-one\n"),
		"secret@x.test", "SASL bind: Invalid credentials");
	lines_expect(table("bind = sasl\nsasl_mechs = EXTERNAL\n"), a, "joe@x.test",
		     "joe@mail.test,joe@base.test");
	expect_failure(table("bind = sasl\nsasl_mechs = NO-SUCH-ONE\n"), "joe@x.test", "SASL bind: ");
}

static void a_server_that_falls_silent_is_no_answer(void **state)
{
	(void)state;
	need_slapd();
	struct table *t = table("timeout = 1\n");
	lines_expect(t, a, "jane@x.test", "jane@mail.test,jane2@mail.test");
	server_freeze(&slapd);
	expect_failure(t, "jane@x.test", "Timed out");
	expect_failure(t, "nobody", "Timed out");
	server_unfreeze(&slapd);
}

static void the_next_server_is_asked(void **state)
{
	(void)state;
	need_slapd();
	char text[500];
	snprintf(text, sizeof text,
		 "server_host = ldapi://%%2Fnonexistent ldap://127.0.0.1:1 %s\nsearch_base = "
		 "dc=test\nquery_filter = (cn=%%u)\n",
		 url);
	lines_expect(lines_table(&fix, "ldap", text), a, "jane@x.test", "jane@mail.test,jane2@mail.test");
}

static void a_restart_is_survived(void **state)
{
	(void)state;
	need_slapd();
	outage_restarts(table("special_result_attribute = memberdn\nconnections = 5\n"), &slapd,
			"team@x.test", "joe@mail.test,jane@mail.test,jane2@mail.test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_quoted),
		cmocka_unit_test(servers_become_urls),
		cmocka_unit_test(attributes_have_kinds),
		cmocka_unit_test(bad_parameters_are_refused),
		cmocka_unit_test(a_server_that_is_silent_is_left_alone),
		cmocka_unit_test(passwords_are_never_shown),
		cmocka_unit_test(sasl_works),
		cmocka_unit_test(a_server_that_falls_silent_is_no_answer),
		cmocka_unit_test(the_next_server_is_asked),
		cmocka_unit_test(a_restart_is_survived),
	};
	return cmocka_run_group_tests_name("ldap", tests, start, stop);
}
