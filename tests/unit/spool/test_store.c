/* SPDX-License-Identifier: Apache-2.0
 * Storing and fetching: drafts, group commit, message files, results, serials. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static void small_and_large_are_stored_whole(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 0, 1, 100, 4096, 20000, 65536, 65537, 300000, 3000000 };
	char *long_prefix = mem_alloc(20001);
	memset(long_prefix, 'p', 20000);
	long_prefix[20000] = '\0';
	const char *const prefixes[] = { NULL, "Received: from here\n", long_prefix };
	unsigned n = 0;
	for (size_t p = 0; p < 3; p++)
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++, n++) {
			assert_int_equal(fixture_store(f, sizes[i], n, prefixes[p]), SPOOL_STORED);
			struct ticket t = fixture_ticket(f, n);
			assert_stored(f, &t, sizes[i], n, prefixes[p]);
		}
	free(long_prefix);
	char *endless = mem_alloc(SPOOL_PREPEND_MAX + 6000);
	memset(endless, 'p', SPOOL_PREPEND_MAX + 5999);
	endless[SPOOL_PREPEND_MAX + 5999] = '\0';
	assert_int_equal(fixture_store(f, 300000, 1, endless), SPOOL_FAILED);
	free(endless);
}

/* Files are written in whole blocks; how the content comes changes nothing. */
static void pieces_of_any_size_are_stored_whole(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 262144, 262145, 327680, 700000, 1500001 };
	static const size_t pieces[] = { 7, 4096, 65535, 65536, 65537, 131072, 250001, 262144, 2000000 };
	unsigned n = 0;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++, n++) {
			const char *prefix = n % 2 ? "Received: from here\n" : NULL;
			assert_int_equal(fixture_store_in_pieces(f, sizes[i], n, prefix, pieces[k]), SPOOL_STORED);
			struct ticket t = fixture_ticket(f, n);
			assert_stored(f, &t, sizes[i], n, prefix);
		}
}

static void serials_are_never_given_twice(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3000; i++) {
			struct spool_draft *d = spool_draft_new(f->writer);
			assert_true(spool_draft_serial(d) > last);
			last = spool_draft_serial(d);
			spool_draft_discard(&d);
		}
		fixture_close(f);
		fixture_open(f);
	}
	struct ost_why why;
	assert_true(serial_skip(f->spool, 1000000, &why));
	fixture_close(f);
	fixture_open(f);
	struct spool_draft *d = spool_draft_new(f->writer);
	assert_int_equal(spool_draft_serial(d), 1000001);
	spool_draft_discard(&d);
}

static void a_lost_serial_file_makes_no_serial_come_twice(void **state)
{
	struct fixture *f = *state;
	struct ost_why why;
	assert_int_equal(fixture_store(f, 100, 1, NULL), SPOOL_STORED);
	assert_int_equal(fixture_store(f, 300000, 2, NULL), SPOOL_STORED);
	struct ticket t = fixture_ticket(f, 1);
	char *file = mem_printf("%s/serial", f->path);
	fixture_close(f);
	assert_int_equal(unlink(file), 0);
	free(file);
	assert_true(spool_create(f->path, &why));
	fixture_open(f);
	struct spool_draft *d = spool_draft_new(f->writer);
	assert_true(spool_draft_serial(d) > t.serial + 100000);
	spool_draft_discard(&d);
}

static void a_full_journal_goes_on_in_files(void **state)
{
	struct fixture *f = *state;
	size_t files = 0;
	for (unsigned n = 0; n < 40; n++) {
		assert_int_equal(fixture_store(f, 40000, n, "Received: x\n"), SPOOL_STORED);
		struct ticket t = fixture_ticket(f, n);
		files += t.home == TICKET_FILE;
		assert_stored(f, &t, 40000, n, "Received: x\n");
	}
	assert_in_range(files, 10, 20); /* 4 segments of 256 KiB hold 5 or 6 each */
}

static void recycled_segments_are_gone(void **state)
{
	struct fixture *f = *state;
	struct ost_why why;
	struct segment_header h;
	struct spool_stored m;
	assert_int_equal(fixture_store(f, 100, 1, NULL), SPOOL_STORED);
	struct ticket t = fixture_ticket(f, 0);
	char name[SEGMENT_NAME];
	int fd = openat(f->spool->journal, segment_name(name, t.number), O_RDWR);
	assert_false(segment_recycle(&f->spool->journal_family, fd, &h, &why)); /* its writer holds it */
	spool_writer_close(&f->writer);
	assert_stored(f, &t, 100, 1, NULL);
	assert_true(segment_recycle(&f->spool->journal_family, fd, &h, &why));
	assert_int_equal(h.state, SEGMENT_FREE);
	assert_false(salt_equal(&h.salt, &t.salt));
	close(fd);
	assert_int_equal(spool_fetch(f->spool, &t, sizeof t, &m, &why), FETCH_GONE);
	spool_stored_free(&m);
	f->writer = spool_writer_open(f->spool, catch_hint, &f->hints, &why);
	assert_int_equal(fixture_store(f, 100, 2, NULL), SPOOL_STORED);
	struct ticket again = fixture_ticket(f, 1);
	assert_int_equal(again.at, t.at); /* the same place, another life */
	assert_int_equal(again.number, t.number);
	assert_int_equal(spool_fetch(f->spool, &t, sizeof t, &m, &why), FETCH_GONE);
	spool_stored_free(&m);
	assert_stored(f, &again, 100, 2, NULL);
}

/* ---- many threads ---------------------------------------------------------------------------- */

enum { THREADS = 16, EACH = 60 };
struct crowd {
	struct fixture *f;
	unsigned number;
	int stored;
};

static void *one_of_many(void *ctx)
{
	struct crowd *c = ctx;
	struct arena *a = arena_new();
	struct spool_envelope *e = plain_envelope(a, "a@example.com", "b@example.com");
	char content[3000];
	for (unsigned i = 0; i < EACH; i++) {
		struct spool_draft *d = spool_draft_new(c->f->writer);
		fill_content(content, sizeof content, (unsigned)spool_draft_serial(d));
		spool_draft_write(d, content, 100 + 29 * i);
		c->stored += spool_draft_commit_wait(&d, e) == SPOOL_STORED;
	}
	arena_destroy(&a);
	return NULL;
}

static void many_threads_share_a_writer(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	struct crowd crowd[THREADS];
	fixture_close(f);
	f->options.segment_size = 1024 * 1024;
	fixture_open(f);
	for (unsigned i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){ .f = f, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, &crowd[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(crowd[i].stored, EACH);
	}
	assert_int_equal(f->hints.tickets.len, THREADS * EACH * sizeof(struct ticket));
	for (size_t i = 0; i < THREADS * EACH; i++) {
		struct ticket t = fixture_ticket(f, i);
		struct spool_stored m;
		struct ost_why why;
		char want[3000];
		assert_int_equal(spool_fetch(f->spool, &t, sizeof t, &m, &why), FETCH_OK);
		fill_content(want, sizeof want, (unsigned)t.serial);
		assert_memory_equal(m.data, want, m.size);
		spool_stored_free(&m);
	}
}

/* ---- results --------------------------------------------------------------------------------- */

static void results_are_receipted(void **state)
{
	struct fixture *f = *state;
	struct ost_why why;
	struct spool_results *r = spool_results_open(f->spool, &why),
			     *other = spool_results_open(f->spool, &why);
	struct buf one = BUF_INIT, two = BUF_INIT;
	struct spool_result many[3000];
	for (uint32_t i = 0; i < 3000; i++)
		many[i] = (struct spool_result){
			.serial = 1,
			.rcpt = i,
			.status = RCPT_SENT,
			.when = 5,
			.dsn = "2.0.0",
			.reason = "250 2.0.0 Ok: queued as something of a usual length"
		};
	assert_true(spool_results_append(r, many, 1, &one, &why));
	assert_true(spool_results_append(other, many, 3000, &two, &why));
	struct receipt a, b;
	assert_int_equal(one.len, sizeof a);
	assert_true(two.len > sizeof b && two.len % sizeof b == 0);
	memcpy(&a, one.data, sizeof a);
	memcpy(&b, two.data, sizeof b);
	assert_int_not_equal(a.number, b.number);
	struct failing x = { .step = SYS_SYNC, .times = 1, .error = EIO };
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_false(spool_results_append(r, many, 1, NULL, &why));
	assert_true(spool_results_append(r, many, 1, NULL, &why)); /* another segment */
	f->spool->sys = (struct sys){ 0 };
	buf_free(&one);
	buf_free(&two);
	spool_results_close(&r);
	spool_results_close(&other);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(small_and_large_are_stored_whole),
		TEST(pieces_of_any_size_are_stored_whole),
		TEST(serials_are_never_given_twice),
		TEST(a_lost_serial_file_makes_no_serial_come_twice),
		TEST(a_full_journal_goes_on_in_files),
		TEST(recycled_segments_are_gone),
		TEST(many_threads_share_a_writer),
		TEST(results_are_receipted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
