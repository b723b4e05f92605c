/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "mail/date.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "mail/received.h"

static void lines_that_start_headers(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		size_t len;
		enum header_id id;
	} cases[] = {
		{ "From: x", 4, HEADER_FROM },     { "FROM:x", 4, HEADER_FROM },       { "Subject : x", 7, HEADER_SUBJECT },
		{ "X-Other: x", 7, HEADER_OTHER }, { "From x y", 0, HEADER_OTHER },    { " From: x", 0, HEADER_OTHER },
		{ ": x", 0, HEADER_OTHER },        { "no colon", 0, HEADER_OTHER },    { "", 0, HEADER_OTHER },
		{ "R\xc3\xa9: x", 0, HEADER_OTHER }, { "message-ID:", 10, HEADER_MESSAGE_ID },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = header_name_len(cases[i].line, strlen(cases[i].line));
		assert_int_equal(n, cases[i].len);
		if (n)
			assert_int_equal(header_find(cases[i].line, n), cases[i].id);
	}
	for (int id = 1; id < HEADER_COUNT; id++)
		assert_int_equal(header_find(header_name((enum header_id)id), strlen(header_name((enum header_id)id))), id);
}

static void message_ids_are_found(void **state)
{
	(void)state;
	const char *id;
	size_t len;
	assert_true(header_message_id("(c) <a@b> x", 11, &id, &len));
	assert_memory_equal(id, "<a@b>", len);
	assert_false(header_message_id("<a b>", 5, &id, &len));
	assert_false(header_message_id("a@b", 3, &id, &len));
	assert_false(header_message_id("<a", 2, &id, &len));
}

static void status_codes_in_texts(void **state)
{
	(void)state;
	char dsn[DSN_SIZE];
	assert_int_equal(dsn_valid("5.7.1 x"), 5);
	assert_int_equal(dsn_valid("2.100.999"), 9);
	assert_int_equal(dsn_valid("5.7.1x"), 0);
	assert_int_equal(dsn_valid("3.7.1"), 0);
	assert_int_equal(dsn_valid("5.07.1"), 0);
	assert_int_equal(dsn_valid("5.7"), 0);
	assert_int_equal(dsn_valid("5.7000.1"), 0);
	assert_string_equal(dsn_split(dsn, "5.0.0", "4.3.2  later"), "later");
	assert_string_equal(dsn, "4.3.2");
	assert_string_equal(dsn_split(dsn, "5.0.0", "no code"), "no code");
	assert_string_equal(dsn, "5.0.0");
	dsn_set_class(dsn, '4');
	assert_string_equal(dsn, "4.0.0");
}

static void dates_are_rfc5322(void **state)
{
	(void)state;
	char text[MAIL_DATE_SIZE];
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	assert_string_equal(mail_date(text, 1164202200 * CLOCK_SECOND), "Wed, 22 Nov 2006 14:30:00 +0100 (CET)");
	setenv("TZ", "NST3:30", 1);
	tzset();
	assert_string_equal(mail_date(text, 1164202201 * CLOCK_SECOND), "Wed, 22 Nov 2006 10:00:01 -0330 (NST)");
	setenv("TZ", "UTC0", 1);
	tzset();
}

static void received_lines(void **state)
{
	(void)state;
	struct buf b = BUF_INIT;
	struct received r = { .helo = "mx.example", .name = "unknown", .address = "2001:db8::1", .by = "mail.example.org",
			      .mail_name = "Ostler", .protocol = "ESMTP", .queue_id = "ABCDEF0123", .recipient = "a b@c.d",
			      .when = 1164202203 * CLOCK_SECOND };
	received_smtp(&b, &r);
	assert_string_equal(buf_str(&b), "Received: from mx.example (unknown [IPv6:2001:db8::1])\n"
					 "\tby mail.example.org (Ostler) with ESMTP id ABCDEF0123\n"
					 "\tfor <\"a b\"@c.d>; Wed, 22 Nov 2006 13:30:03 +0000 (UTC)\n");
	buf_reset(&b);
	r.recipient = NULL;
	r.helo = NULL;
	r.address = "192.0.2.1";
	received_smtp(&b, &r);
	assert_string_equal(buf_str(&b), "Received: from unknown (unknown [192.0.2.1])\n"
					 "\tby mail.example.org (Ostler) with ESMTP id ABCDEF0123; "
					 "Wed, 22 Nov 2006 13:30:03 +0000 (UTC)\n");
	buf_reset(&b);
	received_local(&b, &r, 1000);
	assert_string_equal(buf_str(&b), "Received: by mail.example.org (Ostler, from userid 1000)\n"
					 "\tid ABCDEF0123; Wed, 22 Nov 2006 13:30:03 +0000 (UTC)\n");
	buf_reset(&b);
	message_id_make(&b, r.when, "ABC", "h.example");
	assert_string_equal(buf_str(&b), "<20061122133003.ABC@h.example>");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_start_headers), cmocka_unit_test(message_ids_are_found),
		cmocka_unit_test(status_codes_in_texts),    cmocka_unit_test(dates_are_rfc5322),
		cmocka_unit_test(received_lines),
	};
	return cmocka_run_group_tests_name("mail/header", tests, NULL, NULL);
}
