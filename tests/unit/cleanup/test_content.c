/* SPDX-License-Identifier: Apache-2.0
 * The content pipeline: what goes in, in blocks of every size, and what reaches the spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cleanup/cleanup.h"
#include "mail/wireform.h"
#include "tests/support/fixture.h"

static struct fixture fix;
static struct cleaner *cleaner;
static struct buf stored; /* what the spool got */

/* In place of the spool's. */
void spool_draft_write(struct spool_draft *d, const void *p, size_t n)
{
	(void)d;
	buf_add(&stored, p, n);
}

static bool streaming; /* the draft goes to a file */

bool spool_draft_takes_wire(const struct spool_draft *d)
{
	(void)d;
	return streaming && (stored.len == 0 || stored.data[stored.len - 1] == '\n');
}

void spool_draft_write_wire(struct spool_draft *d, const void *p, size_t n, const struct wire_tally *t)
{
	bool in_line = false;
	size_t used;
	(void)d;
	assert_true(spool_draft_takes_wire(d));
	buf_reserve(&stored, n);
	size_t len = wire_decode(&in_line, p, n, true, stored.data + stored.len, &used);
	assert_int_equal(len, t->lf_size);
	stored.len += len;
	stored.data[stored.len] = '\0';
}

static int setup(void **state)
{
	(void)state;
	fixture_open(&fix, "myhostname = mx.example.com\nmydomain = example.com\nmyorigin = example.com\nheader_size_limit = 200\n"
			   "hopcount_limit = 5\nmessage_drop_headers = bcc, return-path, content-length, x-secret\n",
		     NULL);
	struct ost_why why = { "" };
	cleaner = cleaner_open(fix.view, fix.view, &why);
	assert_string_equal(why.text, "");
	setenv("TZ", "UTC0", 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cleaner_close(&cleaner);
	fixture_close(&fix);
	buf_free(&stored);
	return 0;
}

struct outcome {
	enum cleanup_status status;
	char id[100];
};

/* Runs one message through, in blocks of `block` bytes. */
static struct outcome run(const char *text, size_t block, struct cleanup_info info)
{
	struct outcome out;
	struct arena *a = arena_new();
	const char *id;
	size_t len = strlen(text);
	if (!info.queue_id)
		info.queue_id = "ABC";
	if (!info.sender)
		info.sender = "joe@example.com";
	info.arrival = 1164202203 * CLOCK_SECOND;
	buf_reset(&stored);
	struct cleanup *c = cleanup_begin(cleaner, a, NULL, &info);
	cleanup_own_header(c, "Received: here\n", 15);
	for (size_t at = 0; at < len; at += block)
		cleanup_write(c, text + at, len - at < block ? len - at : block);
	out.status = cleanup_finish(c, &id);
	snprintf(out.id, sizeof out.id, "%s", id ? id : "");
	arena_destroy(&a);
	return out;
}

static void what_becomes_of_content(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "Subject: x\n\nbody\n", "Subject: x\n\nbody\n" },
		{ "Subject: x\n folded\n\tmore\nTo: y\n\nbody\n", "Subject: x\n folded\n\tmore\nTo: y\n\nbody\n" },
		{ "", "" },
		{ "\n", "\n" },
		{ "\nbody\n", "\nbody\n" },
		{ "\nSubject: in the body\n", "\nSubject: in the body\n" },
		{ "no header\n", "\nno header\n" },
		{ " blank\nSubject: x\n", "\n blank\nSubject: x\n" },
		{ "Subject: only", "Subject: only\n" },
		{ "Subject: x\nno header\nTo: z\n", "Subject: x\n\nno header\nTo: z\n" },
		{ "From a@b\n>From c\nSubject: x\n\n", "X-Mailbox-Line: From a@b\nX-Mailbox-Line: >From c\nSubject: x\n\n" },
		{ "Subject: x\nFrom a@b\n", "Subject: x\n\nFrom a@b\n" },
		{ "Bcc: a,\n b\nSubject: x\nReturn-Path: <y>\nX-SECRET: z\n\nx\n", "Subject: x\n\nx\n" },
		{ "Bcc: a\n", "" },
		{ "Subject : x\n\n", "Subject : x\n\n" },
		{ ": x\n", "\n: x\n" },
		{ "Subject: x\n\nno line end", "Subject: x\n\nno line end\n" },
		{ "A:\n\n\n\n", "A:\n\n\n\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t block = 1; block <= strlen(cases[i].in) + 1; block++) {
			struct outcome got = run(cases[i].in, block, (struct cleanup_info){ 0 });
			assert_int_equal(got.status, CLEANUP_OK);
			assert_memory_equal(stored.data, "Received: here\n", 15);
			assert_string_equal(stored.data + 15, cases[i].out);
		}
	}
}

static void what_is_missing_is_added(void **state)
{
	(void)state;
	static const char date[] = "Date: Wed, 22 Nov 2006 13:30:03 +0000 (UTC)\n";
	static const char id[] = "Message-Id: <20061122133003.ABC@mx.example.com>\n";
	char want[500];
	for (size_t block = 1; block < 30; block++) {
		struct outcome got = run("To: x\n\nbody\n", block, (struct cleanup_info){ .add_missing = true });
		snprintf(want, sizeof want, "Received: here\nTo: x\n%s%sFrom: joe@example.com\n\nbody\n", id, date);
		assert_string_equal(stored.data, want);
		assert_string_equal(got.id, "<20061122133003.ABC@mx.example.com>");
	}
	struct outcome got = run("From: me\nDate: now\nMessage-ID: <own@id>\n\n", 100, (struct cleanup_info){ .add_missing = true });
	assert_string_equal(stored.data, "Received: here\nFrom: me\nDate: now\nMessage-ID: <own@id>\n\n");
	assert_string_equal(got.id, "<own@id>");
	run("Resent-To: x\nFrom: me\n\n", 100, (struct cleanup_info){ .add_missing = true, .sender = "" });
	snprintf(want, sizeof want, "Received: here\nResent-To: x\nFrom: me\nResent-%sResent-%sResent-From: MAILER-DAEMON@example.com\n\n",
		 id, date);
	assert_string_equal(stored.data, want);
	run("Date: x\nMessage-Id: <y>\n\n", 100, (struct cleanup_info){ .add_missing = true, .full_name = "Joe \"J\" \\ Doe" });
	assert_string_equal(stored.data, "Received: here\nDate: x\nMessage-Id: <y>\nFrom: \"Joe \\\"J\\\" \\\\ Doe\" <joe@example.com>\n\n");
}

/* While the draft takes lines in wire form, they go past, whatever came before them; else they do not. */
static void plain_lines_pass_as_they_are(void **state)
{
	(void)state;
	static const char *const starts[] = { "To: x\n\nbody\n", "To: x\n\nhalf a li", "To: x\n\n", "To: x\n", "body\n" };
	static const bool taken[] = { true, false, true, false, true };
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		for (int on = 0; on < 2; on++) {
			struct arena *a = arena_new();
			struct wire_tally tally = { 0 };
			const char *id;
			struct cleanup_info info = { .queue_id = "ABC", .sender = "", .size_limit = strlen(starts[i]) + 6 };
			buf_reset(&stored);
			streaming = on;
			struct cleanup *c = cleanup_begin(cleaner, a, NULL, &info);
			cleanup_write(c, starts[i], strlen(starts[i]));
			assert_int_equal(cleanup_takes_wire(c), on && taken[i]);
			if (cleanup_takes_wire(c)) {
				assert_int_equal(wire_plain_lines(&tally, "xx\r\ny\r\n", 7), 7);
				cleanup_write_wire(c, "xx\r\ny\r\n", 7, &tally);
				assert_string_equal(stored.data + stored.len - 5, "xx\ny\n");
				cleanup_write(c, "z", 1);
				assert_false(cleanup_takes_wire(c));
				assert_int_equal(cleanup_finish(c, &id), CLEANUP_OK);
				assert_string_equal(stored.data + stored.len - 7, "xx\ny\nz\n");
			} else {
				cleanup_abandon(c);
			}
			streaming = false;
			arena_destroy(&a);
		}
}

static void limits(void **state)
{
	(void)state;
	/* header_size_limit: what goes beyond it is dropped, the header stays one, and the next one is whole */
	char *text = malloc(3000);
	memset(text, 'y', 1000);
	memcpy(text, "X-Long: ", 8);
	snprintf(text + 1000, 2000, "\n z\nTo: x\n\nbody\n");
	for (size_t block = 1; block < 2000; block = block * 2 + 1) {
		assert_int_equal(run(text, block, (struct cleanup_info){ 0 }).status, CLEANUP_OK);
		const char *to = strstr(stored.data, "\nTo: x\n\nbody\n");
		assert_non_null(to);
		if (block < 200)
			assert_true(to - stored.data < 300);
	}
	/* a first line that is no header is not cut, however long */
	memset(text, 'z', 2000);
	text[2000] = '\n';
	text[2001] = '\0';
	for (size_t block = 1; block < 3000; block = block * 2 + 1) {
		run(text, block, (struct cleanup_info){ 0 });
		assert_int_equal(stored.len, 15 + 1 + 2001);
	}
	free(text);
	assert_int_equal(run("Received: a\nReceived: b\nReceived: c\n\n", 50, (struct cleanup_info){ 0 }).status, CLEANUP_OK);
	assert_int_equal(run("Received: a\nReceived: b\nReceived: c\nReceived: d\n\n", 50, (struct cleanup_info){ 0 }).status,
			 CLEANUP_HOPS);
	assert_int_equal(run("A: b\n\n0123456789", 5, (struct cleanup_info){ .size_limit = 16 }).status, CLEANUP_OK);
	assert_int_equal(run("A: b\n\n0123456789x", 5, (struct cleanup_info){ .size_limit = 16 }).status, CLEANUP_TOO_BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_becomes_of_content),
		cmocka_unit_test(what_is_missing_is_added),
		cmocka_unit_test(plain_lines_pass_as_they_are),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests_name("cleanup/content", tests, setup, teardown);
}
