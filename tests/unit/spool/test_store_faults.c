/* SPDX-License-Identifier: Apache-2.0
 * Storing when things fail: flipped bytes, failed steps, a full disk; and identities, which are for that. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static void flipped_bytes_are_seen(void **state)
{
	struct fixture *f = *state;
	struct ost_why why;
	struct spool_stored m;
	assert_int_equal(fixture_store(f, 3000, 1, NULL), SPOOL_STORED);
	assert_int_equal(fixture_store(f, 70000, 2, NULL), SPOOL_STORED); /* a file */
	struct ticket t = fixture_ticket(f, 0), large = fixture_ticket(f, 1);
	char name[SEGMENT_NAME], file[FILENAME_MAX], id[QUEUE_ID_SIZE];
	assert_int_equal(large.home, TICKET_FILE);
	queue_id_text(id, large.serial, false);
	snprintf(file, sizeof file, "%.2s/%s", id + 2, id);
	int fd = openat(f->spool->journal, segment_name(name, t.number), O_RDWR);
	int big = openat(f->spool->message, file, O_RDWR);
	assert_true(fd >= 0 && big >= 0);
	for (unsigned seed = 1, i = 0; i < 300; i++) {
		char c, other;
		seed = seed * 1103515245 + 12345;
		uint64_t at = t.at + (seed >> 8) % t.length;
		assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
		other = (char)(c ^ 1 << i % 8);
		assert_int_equal(pwrite(fd, &other, 1, (off_t)at), 1);
		enum spool_fetched got = spool_fetch(f->spool, &t, sizeof t, &m, &why);
		spool_stored_free(&m);
		assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
		assert_int_equal(got, FETCH_DAMAGED);
	}
	char x = '!';
	assert_int_equal(pwrite(big, &x, 1, 100000), 1);
	assert_int_equal(spool_fetch(f->spool, &large, sizeof large, &m, &why), FETCH_DAMAGED);
	spool_stored_free(&m);
	assert_int_equal(ftruncate(big, 110000), 0);
	assert_int_equal(spool_fetch(f->spool, &large, sizeof large, &m, &why), FETCH_DAMAGED);
	spool_stored_free(&m);
	close(fd);
	close(big);
	assert_stored(f, &t, 3000, 1, NULL);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void a_failed_sync_refuses_its_batch_alone(void **state)
{
	struct fixture *f = *state;
	struct failing x = { .step = SYS_SYNC, .countdown = 0, .times = 1, .error = EIO };
	struct segment_header h;
	struct ost_why why;
	char name[SEGMENT_NAME];
	assert_int_equal(fixture_store(f, 100, 1, NULL), SPOOL_STORED);
	struct ticket first = fixture_ticket(f, 0);
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_int_equal(fixture_store(f, 100, 2, NULL), SPOOL_FAILED);
	assert_int_equal(x.seen, 2); /* the batch's, and the header's that closes the segment before it */
	f->spool->sys = (struct sys){ 0 };
	int fd = openat(f->spool->journal, segment_name(name, first.number), O_RDWR);
	assert_true(segment_read_header(fd, &h, &why));
	assert_int_equal(h.end, first.at + 4096);
	assert_int_equal(h.sequence, 1);
	close(fd);
	assert_int_equal(fixture_store(f, 100, 3, NULL), SPOOL_STORED);
	struct ticket third = fixture_ticket(f, 1);
	assert_int_not_equal(third.number, first.number);
	assert_stored(f, &first, 100, 1, NULL);
	assert_stored(f, &third, 100, 3, NULL);
}

static void a_full_disk_is_no_space(void **state)
{
	struct fixture *f = *state;
	struct failing x = { .step = SYS_WRITE, .countdown = 0, .times = 1, .error = ENOSPC };
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_int_equal(fixture_store(f, 100, 1, NULL), SPOOL_NO_SPACE);
	x = (struct failing){ .step = SYS_CREATE, .times = 100, .error = ENOSPC };
	assert_int_equal(fixture_store(f, 300000, 2, NULL), SPOOL_NO_SPACE); /* a file cannot be made */
	x = (struct failing){ .step = SYS_WRITE, .countdown = 3, .times = 1, .error = EDQUOT };
	assert_int_equal(fixture_store(f, 300000, 2, NULL), SPOOL_NO_SPACE); /* or not be filled */
	x = (struct failing){ .step = SYS_SYNC_FOLDER, .times = 1, .error = EIO };
	assert_int_equal(fixture_store(f, 300000, 2, NULL), SPOOL_FAILED);
	f->spool->sys = (struct sys){ 0 };
	assert_int_equal(f->hints.tickets.len, 0);
	assert_int_equal(fixture_store(f, 300000, 2, NULL), SPOOL_STORED);
	struct ticket t = fixture_ticket(f, 0);
	assert_stored(f, &t, 300000, 2, NULL);
}

static void no_room_for_a_segment_is_room_for_a_file(void **state)
{
	struct fixture *f = *state;
	struct failing x = { .step = SYS_WRITE, .countdown = 0, .times = 1, .error = ENOSPC };
	struct ost_why why;
	spool_writer_close(&f->writer);
	for (uint32_t number = 1; number <= f->options.segment_count; number++) {
		char name[SEGMENT_NAME];
		(void)unlinkat(f->spool->journal, segment_name(name, number), 0);
	}
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_non_null(f->writer =
				spool_writer_open(f->spool, catch_hint, &f->hints, &why)); /* it can start */
	assert_int_equal(x.seen, 1);
	assert_int_equal(fixture_store(f, 100, 1, NULL), SPOOL_STORED);
	f->spool->sys = (struct sys){ 0 };
	struct ticket t = fixture_ticket(f, 0);
	assert_int_equal(t.home, TICKET_FILE);
	assert_stored(f, &t, 100, 1, NULL);
}

static void who_cannot_write_results_does_not_start(void **state)
{
	struct fixture *f = *state;
	struct failing x = { .step = SYS_WRITE, .countdown = 0, .times = 1, .error = ENOSPC };
	struct ost_why why;
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_null(spool_results_open(f->spool, &why));
	f->spool->sys = (struct sys){ 0 };
	struct spool_results *r = spool_results_open(f->spool, &why);
	assert_non_null(r);
	spool_results_close(&r);
}

static void room_is_what_the_reserve_leaves(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(spool_has_room(f->spool, 1), SPOOL_STORED);
	assert_int_equal(spool_has_room(f->spool, UINT64_C(1) << 60), SPOOL_NO_SPACE);
	fixture_close(f);
	f->options.min_free = UINT64_C(1) << 60;
	fixture_open(f);
	assert_int_equal(spool_has_room(f->spool, 1), SPOOL_NO_SPACE);
}

static void the_reserve_is_not_spent_on_segments(void **state)
{
	struct fixture *f = *state;
	char name[SEGMENT_NAME];
	assert_int_equal(fixture_store(f, 100, 1, NULL), SPOOL_STORED);
	fixture_close(f);
	f->options.min_free = UINT64_C(1) << 60;
	fixture_open(f); /* segment 1 is used: a new one would be made */
	assert_int_equal(fixture_store(f, 100, 2, NULL), SPOOL_STORED);
	struct ticket t = fixture_ticket(f, 1);
	assert_int_equal(t.home, TICKET_FILE);
	assert_int_equal(faccessat(f->spool->journal, segment_name(name, 2), F_OK, 0), -1);
	assert_stored(f, &t, 100, 2, NULL);
}

static void a_reader_follows_when_a_segment_is_replaced(void **state)
{
	struct fixture *f = *state;
	char name[SEGMENT_NAME];
	assert_int_equal(fixture_store(f, 100, 1, NULL), SPOOL_STORED);
	struct ticket old = fixture_ticket(f, 0);
	assert_stored(f, &old, 100, 1, NULL); /* the reader has it open now */
	spool_writer_close(&f->writer);
	assert_int_equal(renameat(f->spool->journal, segment_name(name, old.number), f->spool->corrupt, "aside"), 0);
	struct ost_why why;
	f->writer = spool_writer_open(f->spool, catch_hint, &f->hints, &why);
	assert_int_equal(fixture_store(f, 100, 2, NULL), SPOOL_STORED);
	struct ticket new = fixture_ticket(f, 1);
	assert_int_equal(new.number, old.number);
	assert_stored(f, &new, 100, 2, NULL);
}

/* Flips a byte of one copy of the serial file. */
static void flip_serial(const struct fixture *f, off_t at)
{
	char c;
	int fd = openat(f->spool->root, "serial", O_RDWR);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void no_serial_is_given_twice_when_a_copy_is_damaged(void **state)
{
	struct fixture *f = *state;
	uint64_t highest = 0;
	for (int i = 0; i < 6; i++) { /* each opening takes a block; either copy is damaged in turn */
		struct spool_draft *d = spool_draft_new(f->writer);
		uint64_t serial = spool_draft_serial(d);
		spool_draft_discard(&d);
		assert_true(serial > highest);
		highest = serial;
		flip_serial(f, 2048 * ((i + 1) % 2) + 8);
		fixture_close(f);
		fixture_open(f);
	}
}

/* ---- identities ------------------------------------------------------------------------------ */

static enum spool_outcome store_as(struct fixture *f, size_t size, const char *name, bool again)
{
	struct spool_draft *d = spool_draft_new(f->writer);
	char *content = mem_alloc(size);
	fill_content(content, size, 1);
	spool_draft_write(d, content, size);
	free(content);
	struct spool_envelope *e = plain_envelope(f->arena, "a@example.com", "b@example.com");
	return spool_draft_commit_named(&d, e, name, again);
}

static enum spool_outcome store_named(struct fixture *f, size_t size, const char *name)
{
	return store_as(f, size, name, true);
}

static void count_name(void *ctx, const char *name)
{
	assert_string_equal(name, "00112233445566778899aabbccddeeff");
	++*(int *)ctx;
}

static void an_identity_is_stored_once(void **state)
{
	struct fixture *f = *state;
	static const char name[] = "00112233445566778899aabbccddeeff";
	struct failing x = { .step = SYS_SYNC, .times = 1, .error = EIO };
	int names = 0;
	assert_int_equal(store_named(f, 100, "../../etc/passwd"), SPOOL_FAILED);
	assert_int_equal(store_named(f, 100, ""), SPOOL_FAILED);
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_int_equal(store_named(f, 100, name), SPOOL_FAILED);
	x = (struct failing){ .step = SYS_WRITE, .times = 1, .error = EIO };
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_int_equal(store_named(f, 100, name), SPOOL_FAILED); /* what a failed sync left is written again first */
	f->spool->sys = (struct sys){ 0 };
	assert_int_equal(store_named(f, 100, name), SPOOL_STORED);
	assert_int_equal(store_named(f, 100, name), SPOOL_STORED);
	assert_int_equal(store_named(f, 300000, name), SPOOL_STORED);
	struct ticket t = fixture_ticket(f, 0);
	assert_stored(f, &t, 100, 1, NULL);
	size_t hints = f->hints.tickets.len / sizeof t;
	for (size_t i = 0; i < hints; i++) /* perhaps hinted again, and always the same */
		assert_int_equal(fixture_ticket(f, i).serial, t.serial);
	spool_named_each(f->spool, time(NULL) + 10, count_name, &names);
	assert_int_equal(names, 1);
	spool_named_forget(f->spool, name);
	assert_int_equal(store_named(f, 300000, name), SPOOL_STORED);
	assert_int_equal(f->hints.tickets.len, (hints + 1) * sizeof(struct ticket));
	t = fixture_ticket(f, hints);
	assert_int_not_equal(t.serial, fixture_ticket(f, 0).serial);
	assert_stored(f, &t, 300000, 1, NULL);
}

static int files_found; /* by count_files() */

static int count_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)st, (void)at;
	files_found += type == FTW_F;
	return 0;
}

/* Message files, under their first names. */
static int count_files(const struct fixture *f)
{
	char path[200];
	snprintf(path, sizeof path, "%s/message", f->path);
	files_found = 0;
	assert_int_equal(nftw(path, count_one, 10, FTW_PHYS), 0);
	return files_found;
}

/* Whoever is told of the failure does not come again: nothing may be left that could be found later. */
static void a_failure_without_return_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	static const char name[] = "00112233445566778899aabbccddeeff";
	static const unsigned steps[] = { SYS_SYNC, SYS_SYNC_FOLDER, SYS_LINK };
	int names = 0;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		for (unsigned size = 100; size <= 300100; size += 300000) {
			struct failing x = { .step = steps[i], .times = 2, .error = EIO };
			f->spool->sys = (struct sys){ fail_step, &x };
			assert_int_equal(store_as(f, size, name, false), SPOOL_FAILED);
			f->spool->sys = (struct sys){ 0 };
			spool_named_each(f->spool, time(NULL) + 10, count_name, &names);
			assert_int_equal(names, 0);
			assert_int_equal(count_files(f), 0);
		}
	}
	assert_int_equal(store_as(f, 100, name, false), SPOOL_STORED);
	assert_int_equal(count_files(f), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(flipped_bytes_are_seen),
		TEST(a_failed_sync_refuses_its_batch_alone),
		TEST(a_full_disk_is_no_space),
		TEST(no_room_for_a_segment_is_room_for_a_file),
		TEST(who_cannot_write_results_does_not_start),
		TEST(room_is_what_the_reserve_leaves),
		TEST(no_serial_is_given_twice_when_a_copy_is_damaged),
		TEST(the_reserve_is_not_spent_on_segments),
		TEST(a_reader_follows_when_a_segment_is_replaced),
		TEST(an_identity_is_stored_once),
		TEST(a_failure_without_return_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
