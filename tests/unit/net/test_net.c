/* SPDX-License-Identifier: Apache-2.0
 * Names, mail servers, connections; against a name server of our own. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fake_dns.h"
#include "net/connect.h"
#include "net/dns.h"
#include "net/self.h"
#include "net/servers.h"
#include "tests/support/fixture.h"

static const struct fake_record zone[] = {
	{ "a.test", DNS_A, "192.0.2.1", 0 },
	{ "a.test", DNS_AAAA, "2001:db8::1", 0 },
	{ "v6.test", DNS_AAAA, "2001:db8::6", 0 },
	{ "alias.test", 5, "a.test", 0 },
	{ "one.test", DNS_MX, "10 mx1.test", 0 },
	{ "mx1.test", DNS_A, "192.0.2.11", 0 },
	{ "two.test", DNS_MX, "20 mx2.test", 0 },
	{ "two.test", DNS_MX, "10 mx1.test", 0 },
	{ "mx2.test", DNS_A, "192.0.2.12", 0 },
	{ "null.test", DNS_MX, "0 .", 0 },
	{ "many.test", DNS_MX, "# mx1.test", 200 },
	{ "equal.test", DNS_MX, "10 many-a.test", 0 },
	{ "many-a.test", DNS_A, "192.0.2.#", 30 },
	{ "dangling.test", DNS_MX, "10 nowhere.test", 0 },
	{ "half.test", DNS_MX, "10 nowhere.test", 0 },
	{ "half.test", DNS_MX, "20 mx1.test", 0 },
	{ "sick.test", DNS_MX, "10 servfail.test", 0 },
	{ "servfail.test", 0, "2", 0 },
	{ "silent.test", 0, "-1", 0 },
	{ "silent2.test", 0, "-1", 0 },
	{ "text.test", DNS_TXT, "x046f6e6520" "0374776f", 0 },
	{ "spoofed.test", 0, "-2", 0 },
	{ "short.test", DNS_MX, "x", 0 },
	{ "short1.test", DNS_MX, "x00", 0 },
	{ "odd.test", DNS_MX, "x000a036120620474657374" "00", 0 },
	{ "odd.test", DNS_MX, "10 mx1.test", 0 },
	{ "numeric.test", DNS_MX, "10 192.0.2.99", 0 },
	{ "loop.test", DNS_MX, "10 lo.test", 0 },
	{ "loop.test", DNS_MX, "20 mx1.test", 0 },
	{ "lo.test", DNS_A, "127.0.0.1", 0 },
	{ "backup.test", DNS_MX, "5 mx1.test", 0 },
	{ "backup.test", DNS_MX, "10 lo.test", 0 },
	{ "backup.test", DNS_MX, "20 mx2.test", 0 },
	{ "own.test", DNS_MX, "10 proxy.test", 0 },
	{ "proxy.test", DNS_A, "192.0.2.77", 0 },
	{ "c0.test", 5, "c1.test", 0 },
	{ "c1.test", 5, "c0.test", 0 },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "a.test", 0 },
};

static struct fixture fix;
static struct fake_dns *server;
static struct arena *a;

static int setup(void **state)
{
	char main_cf[300], resolv[64];
	(void)state;
	server = fake_dns_start(zone, sizeof zone / sizeof *zone);
	snprintf(resolv, sizeof resolv, "/tmp/ostler-resolv-%d", (int)getpid());
	FILE *f = fopen(resolv, "we");
	fprintf(f, "# ours\nsearch example.org\nnameserver\t127.0.0.1@%u # port\n", fake_dns_port(server));
	fclose(f);
	snprintf(main_cf, sizeof main_cf,
		 "ostler_resolver_file = %s\ninet_interfaces = loopback-only\nproxy_interfaces = 192.0.2.77\n", resolv);
	fixture_open(&fix, main_cf, NULL);
	net_servers_init(fix.view);
	unlink(resolv);
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_destroy(&a);
	net_servers_end();
	fixture_close(&fix);
	fake_dns_stop(&server);
	return 0;
}

static int64_t soon(void)
{
	return clock_mono() + 5 * CLOCK_SECOND;
}

/* ---- names ------------------------------------------------------------------------------------------------------------------ */

static void names_are_looked_up(void **state)
{
	(void)state;
	struct dns_answer answer;
	struct ost_why why;
	assert_int_equal(dns_lookup(net_dns(), a, "a.test", DNS_A, soon(), &answer, &why), DNS_FOUND);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.list[0].text, "192.0.2.1");
	assert_int_equal(dns_lookup(net_dns(), a, "ALIAS.test", DNS_AAAA, soon(), &answer, &why), DNS_FOUND);
	assert_string_equal(answer.list[0].text, "2001:db8::1");
	assert_int_equal(dns_lookup(net_dns(), a, "1.2.0.192.in-addr.arpa", DNS_PTR, soon(), &answer, &why), DNS_FOUND);
	assert_string_equal(answer.list[0].text, "a.test");
	assert_int_equal(dns_lookup(net_dns(), a, "many.test", DNS_MX, soon(), &answer, &why), DNS_FOUND);
	assert_int_equal(answer.count, DNS_RECORDS_MAX);
}

static void failures_have_names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_outcome outcome;
		const char *text;
	} rows[] = {
		{ "nowhere.test", DNS_A, DNS_NO_NAME, "Host not found" },
		{ "v6.test", DNS_A, DNS_NO_DATA, "Host found but no data record of requested type" },
		{ "servfail.test", DNS_A, DNS_TRY_LATER, "Host not found, try again" },
		{ "c0.test", DNS_A, DNS_TRY_LATER, "Host not found, try again" },
		{ "", DNS_A, DNS_BAD, "Invalid host name" },
		{ "a..test", DNS_A, DNS_BAD, "Invalid host name" },
		{ ".test", DNS_A, DNS_BAD, "Invalid host name" },
		{ "a b.test", DNS_A, DNS_BAD, "Invalid host name" },
		{ "a\n.test", DNS_A, DNS_BAD, "Invalid host name" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test", DNS_A, DNS_BAD, "Invalid host name" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dns_answer answer;
		struct ost_why why = { .text = "" };
		assert_int_equal(dns_lookup(net_dns(), a, rows[i].name, rows[i].type, soon(), &answer, &why), rows[i].outcome);
		assert_string_equal(why.text, rows[i].text);
		assert_int_equal(answer.count, 0);
	}
}

static void answers_that_make_no_sense(void **state)
{
	(void)state;
	static const char *const names[] = { "short.test", "short1.test", "spoofed.test" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct dns_answer answer;
		struct ost_why why;
		enum dns_outcome o = dns_lookup(net_dns(), a, names[i], DNS_MX, clock_mono() + CLOCK_SECOND, &answer, &why);
		assert_true(o == DNS_BAD || o == DNS_TRY_LATER);
		assert_int_equal(answer.count, 0);
	}
	struct dns_answer answer; /* a record with a blank in its name does not spoil its neighbour */
	struct ost_why why;
	assert_int_equal(dns_lookup(net_dns(), a, "odd.test", DNS_MX, soon(), &answer, &why), DNS_FOUND);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.list[0].text, "mx1.test");
}

static void a_deadline_holds(void **state)
{
	(void)state;
	struct dns_answer answer;
	struct ost_why why;
	int64_t start = clock_mono();
	assert_int_equal(dns_lookup(net_dns(), a, "silent.test", DNS_A, start + CLOCK_SECOND / 5, &answer, &why), DNS_TRY_LATER);
	assert_true(clock_mono() - start < 3 * CLOCK_SECOND);
	assert_true(clock_mono() - start >= CLOCK_SECOND / 5);
}

static void answers_are_kept(void **state)
{
	(void)state;
	struct dns_answer answer;
	struct ost_why why = { .text = "" };
	assert_int_equal(dns_lookup(net_dns(), a, "mx2.test", DNS_A, soon(), &answer, &why), DNS_FOUND);
	assert_int_equal(dns_lookup(net_dns(), a, "nowhere2.test", DNS_A, soon(), &answer, &why), DNS_NO_NAME);
	unsigned before = fake_dns_questions(server);
	assert_int_equal(dns_lookup(net_dns(), a, "MX2.test", DNS_A, soon(), &answer, &why), DNS_FOUND);
	assert_string_equal(answer.list[0].text, "192.0.2.12");
	assert_int_equal(dns_lookup(net_dns(), a, "mx2.test", DNS_A, soon(), &answer, &why), DNS_FOUND);
	assert_int_equal(fake_dns_questions(server), before);
}

/* Two that never answer take no longer than one, and the others have their answers. */
static void several_are_asked_at_once(void **state)
{
	(void)state;
	struct dns_query list[] = {
		{ .name = "silent.test", .type = DNS_A },     { .name = "silent2.test", .type = DNS_A },
		{ .name = "equal.test", .type = DNS_MX },     { .name = "nowhere3.test", .type = DNS_A },
		{ .name = "not a name", .type = DNS_A },      { .name = "a.test", .type = DNS_A },
		{ .name = "text.test", .type = DNS_TXT },
	};
	int64_t start = clock_mono();
	dns_lookup_all(net_dns(), a, list, sizeof list / sizeof *list, start + 2 * CLOCK_SECOND);
	assert_true(clock_mono() - start < 4 * CLOCK_SECOND);
	static const enum dns_outcome outcomes[] = { DNS_TRY_LATER, DNS_TRY_LATER, DNS_FOUND, DNS_NO_NAME, DNS_BAD, DNS_FOUND, DNS_FOUND };
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		assert_int_equal(list[i].outcome, outcomes[i]);
	assert_string_equal(list[2].answer.list[0].text, "many-a.test");
	assert_string_equal(list[5].answer.list[0].text, "192.0.2.1");
	assert_string_equal(list[6].answer.list[0].text, "one two");
	dns_lookup_all(net_dns(), a, NULL, 0, soon());
}

static void *look_up_many(void *arg)
{
	struct arena *mine = arena_new();
	size_t found = 0;
	for (int i = 0; i < 50; i++) {
		struct dns_answer answer;
		struct ost_why why;
		const char *name = zone[(size_t)i % 9].name;
		found += dns_lookup(net_dns(), mine, name, zone[(size_t)i % 9].type == 5 ? DNS_A : (enum dns_type)zone[(size_t)i % 9].type,
				    soon(), &answer, &why) == DNS_FOUND;
	}
	arena_destroy(&mine);
	*(size_t *)arg = found;
	return NULL;
}

static void many_threads_ask(void **state)
{
	(void)state;
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	size_t found[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up_many, &found[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(found[i], 50);
	}
}

static void wire_names(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		const char *text; /* NULL: refused */
	} rows[] = {
		{ "\1a\1b", 5, "a.b" },   { "", 1, "" },          { "", 0, NULL },        { "\1a", 2, NULL },
		{ "\1a\1b\0x", 6, NULL }, { "\2a\0", 4, NULL },    { "\2a.", 4, NULL },    { "\300\0", 2, NULL },
		{ "\1_\1-", 5, "_.-" },   { "\77", 1, NULL },      { "\1\n", 3, NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[256] = "?";
		bool good = dns_wire_name((const uint8_t *)rows[i].bytes, rows[i].len, text);
		assert_int_equal(good, rows[i].text != NULL);
		if (good)
			assert_string_equal(text, rows[i].text);
	}
}

static void wire_texts(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} rows[] = {
		{ "", 0, NULL }, { "\0", 1, "" }, { "\3abc", 4, "abc" }, { "\1a\2bc", 5, "abc" }, { "\3ab", 3, NULL },
		{ "\1a\377b", 4, NULL }, { "\1a\0\1b", 5, "ab" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *text = dns_wire_text(a, (const uint8_t *)rows[i].bytes, rows[i].len);
		assert_int_equal(text != NULL, rows[i].text != NULL);
		if (text)
			assert_string_equal(text, rows[i].text);
	}
	uint8_t large[65536]; /* bounded */
	memset(large, 255, sizeof large);
	assert_true(strlen(dns_wire_text(a, large, 256 * 255)) <= DNS_TEXT_MAX);
}

static void resolv_conf(void **state)
{
	(void)state;
	char servers[DNS_SERVERS_MAX][DNS_SERVER_SIZE];
	assert_int_equal(dns_parse_resolv("", servers), 0);
	assert_int_equal(dns_parse_resolv("nameserver\nnameservers 1.2.3.4\n#nameserver 1.2.3.4\noptions x\n", servers), 0);
	assert_int_equal(dns_parse_resolv("nameserver 1.2.3.4\nnameserver \t::1@5353;x\nnameserver 3\nnameserver 4", servers), 3);
	assert_string_equal(servers[0], "1.2.3.4");
	assert_string_equal(servers[1], "::1@5353");
	assert_string_equal(servers[2], "3");
}

/* ---- mail servers ----------------------------------------------------------------------------------------------------------- */

static void servers_of_domains(void **state)
{
	(void)state;
	enum { MX = OST_SERVERS_MX, LOOPS = OST_SERVERS_LOOPS };
	static const struct {
		const char *domain;
		unsigned flags;
		enum ost_dns outcome;
		const char *servers; /* or what the reason says */
	} rows[] = {
		{ "one.test", MX, OST_DNS_OK, "mx1.test[192.0.2.11] " },
		{ "two.test", MX, OST_DNS_OK, "mx1.test[192.0.2.11] mx2.test[192.0.2.12] " },
		{ "a.test", MX, OST_DNS_OK, "a.test[192.0.2.1] a.test[2001:db8::1] " },
		{ "two.test", 0, OST_DNS_NOTFOUND, "name=two.test type=AAAA: Host found but no data record of requested type" },
		{ "v6.test", 0, OST_DNS_OK, "v6.test[2001:db8::6] " },
		{ "[a.test]", MX, OST_DNS_OK, "a.test[192.0.2.1] a.test[2001:db8::1] " },
		{ "[192.0.2.5]", MX, OST_DNS_OK, "192.0.2.5[192.0.2.5] " },
		{ "192.0.2.5", 0, OST_DNS_OK, "192.0.2.5[192.0.2.5] " },
		{ "[IPv6:2001:db8::5]", MX, OST_DNS_OK, "2001:db8::5[2001:db8::5] " },
		{ "2001:db8::5", 0, OST_DNS_OK, "2001:db8::5[2001:db8::5] " },
		{ "null.test", MX, OST_DNS_NULLMX, "Domain null.test does not accept mail (nullMX)" },
		{ "nowhere.test", MX, OST_DNS_NOTFOUND, "Name service error for name=nowhere.test type=AAAA: Host not found" },
		{ "dangling.test", MX, OST_DNS_NOTFOUND, "Name service error for name=nowhere.test type=AAAA: Host not found" },
		{ "half.test", MX, OST_DNS_OK, "mx1.test[192.0.2.11] " },
		{ "sick.test", MX, OST_DNS_TEMPFAIL, "Host not found, try again" },
		{ "servfail.test", MX, OST_DNS_TEMPFAIL, "name=servfail.test type=MX: Host not found, try again" },
		{ "numeric.test", MX, OST_DNS_OK, "192.0.2.99[192.0.2.99] " },
		{ "loop.test", MX, OST_DNS_OK, "lo.test[127.0.0.1] mx1.test[192.0.2.11] " },
		{ "loop.test", MX | LOOPS, OST_DNS_LOOP, "mail for loop.test loops back to myself" },
		{ "backup.test", MX | LOOPS, OST_DNS_OK, "mx1.test[192.0.2.11] " },
		{ "own.test", MX | LOOPS, OST_DNS_LOOP, "mail for own.test loops back to myself" },
		{ "[192.0.2.77]", MX | LOOPS, OST_DNS_LOOP, "loops back to myself" },
		{ "localhost", OST_SERVERS_NATIVE, OST_DNS_OK, "localhost[127.0.0.1] " },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ost_mx list[16];
		struct ost_why why = { .text = "" };
		size_t n;
		struct buf text = BUF_INIT;
		enum ost_dns o = net_mail_servers(NULL, rows[i].domain, rows[i].flags, list, 16, &n, soon(), &why);
		for (size_t k = 0; k < n; k++)
			buf_printf(&text, "%s[%s] ", list[k].host, list[k].address);
		if (o != rows[i].outcome || !strstr(n ? buf_str(&text) : why.text, rows[i].servers))
			fail_msg("%s: outcome %d, servers %s, %s", rows[i].domain, o, buf_str(&text), why.text);
		buf_free(&text);
	}
}

static void the_list_is_bounded_and_shuffled(void **state)
{
	(void)state;
	struct ost_mx list[32];
	struct ost_why why;
	size_t n;
	bool moved = false;
	assert_int_equal(net_mail_servers(NULL, "many.test", OST_SERVERS_MX, list, 5, &n, soon(), &why), OST_DNS_OK);
	assert_int_equal(n, 5);
	for (int round = 0; round < 20 && !moved; round++) {
		unsigned seen = 0;
		assert_int_equal(net_mail_servers(NULL, "equal.test", OST_SERVERS_MX | OST_SERVERS_SHUFFLE, list, 32, &n, soon(),
						  &why), OST_DNS_OK);
		assert_int_equal(n, 30);
		for (size_t i = 0; i < n; i++) {
			unsigned last = (unsigned)strtoul(strrchr(list[i].address, '.') + 1, NULL, 10);
			seen |= 1u << last;
			moved |= last != i;
		}
		assert_int_equal(seen, (1u << 30) - 1);
	}
	assert_true(moved);
}

/* ---- connections ------------------------------------------------------------------------------------------------------------ */

static void connections(void **state)
{
	(void)state;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	socklen_t len = sizeof to, size = sizeof from;
	struct ost_why why = { .text = "" };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	uint16_t port = ntohs(to.sin_port);
	int fd = net_tcp_connect("127.0.0.1", port, "127.0.0.2", soon(), &why);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	int other = accept(listener, (struct sockaddr *)&from, &size);
	assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f000002);
	close(other);
	close(fd);
	assert_int_equal(net_tcp_connect("127.0.0.1", port, "192.0.2.1", soon(), &why), -1);
	assert_string_equal(why.text, "cannot bind to 192.0.2.1: Cannot assign requested address");
	assert_int_equal(net_tcp_connect("localhost", port, NULL, soon(), &why), -1);
	close(listener);
	assert_int_equal(net_tcp_connect("127.0.0.1", port, NULL, soon(), &why), -1);
	assert_string_equal(why.text, "Connection refused");
	assert_int_equal(net_unix_connect("/nonexistent/socket", soon(), &why), -1);
	assert_string_equal(why.text, "No such file or directory");
}

static void own_addresses(void **state)
{
	(void)state;
	struct self *s = self_new(fix.view);
	assert_true(self_owns(s, "192.0.2.77"));
	assert_false(self_owns(s, "192.0.2.78"));
	assert_false(self_owns(s, "not an address"));
	self_destroy(&s);
	static const char *const loops[] = { "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1" };
	for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
		assert_true(self_is_loopback(loops[i]));
	assert_false(self_is_loopback("192.0.2.1"));
	assert_false(self_is_loopback("2001:db8::1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wire_names),
		cmocka_unit_test(wire_texts),
		cmocka_unit_test(resolv_conf),
		cmocka_unit_test(names_are_looked_up),
		cmocka_unit_test(failures_have_names),
		cmocka_unit_test(answers_that_make_no_sense),
		cmocka_unit_test(a_deadline_holds),
		cmocka_unit_test(answers_are_kept),
		cmocka_unit_test(several_are_asked_at_once),
		cmocka_unit_test(many_threads_ask),
		cmocka_unit_test(servers_of_domains),
		cmocka_unit_test(the_list_is_bounded_and_shuffled),
		cmocka_unit_test(connections),
		cmocka_unit_test(own_addresses),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
