/* SPDX-License-Identifier: Apache-2.0
 * Questions and answers of the resolve process: broken tables, hostile bytes, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ipc/desk.h"
#include "resolve/answer.h"
#include "tests/support/fixture.h"

static struct fixture fix;
static struct resolver *resolver;
static struct arena *a;
static struct ipc_link *here, *there;

static int setup(void **state)
{
	int fds[2];
	struct ost_why why;
	(void)state;
	fixture_open(&fix,
		     "myhostname = mx.example.com\nmydestination = example.com\nvirtual_mailbox_domains = "
		     "hash:/nonexistent\n"
		     "local_recipient_maps =\nalias_maps =\n",
		     NULL);
	resolver = resolver_open(fix.view, &why);
	assert_string_not_equal(why.text, ""); /* the table that is not there */
	a = arena_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	here = ipc_link_new(fds[0], "resolve");
	there = ipc_link_new(fds[1], "qmgr");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ipc_link_destroy(&here);
	ipc_link_destroy(&there);
	arena_destroy(&a);
	resolver_close(&resolver);
	fixture_close(&fix);
	return 0;
}

static void put_ask(struct buf *b, uint64_t id, const char *address)
{
	size_t mark = tlv_open(b, F_ASK, 0);
	tlv_put_u64(b, F_ID, id);
	tlv_put_str(b, F_ADDRESS, address);
	tlv_put_str(b, F_SENDER, "");
	tlv_close(b, mark);
}

struct got {
	uint64_t id, verdict;
	char transport[64], dsn[16];
};

static void read_got(const struct tlv *group, struct got *g)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	*g = (struct got){ .verdict = 99 };
	while (tlv_next(&r, &f)) {
		if (f.type == F_ID)
			tlv_u64(&f, &g->id);
		else if (f.type == F_VERDICT)
			tlv_u64(&f, &g->verdict);
		else if (f.type == F_TRANSPORT)
			snprintf(g->transport, sizeof g->transport, "%.*s", (int)f.len, f.data);
		else if (f.type == F_DSN)
			snprintf(g->dsn, sizeof g->dsn, "%.*s", (int)f.len, f.data);
	}
}

/* Collects n answers by their ids. */
static void collect(struct got *list, size_t n)
{
	struct ipc_message m;
	for (size_t have = 0; have < n;) {
		assert_int_equal(ipc_receive(there, &m, clock_mono() + 10 * CLOCK_SECOND), IPC_GOT);
		assert_int_equal(m.type, M_RESOLVED);
		struct tlv_reader r = tlv_read(m.body, m.len);
		struct tlv f;
		while (tlv_next(&r, &f)) {
			struct got g;
			assert_int_equal(f.type, F_ANSWER);
			read_got(&f, &g);
			assert_in_range(g.id, 1, n);
			assert_int_equal(list[g.id - 1].id, 0);
			list[g.id - 1] = g;
			have++;
		}
	}
}

static void a_failing_table_defers_and_never_guesses(void **state)
{
	struct buf b = BUF_INIT;
	struct got got[3] = { 0 };
	(void)state;
	put_ask(&b, 1, "user@example.com"); /* local: the broken table is not needed */
	put_ask(&b, 2, "user@elsewhere.test");
	put_ask(&b, 3, "user@[bad");
	assert_true(resolve_answer(resolver, a, b.data, b.len, here));
	collect(got, 3);
	assert_int_equal(got[0].verdict, RESOLVE_OK);
	assert_string_equal(got[0].transport, "local");
	assert_int_equal(got[1].verdict, RESOLVE_DEFER);
	assert_string_equal(got[1].dsn, "4.3.0");
	assert_int_equal(got[2].verdict, RESOLVE_BOUNCE);
	assert_string_equal(got[2].dsn, "5.1.3");
	buf_free(&b);
}

static void bytes_that_are_no_question_are_refused(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	size_t mark = tlv_open(&b, F_ASK, 0); /* without an id */
	tlv_put_str(&b, F_ADDRESS, "user@example.com");
	tlv_close(&b, mark);
	assert_false(resolve_answer(resolver, a, b.data, b.len, here));
	assert_false(resolve_answer(resolver, a, "\x11\0\0\0\xff\xff\xff\xff", 8, here));
	assert_true(resolve_answer(resolver, a, "", 0, here));
	buf_free(&b);
}

static void questions_are_shared_out_whole(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	for (uint64_t i = 1; i <= 5; i++)
		put_ask(&b, i, "user@example.com");
	size_t one = b.len / 5;
	assert_int_equal(resolve_share(b.data, b.len, 2), 2 * one);
	assert_int_equal(resolve_share(b.data, b.len, 100), b.len);
	assert_int_equal(resolve_share(b.data, 3, 100), 0);
	buf_free(&b);
}

static void answer_one(void *ctx, struct arena *arena, const void *body, size_t len, struct ipc_link *link)
{
	(void)resolve_answer(ctx, arena, body, len, link);
}

static size_t share_one(const void *body, size_t len)
{
	return resolve_share(body, len, 8);
}

static void threads_answer_every_question_once(void **state)
{
	enum { N = 500 };
	struct buf b = BUF_INIT;
	struct got *got = test_calloc(N, sizeof *got);
	int fds[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	struct ipc_link *old = there;
	there = ipc_link_new(fds[1], "qmgr");
	struct client *c = client_new(ipc_link_new(fds[0], "resolve"));
	struct desk *d = desk_new(&(struct desk_work){ .answer = answer_one, .share = share_one, .ctx = resolver }, 4);
	for (uint64_t i = 1; i <= N; i++)
		put_ask(&b, i, i % 2 ? "user@example.com" : "user@elsewhere.test");
	desk_add(d, c, b.data, b.len);
	client_release(&c); /* the link stays until the last answer */
	collect(got, N);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(got[i].verdict, i % 2 ? RESOLVE_DEFER : RESOLVE_OK);
	desk_destroy(&d);
	struct ipc_message m;
	assert_int_equal(ipc_receive(there, &m, clock_mono() + CLOCK_SECOND), IPC_CLOSED);
	ipc_link_destroy(&there);
	there = old;
	test_free(got);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failing_table_defers_and_never_guesses),
		cmocka_unit_test(bytes_that_are_no_question_are_refused),
		cmocka_unit_test(questions_are_shared_out_whole),
		cmocka_unit_test(threads_answer_every_question_once),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
