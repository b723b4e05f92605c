/* SPDX-License-Identifier: Apache-2.0
 * DATA, the two ways in which lines reach the spool: rewritten one by one, and left as they are on the wire
 * while a message goes to a file. Whatever a client sends, in whatever pieces, both store the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/smtpd/stage.h"

enum { TEXT = 16 * 1024, ROUNDS = 150 };

#define BASICS                                                                                               \
	"compatibility_level = 3.6\nmyhostname = mx.test\nmydestination = mx.test\nlocal_recipient_maps =\n" \
	"mynetworks = 192.0.2.0/24\nsmtpd_peername_lookup = no\nsmtpd_forbid_bare_newline_exclusions =\n"

static struct stage st;

static unsigned seed = 7;

static unsigned draw(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % below;
}

static size_t put(char *p, const char *text)
{
	memcpy(p, text, strlen(text));
	return strlen(text);
}

/* A body that does not end the message: mostly lines as they should be, and all that may be wrong with them.
 */
static size_t random_body(char *p)
{
	static const char *const odd[] = { "\n",     "\r",         ".",       "\r\n.",   "\r\n..",
					   "\n.",    "\n.\n",      "\r\n.\n", "\r\n.\r", "\r\r\n",
					   "\n\r\n", "\r\n.x\r\n", "\n.\r\n", "\r\n\r\n" };
	unsigned rare = 1 + draw(60);
	size_t n = 0, want = draw(TEXT - 6000);
	while (n < want) {
		unsigned run = draw(40) == 0 ? 4000 + draw(1500) : draw(150);
		memset(p + n, 'a' + (int)(run % 26), run);
		n += run;
		n += put(p + n, draw(rare) > 0 ? "\r\n" : odd[draw(sizeof odd / sizeof *odd)]);
	}
	n += put(p + n, "x\r\n");
	for (size_t i = 0; i + 5 <= n; i++)
		if (memcmp(p + i, "\r\n.\r\n", 5) == 0)
			p[i + 2] = 'x';
	return n;
}

/* Sends a message in pieces, and answers what was stored of it behind our own headers; the caller frees it.
 */
static char *store(const char *body, size_t n, uint64_t threshold, enum ticket_home home, size_t *len)
{
	static const char start[] = "MAIL FROM:<a@b.test>\r\nRCPT TO:<joe@mx.test>\r\nDATA\r\n",
			  header[] = "Subject: y\r\n\r\n";
	struct spool_stored m;
	struct ost_why why = { "" };
	struct client *c = client_new(&st);
	st.server->spool->options.file_threshold = threshold;
	client_say(c, "EHLO c.test\r\n");
	assert_non_null(strstr(client_say(c, start), "354 "));
	assert_string_equal(client_say(c, header), "");
	const char *got = "";
	for (size_t at = 0, part; at < n; at += part) {
		assert_string_equal(got, "");
		part = 1 + draw(draw(3) ? 8000 : 20);
		part = part < n - at ? part : n - at;
		got = client_send(c, body + at, part);
	}
	got = client_say(c, ".\r\n");
	if (strncmp(got, "250 2.0.0 Ok: queued as ", 24) != 0)
		fail_msg("%s", got);
	client_free(&c);
	assert_int_equal(st.last.home, home);
	if (spool_fetch(st.server->spool, &st.last, sizeof st.last, &m, &why) != FETCH_OK)
		fail_msg("%s", why.text);
	char *text = mem_zalloc(m.size + 1);
	assert_int_equal(spool_stored_read(&m, 0, text, m.size), m.size);
	assert_int_equal(m.env->size, m.size);
	char *subject = memmem(text, m.size, "\nSubject: y\n", 12);
	assert_non_null(subject);
	*len = m.size - (size_t)(subject - text);
	memmove(text, subject, *len);
	spool_stored_free(&m);
	return text;
}

static void both_ways_store_the_same(void **state)
{
	(void)state;
	static char body[TEXT];
	for (int round = 0; round < ROUNDS; round++) {
		size_t n = random_body(body), slow_len, fast_len;
		char *slow = store(body, n, 1 << 20, TICKET_JOURNAL, &slow_len);
		char *fast = store(body, n, 1, TICKET_FILE, &fast_len);
		assert_int_equal(fast_len, slow_len);
		assert_memory_equal(fast, slow, slow_len);
		free(slow);
		free(fast);
	}
}

/* Through a large message: what ends it, and what does not, in a piece of its own and at its borders. */
static void the_end_is_where_it_is(void **state)
{
	(void)state;
	static const char *const not_the_end[] = { "\n.\n",   "\n.\r\n", "\r\n.\n",
						   "\r.\r\n", "\r\n.\r", "\r\n.\rx\r\n" };
	char line[80], text[20000];
	memset(line, 'x', sizeof line);
	memcpy(line + 78, "\r\n", 2);
	for (size_t i = 0; i < sizeof not_the_end / sizeof *not_the_end; i++)
		for (size_t shift = 0; shift < 70; shift++) {
			size_t n = 0, len;
			for (int k = 0; k < 10; k++, n += sizeof line)
				memcpy(text + n, line, sizeof line);
			memset(text + n, 'y', shift);
			n += shift;
			n += put(text + n, not_the_end[i]);
			n += put(text + n, "smuggled\r\n");
			char *stored = store(text, n, 1, TICKET_FILE, &len);
			assert_memory_equal(stored + len - 9, "smuggled\n", 9);
			free(stored);
		}
}

static int open_stage(const char *main_cf)
{
	stage_open(&st, main_cf);
	return 0;
}

static int normalizing(void **state)
{
	(void)state;
	return open_stage(BASICS);
}

static int keeping_cr(void **state)
{
	(void)state;
	return open_stage(BASICS "cleanup_replace_stray_cr_lf = no\n");
}

static int close_stage(void **state)
{
	(void)state;
	stage_close(&st);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_ways_store_the_same, normalizing, close_stage),
		cmocka_unit_test_setup_teardown(both_ways_store_the_same, keeping_cr, close_stage),
		cmocka_unit_test_setup_teardown(the_end_is_where_it_is, normalizing, close_stage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
