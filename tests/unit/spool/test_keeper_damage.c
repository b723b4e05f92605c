/* SPDX-License-Identifier: Apache-2.0
 * The keeper and what is damaged, torn, forged, or of a later version. */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* Where a message is now. */
static struct ticket place_of(struct stage *s, uint64_t serial)
{
	struct buf b = BUF_INIT;
	struct ticket t;
	keeper_ticket(s->keeper, serial, &b);
	assert_int_equal(b.len, sizeof t);
	memcpy(&t, b.data, sizeof t);
	buf_free(&b);
	return t;
}

/* Writes over a message in the journal. */
static void spoil(struct stage *s, uint64_t serial, const char *with, size_t len, uint64_t off)
{
	struct buf b = BUF_INIT;
	struct ticket t;
	char name[SEGMENT_NAME];
	keeper_ticket(s->keeper, serial, &b);
	memcpy(&t, b.data, sizeof t);
	buf_free(&b);
	if (t.home == TICKET_FILE) {
		char file[FILENAME_MAX], id[QUEUE_ID_SIZE];
		queue_id_text(id, serial, false);
		snprintf(file, sizeof file, "%.2s/%s", id + 2, id);
		int fd = openat(s->spool->message, file, O_RDWR);
		assert_int_equal(pwrite(fd, with, len, (off_t)off), len);
		close(fd);
		return;
	}
	int fd = openat(s->spool->journal, segment_name(name, t.number), O_RDWR);
	assert_int_equal(pwrite(fd, with, len, (off_t)(t.at + off)), len);
	close(fd);
}

static void damage_is_set_aside_and_the_rest_goes_on(void **state)
{
	struct stage *s = *state;
	uint64_t first = stage_store(s, 100, 1), bad = stage_store(s, 9000, 1), next = stage_store(s, 100, 1);
	uint64_t file = stage_store(s, 100000, 1), head = stage_store(s, 100, 1),
		 last = stage_store(s, 100, 1);
	spoil(s, bad, "spoiled", 7, 5000);
	spoil(s, head, "spoiled", 7, 40);
	spoil(s, file, "spoiled", 7, 200);
	stage_restart(s);
	assert_non_null(stage_found(s, first));
	assert_non_null(stage_found(s, next));
	assert_non_null(stage_found(s, last));
	assert_int_equal(s->nfound, 3);
	assert_int_equal(stage_count_files(s, "corrupt"), 3);
	stage_restart(s);
	assert_int_equal(s->nfound, 3);
	assert_int_equal(stage_count_files(s, "corrupt"), 3);
}

/* Flips a byte in one copy of a segment's header; again, to mend it. */
static void flip_header(const struct stage *s, uint32_t number, off_t at)
{
	char name[SEGMENT_NAME], c;
	int fd = openat(s->spool->journal, segment_name(name, number), O_RDWR);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 4;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void damage_to_one_copy_of_a_header_costs_nothing(void **state)
{
	struct stage *s = *state;
	uint64_t serial = stage_store(s, 100, 1);
	for (int life = 0; life < 2;
	     life++) { /* of a segment just made, and of one that was recycled and taken */
		uint32_t number = place_of(s, serial).number;
		for (off_t at = 20; at < SEGMENT_HEADER; at += SEGMENT_HEADER / 2) {
			stage_close_keeper(s);
			flip_header(s, number, at);
			stage_open_keeper(s);
			assert_non_null(stage_found(s, serial));
			stage_check_content(s, serial, 100);
			flip_header(s, number, at);
		}
		assert_int_equal(stage_count_files(s, "corrupt"), 0);
		keeper_delete(s->keeper, serial, s);
		stage_wait(s, &s->updated, 1);
		stage_close_writer(s);
		stage_wait_stats(s, stats_recycled, 1);
		stage_open_writer(s);
		serial = stage_store(s, 100, 1);
	}
}

static void a_segment_that_is_cut_gives_what_is_left(void **state)
{
	struct stage *s = *state;
	uint64_t first = stage_store(s, 100, 1), second = stage_store(s, 100, 1),
		 cut = stage_store(s, 9000, 1);
	struct ticket t = place_of(s, cut);
	char name[SEGMENT_NAME];
	stage_close_writer(s);
	stage_close_keeper(s);
	int fd = openat(s->spool->journal, segment_name(name, t.number), O_RDWR);
	assert_int_equal(ftruncate(fd, (off_t)t.at + 5000), 0);
	close(fd);
	stage_open_keeper(s);
	assert_int_equal(s->nfound, 2);
	stage_check_content(s, first, 100);
	stage_check_content(s, second, 100);
	assert_int_equal(stage_count_files(s, "corrupt"), 1);
}

/* Nothing can be made in corrupt/. */
static int no_corrupt(void *ctx, const struct sys_call *call)
{
	const struct stage *s = ctx;
	return call->step == SYS_CREATE && call->fd == s->spool->corrupt ? EIO : 0;
}

static void what_cannot_be_set_aside_is_not_forgotten(void **state)
{
	struct stage *s = *state;
	uint64_t bad = stage_store(s, 9000, 1), good = stage_store(s, 100, 1), seen = stage_store(s, 9000, 1);
	spoil(s, bad, "spoiled", 7, 5000);
	stage_close_writer(s);
	stage_close_keeper(s);
	s->spool->sys = (struct sys){ no_corrupt, s };
	stage_open_keeper(s);
	spoil(s, seen, "spoiled", 7, 5000);
	assert_null(stage_load(s, seen));
	keeper_delete(s->keeper, good, s);
	stage_wait(s, &s->updated, 1);
	stage_run(s, 1.2);
	struct keeper_stats stats;
	keeper_stats(s->keeper, &stats);
	assert_int_equal(stats.recycled, 0);
	stage_close_keeper(s);
	s->spool->sys = (struct sys){ 0 };
	stage_open_keeper(s);
	assert_int_equal(stage_count_files(s, "corrupt"), 2);
	stage_wait_stats(s, stats_recycled, 1);
}

static void a_result_log_of_a_later_version_is_left_in_place(void **state)
{
	struct stage *s = *state;
	struct ost_why why;
	struct segment log;
	uint32_t next = 20;
	char bytes[RECORD_BORDER] = { 0 };
	stage_close_keeper(s);
	assert_int_equal(segment_take(&s->spool->results_family, &next, &log, &why), SEGMENT_GOT);
	struct record_head h = { .kind = 99,
				 .sequence = 1,
				 .at = log.tail,
				 .content_off = RECORD_HEAD,
				 .content_sum = record_content_sum(0, "", 0, 0),
				 .body_sum = record_body_sum(0, "", 0) };
	record_head_put(bytes, &h, &log.header.salt);
	assert_true(sys_pwrite(&s->spool->sys, log.fd, bytes, sizeof bytes, log.tail));
	uint32_t number = log.header.number;
	struct salt salt = log.header.salt;
	log.tail += sizeof bytes;
	log.sequence = 1;
	segment_close(&s->spool->results_family, &log);
	stage_open_keeper(s);
	stage_run(s, 4.5); /* two looks */
	char name[SEGMENT_NAME];
	struct segment_header now;
	int fd = openat(s->spool->results, segment_name(name, number), O_RDONLY);
	assert_true(segment_read_header(fd, &now, &why));
	close(fd);
	assert_int_equal(now.state, SEGMENT_USED);
	assert_true(salt_equal(&now.salt, &salt));
}

static void damage_seen_at_loading_is_set_aside(void **state)
{
	struct stage *s = *state;
	uint64_t bad = stage_store(s, 9000, 1), file = stage_store(s, 100000, 1),
		 good = stage_store(s, 100, 1);
	spoil(s, bad, "spoiled", 7, 5000);
	spoil(s, file, "spoiled", 7, 200);
	assert_null(stage_load(s, bad));
	assert_null(stage_load(s, file));
	assert_non_null(stage_load(s, good));
	stage_wait_stats(s, stats_messages, 1);
	assert_int_equal(stage_count_files(s, "corrupt"), 2);
	stage_restart(s);
	assert_int_equal(s->nfound, 1);
}

static void a_record_inside_a_message_is_no_record(void **state)
{
	struct stage *s = *state;
	uint64_t real = stage_store(s, 3000, 1);
	struct buf ticket = BUF_INIT;
	struct ticket t;
	char name[SEGMENT_NAME], bytes[4096];
	keeper_ticket(s->keeper, real, &ticket);
	memcpy(&t, ticket.data, sizeof t);
	buf_free(&ticket);
	int fd = openat(s->spool->journal, segment_name(name, t.number), O_RDONLY);
	assert_int_equal(pread(fd, bytes, sizeof bytes, (off_t)t.at), sizeof bytes);
	close(fd);
	/* A message full of true records at every border, taken from this very segment; then it is damaged in
	 * front. */
	struct spool_draft *d = spool_draft_new(s->writer);
	uint64_t outer = spool_draft_serial(d);
	char fill[4096 - RECORD_HEAD];
	memset(fill, 'x', sizeof fill);
	spool_draft_write(d, fill, sizeof fill);
	for (int i = 0; i < 5; i++)
		spool_draft_write(d, bytes, sizeof bytes);
	assert_int_equal(spool_draft_commit_wait(&d, plain_envelope(s->arena, "a@x", "b@x")), SPOOL_STORED);
	uint64_t after = stage_store(s, 100, 1);
	spoil(s, outer, "spoiled", 7, 64);
	stage_restart(s);
	assert_int_equal(s->nfound, 2);
	assert_non_null(stage_found(s, real));
	assert_non_null(stage_found(s, after));
	stage_check_content(s, real, 3000);
}

static void a_file_with_a_damaged_header_is_kept(void **state)
{
	struct stage *s = *state;
	uint64_t file = stage_store(s, 100000, 1), good = stage_store(s, 100000, 1);
	spoil(s, file, "?", 1, 8);
	stage_restart(s);
	assert_int_equal(s->nfound, 1);
	assert_non_null(stage_found(s, good));
	assert_int_equal(stage_count_files(s, "corrupt"), 1);
}

static void a_torn_update_is_cut_off(void **state)
{
	struct stage *s = *state;
	uint64_t serial = stage_store(s, 100, 2);
	assert_true(stage_update(s, serial, 0, RCPT_DEFERRED, 5));
	char path[FILENAME_MAX], id[QUEUE_ID_SIZE];
	queue_id_text(id, serial, false);
	snprintf(path, sizeof path, "%.2s/%s", id + 2, id);
	int fd = openat(s->spool->message, path, O_RDWR | O_APPEND);
	assert_int_equal(write(fd, "half a record, as a power cut leaves it", 39), 39);
	stage_restart(s);
	assert_int_equal(stage_load(s, serial)->rcpts[0].next_try, 5);
	assert_true(stage_update(s, serial, 1, RCPT_DEFERRED, 6));
	assert_int_equal(write(fd, "and again", 9), 9);
	close(fd);
	stage_restart(s);
	assert_int_equal(stage_load(s, serial)->rcpts[0].next_try, 5);
	assert_int_equal(stage_load(s, serial)->rcpts[1].next_try, 6);
}

static void what_a_later_version_wrote_is_left_in_place(void **state)
{
	struct stage *s = *state;
	struct buf later = BUF_INIT;
	struct spool_envelope *e = plain_envelope(s->arena, "a@example.com", "b@example.com");
	tlv_put(&later, 999, TLV_CRITICAL, "x", 1);
	e->extra = (struct spool_extra){ later.data, later.len };
	stage_close_keeper(s);
	uint64_t journal = stage_store_env(s, 100, e), file = stage_store_env(s, 100000, e);
	uint64_t plain = stage_store(s, 100, 1);
	for (int round = 0; round < 2; round++) {
		stage_open_keeper(s);
		assert_int_equal(s->nfound, 1);
		assert_non_null(stage_found(s, plain));
		assert_null(stage_load(s, journal));
		assert_null(stage_load(s, file));
		stage_close_writer(s);
		stage_run(s, 1.2);
		struct keeper_stats stats;
		keeper_stats(s->keeper, &stats);
		assert_int_equal(stats.recycled, 0);
		stage_open_writer(s);
		stage_close_keeper(s);
	}
	assert_int_equal(stage_count_files(s, "corrupt"), 0);
	buf_free(&later);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(damage_is_set_aside_and_the_rest_goes_on),
		TEST(damage_seen_at_loading_is_set_aside),
		TEST(a_record_inside_a_message_is_no_record),
		TEST(a_file_with_a_damaged_header_is_kept),
		TEST(a_torn_update_is_cut_off),
		TEST(what_a_later_version_wrote_is_left_in_place),
		TEST(damage_to_one_copy_of_a_header_costs_nothing),
		TEST(a_segment_that_is_cut_gives_what_is_left),
		TEST(what_cannot_be_set_aside_is_not_forgotten),
		TEST(a_result_log_of_a_later_version_is_left_in_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
