/* SPDX-License-Identifier: Apache-2.0
 * Limits of clients: what is counted as one client, and what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "process/rates.h"
#include "smtpd/limits.h"
#include "tests/unit/smtpd/stage.h"

static struct stage st;
static struct rate_table table;

static int setup(void **state)
{
	(void)state;
	rates_attach(&table, 1);
	stage_open(&st, "compatibility_level = 3.6\nmyhostname = mx.test\nmydestination = mx.test\nlocal_recipient_maps =\n"
			"mynetworks = 198.51.100.0/24\nsmtpd_peername_lookup = no\nsmtpd_client_ipv4_prefix_length = 24\n"
			"anvil_rate_time_unit = 1d\nsmtpd_client_message_rate_limit = 2\nsmtpd_client_recipient_rate_limit = 1\n"
			"smtpd_client_connection_rate_limit = 3\n");
	fixture_log(&st.fix);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&st);
	rates_attach(NULL, 0);
	return 0;
}

static void networks(void **state)
{
	(void)state;
	char room[INET6_ADDRSTRLEN];
	assert_string_equal(limits_network(room, AF_INET, "192.0.2.129", 32), "192.0.2.129");
	assert_string_equal(limits_network(room, AF_INET, "192.0.2.129", 25), "192.0.2.128");
	assert_string_equal(limits_network(room, AF_INET, "192.0.2.129", 8), "192.0.0.0");
	assert_string_equal(limits_network(room, AF_INET, "192.0.2.129", 0), "0.0.0.0");
	assert_string_equal(limits_network(room, AF_INET6, "2001:db8:1:2:3:ffff:7:8", 84), "2001:db8:1:2:3:f000::");
	assert_string_equal(limits_network(room, AF_INET6, "2001:db8:1:2:3:ffff:7:8", 128), "2001:db8:1:2:3:ffff:7:8");
	assert_string_equal(limits_network(room, AF_UNIX, "unknown", 24), "unknown");
}

#define MAIL "MAIL FROM:<a@b.test>\r\n"

static void too_much_of_one_network(void **state)
{
	(void)state;
	struct client *c = client_new(&st);
	client_say(c, "EHLO c.test\r\n");
	assert_string_equal(client_say(c, MAIL "RCPT TO:<joe@mx.test>\r\nRCPT TO:<ann@mx.test>\r\nRSET\r\n"),
			    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n450 4.7.1 Error: too many recipients from 192.0.2.1\r\n"
			    "250 2.0.0 Ok\r\n");
	assert_string_equal(client_say(c, MAIL "RSET\r\n" MAIL), "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n"
								  "450 4.7.1 Error: too much mail from 192.0.2.1\r\n");
	assert_string_equal(client_say(c, "MAIL FOO\r\n"), "501 5.5.4 Syntax: MAIL FROM:<address>\r\n");
	client_free(&c);
	/* a line that is no MAIL was not counted, and the network was: this is its fourth */
	char key[64];
	snprintf(key, sizeof key, "%s:192.0.2.0", cfg_service_name(st.fix.view));
	assert_int_equal(rates_count(RATE_MESSAGES, key, clock_mono() / CLOCK_SECOND, 86400), 4);
}

static void too_many_connections(void **state)
{
	(void)state;
	for (int i = 2; i <= 3; i++) { /* the first was above */
		struct client *c = client_new(&st);
		assert_int_equal(strncmp(c->text, "220 ", 4), 0);
		client_free(&c);
	}
	struct client *c = client_new(&st);
	assert_string_equal(c->text, "421 4.7.0 mx.test Error: too many connections from 192.0.2.1\r\n(closed)");
	client_free(&c);
	assert_true(fixture_logged(&st.fix, "Connection rate limit exceeded: 4 from unknown[192.0.2.1] for service"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks),
		cmocka_unit_test(too_much_of_one_network),
		cmocka_unit_test(too_many_connections),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
