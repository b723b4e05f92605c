/* SPDX-License-Identifier: Apache-2.0
 * Storing and fetching: drafts, group commit, message files, results, identities, room. */
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "spool/sys_fault.h"

struct fixture {
	char *path;
	struct spool *spool;
	struct spool_writer *writer;
	struct hint_catch hints;
	struct arena *arena;
	struct spool_options options;
};

static void open_all(struct fixture *f)
{
	struct ost_why why;
	f->spool = spool_open(f->path, &f->options, &why);
	if (!f->spool)
		fail_msg("%s", why.text);
	f->writer = spool_writer_open(f->spool, catch_hint, &f->hints, &why);
	if (!f->writer)
		fail_msg("%s", why.text);
}

static void close_all(struct fixture *f)
{
	spool_writer_close(&f->writer);
	spool_close(&f->spool);
}

static int setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);
	pthread_mutex_init(&f->hints.lock, NULL);
	f->path = scratch_spool();
	f->arena = arena_new();
	f->options = (struct spool_options){ .segment_size = 256 * 1024, .segment_count = 4 };
	open_all(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	close_all(f);
	scratch_remove(f->path);
	arena_destroy(&f->arena);
	buf_free(&f->hints.tickets);
	buf_free(&f->hints.hints);
	pthread_mutex_destroy(&f->hints.lock);
	free(f);
	return 0;
}

/* Stores a message of `size` bytes of content number `number`, with a prefix or without. */
static enum spool_outcome store(struct fixture *f, size_t size, unsigned number, const char *prefix)
{
	struct spool_draft *d = spool_draft_new(f->writer);
	char *content = mem_alloc(size);
	fill_content(content, size, number);
	for (size_t at = 0; at < size; at += 1000)
		spool_draft_write(d, content + at, size - at < 1000 ? size - at : 1000);
	if (prefix)
		spool_draft_prepend(d, prefix, strlen(prefix));
	free(content);
	return spool_draft_commit_wait(&d, plain_envelope(f->arena, "a@example.com", "b@example.com"));
}

/* The nth ticket that was hinted. */
static struct ticket ticket(struct fixture *f, size_t n)
{
	struct ticket t;
	assert_true(f->hints.tickets.len >= (n + 1) * sizeof t);
	memcpy(&t, f->hints.tickets.data + n * sizeof t, sizeof t);
	return t;
}

/* Fetches by ticket and compares with what store() made. */
static void assert_stored(struct fixture *f, const struct ticket *t, size_t size, unsigned number, const char *prefix)
{
	struct spool_stored m;
	struct ost_why why;
	size_t skip = prefix ? strlen(prefix) : 0;
	char *want = mem_alloc(size), *got = mem_alloc(size + skip + 1);
	fill_content(want, size, number);
	if (spool_fetch(f->spool, t, sizeof *t, &m, &why) != FETCH_OK)
		fail_msg("%s", why.text);
	assert_int_equal(m.size, size + skip);
	assert_int_equal(m.env->serial, t->serial);
	assert_int_equal(m.env->size, size + skip);
	assert_string_equal(m.env->rcpts[0].address, "b@example.com");
	assert_int_equal(spool_stored_read(&m, 0, got, size + skip + 1), size + skip);
	if (skip)
		assert_memory_equal(got, prefix, skip);
	assert_memory_equal(got + skip, want, size);
	uint64_t offset;
	int fd = spool_stored_fd(&m, &offset);
	assert_true(fd >= 0);
	assert_true(io_pread_full(fd, got, size + skip, (off_t)offset));
	assert_memory_equal(got + skip, want, size);
	io_close(&fd);
	spool_stored_free(&m);
	free(want);
	free(got);
}

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
			assert_int_equal(store(f, sizes[i], n, prefixes[p]), SPOOL_STORED);
			struct ticket t = ticket(f, n);
			assert_stored(f, &t, sizes[i], n, prefixes[p]);
		}
	free(long_prefix);
	char *endless = mem_alloc(SPOOL_PREPEND_MAX + 6000);
	memset(endless, 'p', SPOOL_PREPEND_MAX + 5999);
	endless[SPOOL_PREPEND_MAX + 5999] = '\0';
	assert_int_equal(store(f, 300000, 1, endless), SPOOL_FAILED);
	free(endless);
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
		close_all(f);
		open_all(f);
	}
	struct ost_why why;
	assert_true(serial_skip(f->spool, 1000000, &why));
	close_all(f);
	open_all(f);
	struct spool_draft *d = spool_draft_new(f->writer);
	assert_int_equal(spool_draft_serial(d), 1000001);
	spool_draft_discard(&d);
}

static void a_lost_serial_file_makes_no_serial_come_twice(void **state)
{
	struct fixture *f = *state;
	struct ost_why why;
	assert_int_equal(store(f, 100, 1, NULL), SPOOL_STORED);
	assert_int_equal(store(f, 300000, 2, NULL), SPOOL_STORED);
	struct ticket t = ticket(f, 1);
	char *file = mem_printf("%s/serial", f->path);
	close_all(f);
	assert_int_equal(unlink(file), 0);
	free(file);
	assert_true(spool_create(f->path, &why));
	open_all(f);
	struct spool_draft *d = spool_draft_new(f->writer);
	assert_true(spool_draft_serial(d) > t.serial + 100000);
	spool_draft_discard(&d);
}

static void faults_on_request(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "", "sync", "sync:1", "sync:0:EIO", "sync:x:EIO", "sync:1:EFOO", "jump:1:EIO",
					   "sync:1:EIO:" };
	struct sys s = { 0 };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		setenv("OST_SPOOL_FAULT", bad[i], 1);
		assert_false(sys_fault_from_environment(&s));
	}
	setenv("OST_SPOOL_FAULT", "write:2:ENOSPC", 1);
	assert_true(sys_fault_from_environment(&s));
	f->spool->sys = s;
	assert_int_equal(store(f, 300000, 1, NULL), SPOOL_NO_SPACE); /* the serials' write was the first */
	assert_int_equal(store(f, 300000, 1, NULL), SPOOL_STORED);
	f->spool->sys = (struct sys){ 0 };
	sys_fault_free(&s);
	setenv("OST_SPOOL_FAULT", "sync:1+:EIO", 1);
	assert_true(sys_fault_from_environment(&s));
	f->spool->sys = s;
	assert_int_equal(store(f, 300000, 1, NULL), SPOOL_FAILED);
	assert_int_equal(store(f, 300000, 1, NULL), SPOOL_FAILED);
	f->spool->sys = (struct sys){ 0 };
	sys_fault_free(&s);
	unsetenv("OST_SPOOL_FAULT");
	assert_true(sys_fault_from_environment(&s));
	assert_null(s.hook);
}

static void a_full_journal_goes_on_in_files(void **state)
{
	struct fixture *f = *state;
	size_t files = 0;
	for (unsigned n = 0; n < 40; n++) {
		assert_int_equal(store(f, 40000, n, "Received: x\n"), SPOOL_STORED);
		struct ticket t = ticket(f, n);
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
	assert_int_equal(store(f, 100, 1, NULL), SPOOL_STORED);
	struct ticket t = ticket(f, 0);
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
	assert_int_equal(store(f, 100, 2, NULL), SPOOL_STORED);
	struct ticket again = ticket(f, 1);
	assert_int_equal(again.at, t.at); /* the same place, another life */
	assert_int_equal(again.number, t.number);
	assert_int_equal(spool_fetch(f->spool, &t, sizeof t, &m, &why), FETCH_GONE);
	spool_stored_free(&m);
	assert_stored(f, &again, 100, 2, NULL);
}

static void flipped_bytes_are_seen(void **state)
{
	struct fixture *f = *state;
	struct ost_why why;
	struct spool_stored m;
	assert_int_equal(store(f, 3000, 1, NULL), SPOOL_STORED);
	assert_int_equal(store(f, 70000, 2, NULL), SPOOL_STORED); /* a file */
	struct ticket t = ticket(f, 0), large = ticket(f, 1);
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

/* ---- failures --------------------------------------------------------------------------------------------------- */

struct failing { /* fails the nth step of a kind with an errno value, for as long as told */
	enum sys_step step;
	int countdown, times, error;
	int seen;
};

static int fail_step(void *ctx, const struct sys_call *call)
{
	struct failing *x = ctx;
	if (call->step != x->step)
		return 0;
	x->seen++;
	if (x->countdown-- > 0 || x->times-- <= 0)
		return 0;
	return x->error;
}

static void a_failed_sync_refuses_its_batch_alone(void **state)
{
	struct fixture *f = *state;
	struct failing x = { .step = SYS_SYNC, .countdown = 0, .times = 1, .error = EIO };
	struct segment_header h;
	struct ost_why why;
	char name[SEGMENT_NAME];
	assert_int_equal(store(f, 100, 1, NULL), SPOOL_STORED);
	struct ticket first = ticket(f, 0);
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_int_equal(store(f, 100, 2, NULL), SPOOL_FAILED);
	assert_int_equal(x.seen, 2); /* the batch's, and the header's that closes the segment before it */
	f->spool->sys = (struct sys){ 0 };
	int fd = openat(f->spool->journal, segment_name(name, first.number), O_RDWR);
	assert_true(segment_read_header(fd, &h, &why));
	assert_int_equal(h.end, first.at + 4096);
	assert_int_equal(h.sequence, 1);
	close(fd);
	assert_int_equal(store(f, 100, 3, NULL), SPOOL_STORED);
	struct ticket third = ticket(f, 1);
	assert_int_not_equal(third.number, first.number);
	assert_stored(f, &first, 100, 1, NULL);
	assert_stored(f, &third, 100, 3, NULL);
}

static void a_full_disk_is_no_space(void **state)
{
	struct fixture *f = *state;
	struct failing x = { .step = SYS_WRITE, .countdown = 0, .times = 1, .error = ENOSPC };
	f->spool->sys = (struct sys){ fail_step, &x };
	assert_int_equal(store(f, 100, 1, NULL), SPOOL_NO_SPACE);
	x = (struct failing){ .step = SYS_CREATE, .times = 100, .error = ENOSPC };
	assert_int_equal(store(f, 300000, 2, NULL), SPOOL_NO_SPACE); /* a file cannot be made */
	x = (struct failing){ .step = SYS_WRITE, .countdown = 3, .times = 1, .error = EDQUOT };
	assert_int_equal(store(f, 300000, 2, NULL), SPOOL_NO_SPACE); /* or not be filled */
	x = (struct failing){ .step = SYS_SYNC_FOLDER, .times = 1, .error = EIO };
	assert_int_equal(store(f, 300000, 2, NULL), SPOOL_FAILED);
	f->spool->sys = (struct sys){ 0 };
	assert_int_equal(f->hints.tickets.len, 0);
	assert_int_equal(store(f, 300000, 2, NULL), SPOOL_STORED);
	struct ticket t = ticket(f, 0);
	assert_stored(f, &t, 300000, 2, NULL);
}

static void room_is_what_the_reserve_leaves(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(spool_has_room(f->spool, 1), SPOOL_STORED);
	assert_int_equal(spool_has_room(f->spool, UINT64_C(1) << 60), SPOOL_NO_SPACE);
	close_all(f);
	f->options.min_free = UINT64_C(1) << 60;
	open_all(f);
	assert_int_equal(spool_has_room(f->spool, 1), SPOOL_NO_SPACE);
}

/* ---- identities ------------------------------------------------------------------------------------------------- */

static enum spool_outcome store_named(struct fixture *f, size_t size, const char *name)
{
	struct spool_draft *d = spool_draft_new(f->writer);
	char *content = mem_alloc(size);
	fill_content(content, size, 1);
	spool_draft_write(d, content, size);
	free(content);
	struct spool_envelope *e = plain_envelope(f->arena, "a@example.com", "b@example.com");
	return spool_draft_commit_named(&d, e, name);
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
	f->spool->sys = (struct sys){ 0 };
	assert_int_equal(store_named(f, 100, name), SPOOL_STORED);
	assert_int_equal(store_named(f, 100, name), SPOOL_STORED);
	assert_int_equal(store_named(f, 300000, name), SPOOL_STORED);
	struct ticket t = ticket(f, 0);
	assert_stored(f, &t, 100, 1, NULL);
	size_t hints = f->hints.tickets.len / sizeof t;
	for (size_t i = 0; i < hints; i++) /* perhaps hinted again, and always the same */
		assert_int_equal(ticket(f, i).serial, t.serial);
	spool_named_each(f->spool, count_name, &names);
	assert_int_equal(names, 1);
	spool_named_forget(f->spool, name);
	assert_int_equal(store_named(f, 300000, name), SPOOL_STORED);
	assert_int_equal(f->hints.tickets.len, (hints + 1) * sizeof(struct ticket));
	t = ticket(f, hints);
	assert_int_not_equal(t.serial, ticket(f, 0).serial);
	assert_stored(f, &t, 300000, 1, NULL);
}

/* ---- many threads ----------------------------------------------------------------------------------------------- */

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
	close_all(f);
	f->options.segment_size = 1024 * 1024;
	open_all(f);
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
		struct ticket t = ticket(f, i);
		struct spool_stored m;
		struct ost_why why;
		char want[3000];
		assert_int_equal(spool_fetch(f->spool, &t, sizeof t, &m, &why), FETCH_OK);
		fill_content(want, sizeof want, (unsigned)t.serial);
		assert_memory_equal(m.data, want, m.size);
		spool_stored_free(&m);
	}
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static void results_are_receipted(void **state)
{
	struct fixture *f = *state;
	struct ost_why why;
	struct spool_results *r = spool_results_open(f->spool, &why), *other = spool_results_open(f->spool, &why);
	struct buf one = BUF_INIT, two = BUF_INIT;
	struct spool_result many[3000];
	for (uint32_t i = 0; i < 3000; i++)
		many[i] = (struct spool_result){ .serial = 1, .rcpt = i, .status = RCPT_SENT, .when = 5, .dsn = "2.0.0",
						 .reason = "250 2.0.0 Ok: queued as something of a usual length" };
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(small_and_large_are_stored_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(serials_are_never_given_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_serial_file_makes_no_serial_come_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_on_request, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_journal_goes_on_in_files, setup, teardown),
		cmocka_unit_test_setup_teardown(recycled_segments_are_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(flipped_bytes_are_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_sync_refuses_its_batch_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_is_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(room_is_what_the_reserve_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(an_identity_is_stored_once, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads_share_a_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(results_are_receipted, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
