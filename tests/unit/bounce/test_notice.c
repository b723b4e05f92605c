/* SPDX-License-Identifier: Apache-2.0
 * Notices: what is asked for, what is stored, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/tlv.h"
#include "bounce/store.h"
#include "tests/unit/spool/helper.h"

static char *path;
static struct spool *spool;
static struct spool_writer *writer;
static struct hint_catch hints;

static int setup(void **state)
{
	struct ost_why why;
	(void)state;
	path = scratch_spool();
	hints = (struct hint_catch){ .lock = PTHREAD_MUTEX_INITIALIZER };
	spool = spool_open(path, NULL, &why);
	writer = spool_writer_open(spool, catch_hint, &hints, &why);
	return spool && writer ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	spool_writer_close(&writer);
	spool_close(&spool);
	scratch_remove(path);
	buf_free(&hints.tickets);
	buf_free(&hints.hints);
	return 0;
}

static const struct notice_settings usual = {
	.myhostname = "mx.example.com",
	.myorigin = "example.com",
	.mail_name = "Ostler",
	.double_bounce = "double-bounce@example.com",
	.bounce_copies = "postmaster@example.com",
	.delay_copies = "postmaster@example.com",
	.double_bounces = "postmaster@example.com",
	.size_limit = 50000,
	.lifetime = 5 * 86400 * CLOCK_SECOND,
};

/* ---- making -------------------------------------------------------------------------------------------------- */

static const char content[] = "Received: from a\n\tby b\nSubject: hello\n\nThe body.\n.\nFrom here.\n";

/* Stores the message that notices will be about; its ticket goes to *q. */
static void store_original(struct notice_request *q, struct spool_envelope *env, const char *text, size_t len)
{
	struct spool_draft *d = spool_draft_new(writer);
	q->serial = spool_draft_serial(d);
	spool_draft_write(d, text, len);
	env->size = len;
	env->arrival = INT64_C(1795361830000000);
	assert_int_equal(spool_draft_commit_wait(&d, env), SPOOL_STORED);
	q->ticket_len = sizeof(struct ticket);
	q->ticket =
		arena_dup(q->arena, hints.tickets.data + hints.tickets.len - q->ticket_len, q->ticket_len);
}

static void put_result(struct buf *b, uint32_t rcpt, enum rcpt_status status, const char *address,
		       const char *dsn, const char *reason, const char *mta, const char *diagnostic)
{
	size_t mark = tlv_open(b, F_RESULT, 0);
	tlv_put_u64(b, F_RCPT, rcpt);
	tlv_put_u64(b, F_STATUS, status);
	tlv_put_str(b, F_ADDRESS, address);
	tlv_put_str(b, F_DSN, dsn);
	tlv_put_str(b, F_REASON, reason);
	tlv_put_str(b, F_MTA, mta);
	tlv_put_str(b, F_DIAGNOSTIC, diagnostic);
	tlv_close(b, mark);
}

static struct notice_request *request(enum notice_kind kind)
{
	struct notice_request *q = notice_request_new();
	q->kind = kind;
	q->round = 2;
	return q;
}

static void add_rcpt(struct notice_request *q, uint32_t rcpt, enum rcpt_status status, const char *address,
		     const char *dsn, const char *reason, const char *mta, const char *diagnostic)
{
	struct buf b = BUF_INIT;
	tlv_put_u64(&b, F_SERIAL, q->serial ? q->serial : 1);
	tlv_put_u64(&b, F_KIND, q->kind);
	tlv_put_u64(&b, F_ROUND, q->round);
	put_result(&b, rcpt, status, address, dsn, reason, mta, diagnostic);
	const struct ipc_message m = { .type = M_NOTICE, .body = b.data, .len = b.len };
	assert_true(notice_request_add(q, &m));
	buf_free(&b);
}

/* Every address stands for itself; "alias@" for two. */
static bool expand(void *ctx, struct arena *a, const char *address, const char ***list, size_t *count)
{
	bool works = *(bool *)ctx;
	*list = arena_alloc(a, 2 * sizeof **list);
	*count = 0;
	if (strncmp(address, "alias@", 6) == 0) {
		(*list)[(*count)++] = "one@example.org";
		(*list)[(*count)++] = "two@example.org";
	} else {
		(*list)[(*count)++] = address;
	}
	return works;
}

static bool store(const struct notice_settings *s, const struct notice_request *q)
{
	bool works = true;
	return notice_store(spool, writer, s, q, expand, &works);
}

/* ---- reading back -------------------------------------------------------------------------------------------- */

static size_t stored_count(void)
{
	return hints.tickets.len / sizeof(struct ticket);
}

/* The nth message that was stored, with its text. */
static char *stored(size_t n, struct spool_stored *m)
{
	struct ost_why why;
	assert_true(n < stored_count());
	assert_int_equal(spool_fetch(spool, hints.tickets.data + n * sizeof(struct ticket),
				     sizeof(struct ticket), m, &why),
			 FETCH_OK);
	char *text = test_malloc(m->size + 1);
	assert_int_equal(spool_stored_read(m, 0, text, m->size), m->size);
	text[m->size] = '\0';
	return text;
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("\"%s\" is missing in:\n%s", what, text);
}

static void assert_lacks(const char *text, const char *what)
{
	if (strstr(text, what))
		fail_msg("\"%s\" should not be in:\n%s", what, text);
}

/* The boundary's parts: as many, and closed at the end. */
static void assert_parts(const char *text, size_t parts)
{
	char boundary[256], line[300];
	const char *at = strstr(text, "boundary=\"");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "boundary=\"%200[^\"]", boundary), 1);
	snprintf(line, sizeof line, "\n--%s", boundary);
	size_t n = 0;
	for (at = strstr(text, line); at; at = strstr(at + 1, line))
		n++;
	assert_int_equal(n, parts + 1);
	snprintf(line, sizeof line, "\n--%s--\n", boundary);
	assert_string_equal(text + strlen(text) - strlen(line), line);
}

/* ---- tests --------------------------------------------------------------------------------------------------- */

static void a_failure_goes_back_to_the_sender(void **state)
{
	struct spool_rcpt rcpts[] = { { .address = "x@far.test", .orcpt = "rfc822;X+2@far.test" },
				      { .address = "y@far.test", .original = "alias@example.com" } };
	struct spool_envelope env = {
		.sender = "me@example.org", .envid = "env-1", .rcpts = rcpts, .nrcpts = 2
	};
	struct notice_request *q = request(NOTICE_FAILURE);
	struct spool_stored m;
	(void)state;
	store_original(q, &env, content, sizeof content - 1);
	add_rcpt(q, 0, RCPT_FAILED, "x@far.test", "5.1.1", "host mx.far.test said: 550 no such user",
		 "dns; mx.far.test", "smtp; 550 no such user");
	add_rcpt(q, 1, RCPT_FAILED, "y@far.test", "4.4.1", "connect to far.test: Connection refused", NULL,
		 NULL);
	assert_true(store(&usual, q));
	assert_int_equal(stored_count(), 2);
	char *text = stored(1, &m);
	assert_string_equal(m.env->sender, "");
	assert_int_equal(m.env->nrcpts, 1);
	assert_string_equal(m.env->rcpts[0].address, "me@example.org");
	assert_true(m.env->flags & MSG_NOTICE);
	assert_int_equal(m.env->notice_of, q->serial);
	assert_int_equal(m.env->notice_round, notice_round(2, NOTICE_FAILURE, false));
	assert_parts(text, 3);
	static const char *const wanted[] = {
		"\nFrom: Mail Delivery System <MAILER-DAEMON@example.com>\n",
		"\nSubject: Undelivered Mail Returned to Sender\n",
		"\nTo: me@example.org\n",
		"\nAuto-Submitted: auto-replied\n",
		"\nContent-Type: multipart/report; report-type=delivery-status;\n",
		"\nThis is the mail system at host mx.example.com.\n",
		"\n<x@far.test>: host mx.far.test said: 550 no such user\n",
		"\nContent-Type: message/delivery-status\n",
		"\nReporting-MTA: dns; mx.example.com\n",
		"\nOriginal-Envelope-Id: env-1\n",
		"\nX-Ostler-Sender: rfc822; me@example.org\n",
		"\nFinal-Recipient: rfc822; x@far.test\nOriginal-Recipient: rfc822; X+2@far.test\nAction: "
		"failed\n"
		"Status: 5.1.1\nRemote-MTA: dns; mx.far.test\nDiagnostic-Code: smtp; 550 no such user\n",
		"\nFinal-Recipient: rfc822; y@far.test\nOriginal-Recipient: "
		"rfc822;alias@example.com\nAction: failed\n"
		"Status: 4.4.1\nDiagnostic-Code: X-Ostler; connect to far.test: Connection refused\n",
		"\nContent-Type: message/rfc822\n\nReceived: from a\n\tby b\nSubject: hello\n\nThe "
		"body.\n.\nFrom here.\n",
	};
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		assert_has(text, wanted[i]);
	test_free(text);
	spool_stored_free(&m);
	notice_request_free(&q);
}

static void only_headers_go_back_when_that_is_wanted_or_it_is_large(void **state)
{
	struct spool_rcpt rcpt = { .address = "x@far.test" };
	static const struct {
		uint32_t ret;
		int64_t limit;
		enum notice_kind kind;
		bool whole;
	} cases[] = {
		{ RET_UNSET, 50000, NOTICE_FAILURE, true }, { RET_FULL, 50000, NOTICE_FAILURE, true },
		{ RET_HDRS, 50000, NOTICE_FAILURE, false }, { RET_FULL, 20, NOTICE_FAILURE, false },
		{ RET_FULL, 50000, NOTICE_DELAY, false },   { RET_UNSET, 50000, NOTICE_SUCCESS, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct spool_envelope env = {
			.sender = "me@x.test", .ret = cases[i].ret, .rcpts = &rcpt, .nrcpts = 1
		};
		struct notice_settings s = usual;
		struct notice_request *q = request(cases[i].kind);
		struct spool_stored m;
		s.size_limit = cases[i].limit;
		store_original(q, &env, content, sizeof content - 1);
		add_rcpt(q, 0, RCPT_FAILED, "x@far.test", "5.0.0", "no", NULL, NULL);
		assert_true(store(&s, q));
		char *text = stored(stored_count() - 1, &m);
		assert_has(text, "\nSubject: hello\n");
		if (cases[i].whole) {
			assert_has(text, "The body.");
		} else {
			assert_has(text, "\nContent-Type: text/rfc822-headers\n");
			assert_lacks(text, "The body.");
		}
		assert_parts(text, 3);
		test_free(text);
		spool_stored_free(&m);
		notice_request_free(&q);
	}
}

static void kinds_have_their_actions(void **state)
{
	static const struct {
		enum notice_kind kind;
		enum rcpt_status status;
		const char *mta, *action, *subject;
	} cases[] = {
		{ NOTICE_DELAY, RCPT_DEFERRED, NULL, "\nAction: delayed\n",
		  "\nSubject: Delayed Mail (still being retried)\n" },
		{ NOTICE_SUCCESS, RCPT_SENT_OWED, NULL, "\nAction: delivered\n",
		  "\nSubject: Successful Mail Delivery Report\n" },
		{ NOTICE_SUCCESS, RCPT_SENT_OWED, "dns; mx", "\nAction: relayed\n",
		  "\nSubject: Successful Mail Delivery Report\n" },
	};
	struct spool_rcpt rcpt = { .address = "x@far.test" };
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct spool_envelope env = { .sender = "me@x.test", .rcpts = &rcpt, .nrcpts = 1 };
		struct notice_request *q = request(cases[i].kind);
		struct spool_stored m;
		store_original(q, &env, content, sizeof content - 1);
		add_rcpt(q, 0, cases[i].status, "x@far.test", "2.0.0", "text", cases[i].mta, NULL);
		assert_true(store(&usual, q));
		char *text = stored(stored_count() - 1, &m);
		assert_has(text, cases[i].action);
		assert_has(text, cases[i].subject);
		assert_int_equal(strstr(text, "\nWill-Retry-Until: ") != NULL, cases[i].kind == NOTICE_DELAY);
		test_free(text);
		spool_stored_free(&m);
		notice_request_free(&q);
	}
}

static void the_postmaster_gets_what_nobody_else_can_be_told(void **state)
{
	struct spool_rcpt rcpt = { .address = "x@far.test" };
	struct spool_envelope env = { .sender = "", .rcpts = &rcpt, .nrcpts = 1 };
	struct notice_request *q = request(NOTICE_DOUBLE);
	struct spool_stored m;
	(void)state;
	store_original(q, &env, content, sizeof content - 1);
	add_rcpt(q, 0, RCPT_FAILED, "x@far.test", "5.0.0", "no", NULL, NULL);
	assert_true(store(&usual, q));
	assert_int_equal(stored_count(), 2);
	char *text = stored(1, &m);
	assert_string_equal(m.env->sender, usual.double_bounce);
	assert_string_equal(m.env->rcpts[0].address, "postmaster@example.com");
	assert_has(text, "\nSubject: Postmaster Copy: Undelivered Mail\n");
	test_free(text);
	spool_stored_free(&m);
	notice_request_free(&q);

	q = request(NOTICE_FAILURE); /* to <> nothing is sent */
	store_original(q, &env, content, sizeof content - 1);
	add_rcpt(q, 0, RCPT_FAILED, "x@far.test", "5.0.0", "no", NULL, NULL);
	assert_true(store(&usual, q));
	assert_int_equal(stored_count(), 3); /* the original alone */
	notice_request_free(&q);

	struct notice_settings copies = usual; /* notify_classes = bounce: he and the sender */
	copies.copy_bounces = true;
	env.sender = "me@x.test";
	q = request(NOTICE_FAILURE);
	store_original(q, &env, content, sizeof content - 1);
	add_rcpt(q, 0, RCPT_FAILED, "x@far.test", "5.0.0", "no", NULL, NULL);
	assert_true(store(&copies, q));
	assert_int_equal(stored_count(), 6);
	uint32_t rounds[2];
	for (size_t i = 0; i < 2; i++) {
		test_free(stored(4 + i, &m));
		rounds[i] = m.env->notice_round;
		spool_stored_free(&m);
	}
	assert_int_not_equal(rounds[0], rounds[1]);
	notice_request_free(&q);
}

static void a_sender_that_is_an_alias_is_told_at_all_its_addresses(void **state)
{
	struct spool_rcpt rcpt = { .address = "x@far.test" };
	struct spool_envelope env = { .sender = "alias@example.com", .rcpts = &rcpt, .nrcpts = 1 };
	struct notice_request *q = request(NOTICE_FAILURE);
	struct spool_stored m;
	bool works = false;
	(void)state;
	store_original(q, &env, content, sizeof content - 1);
	add_rcpt(q, 0, RCPT_FAILED, "x@far.test", "5.0.0", "no", NULL, NULL);
	assert_false(
		notice_store(spool, writer, &usual, q, expand, &works)); /* tables cannot be asked: later */
	assert_int_equal(stored_count(), 1);
	assert_true(store(&usual, q));
	char *text = stored(1, &m);
	assert_int_equal(m.env->nrcpts, 2);
	assert_string_equal(m.env->rcpts[1].address, "two@example.org");
	assert_string_equal(m.env->rcpts[1].original, "alias@example.com");
	assert_has(text, "\nTo: alias@example.com\n");
	test_free(text);
	spool_stored_free(&m);
	notice_request_free(&q);
}

static void hostile_texts_stay_in_their_lines(void **state)
{
	static const char eight[] = "Subject: gr\xc3\xbc\xc3\x9f"
				    "e\n\nbody\n";
	struct spool_rcpt rcpt = { .address = "x\nBcc: victim@x@far.test",
				   .orcpt = "rfc822;a\r\nBcc: victim@x" };
	struct spool_envelope env = { .sender = "me\r\nBcc: victim@x@x.test",
				      .envid = "e\n\nBcc: victim@x",
				      .rcpts = &rcpt,
				      .nrcpts = 1 };
	struct notice_request *q = request(NOTICE_FAILURE);
	struct spool_stored m;
	(void)state;
	store_original(q, &env, eight, sizeof eight - 1);
	add_rcpt(q, 0, RCPT_FAILED, rcpt.address, "5.0.0\nBcc: victim@x",
		 "no\r\n\r\nBcc: victim@x \x1b[2J\xff", "dns; a\nBcc: victim@x",
		 "smtp; 550 a\r\n.\r\nBcc: victim@x");
	assert_true(store(&usual, q));
	char *text = stored(1, &m);
	assert_lacks(text, "\nBcc:");
	assert_lacks(text, "\r");
	assert_lacks(text, "\x1b");
	assert_parts(text, 3);
	assert_has(
		text,
		"\nContent-Transfer-Encoding: 8bit\n"); /* what goes back has such bytes; the rest has not */
	assert_true(m.env->flags & MSG_8BITMIME);
	const char *end = strstr(text, "Content-Type: message/rfc822");
	for (const char *p = text; p < end; p++)
		assert_true((unsigned char)*p < 0x80);
	test_free(text);
	spool_stored_free(&m);
	notice_request_free(&q);
}

static void a_message_that_is_gone_is_not_told_about(void **state)
{
	struct notice_request *q = request(NOTICE_FAILURE);
	(void)state;
	q->serial = 4711;
	q->ticket = "nonsense";
	q->ticket_len = 8;
	add_rcpt(q, 0, RCPT_FAILED, "x@far.test", "5.0.0", "no", NULL, NULL);
	assert_false(store(&usual, q));
	assert_int_equal(stored_count(), 0);
	notice_request_free(&q);
}

static void requests_come_in_parts_and_nonsense_is_refused(void **state)
{
	struct buf b = BUF_INIT;
	struct notice_request *q = notice_request_new();
	uint64_t id;
	(void)state;
	for (unsigned part = 0; part < 3; part++) {
		buf_reset(&b);
		tlv_put_u64(&b, F_ID, 9);
		tlv_put_u64(&b, F_SERIAL, 5);
		tlv_put_u64(&b, F_ROUND, 0);
		tlv_put_u64(&b, F_KIND, NOTICE_FAILURE);
		put_result(&b, part, RCPT_FAILED, "x@far.test", NULL, NULL, NULL, NULL);
		if (part < 2)
			tlv_put_u64(&b, F_FLAGS, NOTICE_MORE);
		const struct ipc_message m = { .type = M_NOTICE, .body = b.data, .len = b.len };
		assert_true(notice_request_id(&m, &id) && id == 9);
		assert_true(notice_request_add(q, &m));
		assert_int_equal(q->complete, part == 2);
	}
	assert_int_equal(q->nrcpts, 3);
	notice_request_free(&q);
	static const struct ipc_message bad[] = {
		{ .body = "", .len = 0 },
		{ .body = "\x01\0\0\0\xff\xff\xff\x7f", .len = 8 },
	};
	for (size_t i = 0; i < 2; i++) {
		q = notice_request_new();
		assert_false(notice_request_add(q, &bad[i]));
		assert_false(notice_request_id(&bad[i], &id));
		notice_request_free(&q);
	}
	buf_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_failure_goes_back_to_the_sender),
		TEST(only_headers_go_back_when_that_is_wanted_or_it_is_large),
		TEST(kinds_have_their_actions),
		TEST(the_postmaster_gets_what_nobody_else_can_be_told),
		TEST(a_sender_that_is_an_alias_is_told_at_all_its_addresses),
		TEST(hostile_texts_stay_in_their_lines),
		TEST(a_message_that_is_gone_is_not_told_about),
		TEST(requests_come_in_parts_and_nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
