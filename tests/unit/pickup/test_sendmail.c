/* SPDX-License-Identifier: Apache-2.0
 * What sendmail(1) reads: content, recipients in headers, pickup's answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "command/sendmail.h"

static void content_ends_at_a_dot_or_not(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
		bool dot_is_text;
	} cases[] = {
		{ "a\nb\n", "a\nb\n", false },     { "a\r\nb\r\n", "a\nb\n", false }, { "a\n.\nb\n", "a\n", false },
		{ "a\n.\nb\n", "a\n.\nb\n", true }, { "a\n.\r\nb\n", "a\n", false },  { ".\n", "", false },
		{ "a", "a\n", false },             { "", "", false },                { "a\n..\n.x\n", "a\n..\n.x\n", false },
		{ "a\n.", "a\n.\n", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT;
		int fd = io_memfd("in", cases[i].in, strlen(cases[i].in));
		assert_true(sendmail_read_content(fd, &b, 0, cases[i].dot_is_text));
		assert_string_equal(buf_str(&b), cases[i].out);
		buf_free(&b);
		close(fd);
	}
	int fd = io_memfd("in", "0123456789\n", 11);
	struct buf b = BUF_INIT;
	assert_false(sendmail_read_content(fd, &b, 10, false));
	buf_free(&b);
	close(fd);
}

static void recipients_in_headers(void **state)
{
	(void)state;
	static const struct {
		const char *content, *rcpts;
	} cases[] = {
		{ "To: a@b, C <c@d>\nCc: e\nBcc: f@g,\n h@i\nSubject: To: z\n\nTo: body@x\n", "a@b c@d e f@g h@i" },
		{ "To: a@b\nResent-To: r@s\nResent-Cc: t@u\n\n", "r@s t@u" },
		{ "Subject: x\n\nTo: a@b\n", "" },
		{ "To: undisclosed-recipients:;\n\n", "" },
		{ "To: a@b", "a@b" },
		{ "Reply-To: a@b\nResent-Reply-To: c@d\nTo: e@f\n\n", "e@f" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new();
		struct submission s = { 0 };
		struct buf b = BUF_INIT;
		sendmail_header_rcpts(a, &s, cases[i].content, strlen(cases[i].content));
		for (size_t k = 0; k < s.nrcpts; k++)
			buf_printf(&b, "%s%s", k ? " " : "", s.rcpts[k]);
		assert_string_equal(buf_str(&b), cases[i].rcpts);
		buf_free(&b);
		arena_destroy(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_ends_at_a_dot_or_not),
		cmocka_unit_test(recipients_in_headers),
	};
	return cmocka_run_group_tests_name("pickup/sendmail", tests, NULL, NULL);
}
