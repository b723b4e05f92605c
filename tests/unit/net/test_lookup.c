/* SPDX-License-Identifier: Apache-2.0
 * Hosts by the system's ways, in time: getaddrinfo() is this file's, slow or wrong as a test wants it. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/lookup.h"
#include "tests/support/peer.h"

/* ---- the name service -------------------------------------------------------------------------------------------------- */

static const struct host {
	const char *name, *addresses[3];
	int error;
} hosts[] = {
	{ "one.test", { "127.0.0.1" }, 0 },        { "two.test", { "127.0.0.9", "127.0.0.1" }, 0 },
	{ "six.test", { "127.0.0.9", "::1" }, 0 }, { "slow.test", { "127.0.0.1" }, 0 },
	{ "again.test", { NULL }, EAI_AGAIN },
};
static atomic_bool held; /* slow.test waits */
static atomic_int calls, inside;

/* One link of the list, in one piece, as freeaddrinfo() expects it. */
static struct addrinfo *new_link(const char *text)
{
	struct addrinfo *link = calloc(1, sizeof *link + sizeof(struct sockaddr_in6));
	struct sockaddr_in *v4 = (void *)(link + 1);
	struct sockaddr_in6 *v6 = (void *)(link + 1);
	link->ai_addr = (void *)(link + 1);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		link->ai_family = v4->sin_family = AF_INET;
		link->ai_addrlen = sizeof *v4;
	} else {
		inet_pton(AF_INET6, text, &v6->sin6_addr);
		link->ai_family = v6->sin6_family = AF_INET6;
		link->ai_addrlen = sizeof *v6;
	}
	return link;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	(void)service;
	atomic_fetch_add(&calls, 1);
	atomic_fetch_add(&inside, 1);
	while (strncmp(name, "slow", 4) == 0 && atomic_load(&held))
		usleep(1000);
	atomic_fetch_sub(&inside, 1);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		if (strcmp(name, hosts[i].name) != 0)
			continue;
		struct addrinfo **end = result;
		for (size_t n = 0; hosts[i].addresses[n]; n++) {
			*end = new_link(hosts[i].addresses[n]);
			assert_true(hints->ai_family == AF_UNSPEC);
			end = &(*end)->ai_next;
		}
		return hosts[i].error;
	}
	return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;
		free(list);
		list = next;
	}
}

static int64_t in_ms(int64_t ms)
{
	return clock_mono() + ms * 1000;
}

static size_t find(const char *host, struct ost_address *list, size_t max, int64_t ms, struct ost_why *why)
{
	size_t n;
	bool ok = net_addresses(NULL, host, list, max, &n, in_ms(ms), why);
	assert_true(ok == (n > 0));
	return n;
}

/* ---- tests ------------------------------------------------------------------------------------------------------------- */

static void numbers_are_their_own_answer(void **state)
{
	(void)state;
	static const struct {
		const char *text, *address;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },       { "[192.0.2.1]", "192.0.2.1" }, { "::1", "::1" },
		{ "[2001:db8::1]", "2001:db8::1" }, { "fe80::1%lo", "fe80::1%lo" },
	};
	struct ost_address list[2];
	struct ost_why why;
	int before = atomic_load(&calls);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(find(rows[i].text, list, 2, 0, &why), 1);
		assert_string_equal(list[0].text, rows[i].address);
	}
	assert_int_equal(atomic_load(&calls), before);
}

static void names_have_addresses(void **state)
{
	(void)state;
	struct ost_address list[4];
	struct ost_why why = { "" };
	assert_int_equal(find("six.test", list, 4, 5000, &why), 2);
	assert_string_equal(list[0].text, "127.0.0.9");
	assert_string_equal(list[1].text, "::1");
	assert_int_equal(find("six.test", list, 1, 5000, &why), 1);
	assert_int_equal(find("no.test", list, 4, 5000, &why), 0);
	assert_string_equal(why.text, "host no.test: Name or service not known");
	assert_int_equal(find("again.test", list, 4, 5000, &why), 0);
	assert_string_equal(why.text, "host again.test: Temporary failure in name resolution");
	assert_int_equal(find("", list, 4, 5000, &why), 0);
}

/* Nobody waits longer than he may, one lookup serves all who ask, and the answer is there when it comes. */
static void a_name_service_that_hangs(void **state)
{
	(void)state;
	struct ost_address list[4];
	struct ost_why why = { "" };
	atomic_store(&held, true);
	int before = atomic_load(&calls);
	int64_t start = clock_mono();
	for (int i = 0; i < 5; i++) {
		assert_int_equal(find("slow.test", list, 4, 50, &why), 0);
		assert_string_equal(why.text, "host slow.test: its address was not found in time");
	}
	assert_true(clock_mono() - start < 5 * CLOCK_SECOND);
	assert_int_equal(atomic_load(&calls), before + 1);
	assert_int_equal(find("one.test", list, 4, 5000, &why), 1); /* others are not held up */
	atomic_store(&held, false);
	assert_int_equal(find("slow.test", list, 4, 5000, &why), 1);
	assert_string_equal(list[0].text, "127.0.0.1");
}

static void lookups_that_hang_are_limited(void **state)
{
	(void)state;
	struct ost_address list[1];
	struct ost_why why = { "" };
	char name[32];
	int i = 0;
	atomic_store(&held, true);
	do {
		snprintf(name, sizeof name, "slow%d.test", i);
		assert_int_equal(find(name, list, 1, 1, &why), 0);
	} while (!strstr(why.text, "too many host names") && ++i < 100);
	assert_int_equal(i, 32);
	atomic_store(&held, false);
	int64_t limit = in_ms(10000);
	while (find("one.test", list, 1, 1000, &why) == 0)
		assert_true(clock_mono() < limit);
}

static void nothing(void *ctx, int fd)
{
	char byte;
	(void)ctx;
	while (peer_read(fd, &byte, 1))
		;
}

static void connections_go_to_the_address_that_answers(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct peer *p = peer_start("127.0.0.1", 0, nothing, NULL);
	char port[8];
	snprintf(port, sizeof port, "%u", (unsigned)peer_port(p));
	int fd = net_connect(NULL, "two.test", port, in_ms(5000), &why);
	assert_true(fd >= 0);
	close(fd);
	peer_stop(&p);
	assert_int_equal(net_connect(NULL, "two.test", port, in_ms(5000), &why), -1);
	char want[128];
	snprintf(want, sizeof want, "connect to two.test[127.0.0.1]:%s: Connection refused", port);
	assert_string_equal(why.text, want);
	assert_int_equal(net_connect(NULL, "/nonexistent/socket", "", in_ms(5000), &why), -1);
	assert_string_equal(why.text, "connect to /nonexistent/socket: No such file or directory");
}

static void ports(void **state)
{
	(void)state;
	static const struct {
		const char *port, *why;
	} rows[] = {
		{ "0", "no TCP port: 0" },
		{ "65536", "no TCP port: 65536" },
		{ "99999999999999999999", "no TCP port: 99999999999999999999" },
		{ "nosuchservice", "unknown service: nosuchservice/tcp" },
		{ "25x", "unknown service: 25x/tcp" },
		{ "", "unknown service: /tcp" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ost_why why = { "" };
		assert_int_equal(net_connect(NULL, "127.0.0.1", rows[i].port, in_ms(1000), &why), -1);
		assert_string_equal(why.text, rows[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_their_own_answer),
		cmocka_unit_test(names_have_addresses),
		cmocka_unit_test(a_name_service_that_hangs),
		cmocka_unit_test(lookups_that_hang_are_limited),
		cmocka_unit_test(connections_go_to_the_address_that_answers),
		cmocka_unit_test(ports),
	};
	int failures = cmocka_run_group_tests_name("hosts", tests, NULL, NULL);
	while (atomic_load(&inside) > 0)
		usleep(1000);
	return failures;
}
