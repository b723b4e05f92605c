/* SPDX-License-Identifier: Apache-2.0
 * The keeper: what it finds, what it makes durable, what it forgets, and when. */
#include "stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "spool/file.h"

/* An agent's results for one message: `status` for recipients [from, to). */
static void log_results(struct stage *s, struct spool_results *r, uint64_t serial, uint32_t from, uint32_t to,
			enum rcpt_status status)
{
	struct ost_why why;
	struct spool_result results[32];
	struct buf receipt = BUF_INIT;
	for (uint32_t i = from; i < to; i++)
		results[i - from] = (struct spool_result){ .serial = serial,
							   .rcpt = i,
							   .status = status,
							   .when = clock_utc(),
							   .dsn = "2.0.0",
							   .reason = "250 ok",
							   .mta = "dns; mx" };
	assert_true(spool_results_append(r, results, to - from, &receipt, &why));
	if (s->keeper)
		keeper_receipt(s->keeper, serial, receipt.data, receipt.len);
	buf_free(&receipt);
}

static struct spool_results *open_log(struct stage *s)
{
	struct ost_why why;
	struct spool_results *r = spool_results_open(s->spool, &why);
	assert_non_null(r);
	return r;
}

static void a_message_goes_its_way(void **state)
{
	struct stage *s = *state;
	uint64_t serial = stage_store(s, 5000, 2);
	assert_int_equal(s->nfound, 1); /* the hint had everything */
	assert_int_equal(s->found[0].serial, serial);
	assert_int_equal(s->found[0].open_rcpts, 2);
	assert_int_equal(s->found[0].size, 5000);
	struct spool_envelope *e = stage_load(s, serial);
	assert_int_equal(e->nrcpts, 2);
	assert_string_equal(e->rcpts[1].address, "r1@example.com");
	stage_check_content(s, serial, 5000);
	struct spool_results *r = open_log(s);
	log_results(s, r, serial, 0, 2, RCPT_SENT);
	keeper_finish(s->keeper, serial);
	stage_wait_stats(s, stats_messages, 0);
	stage_restart(s); /* nothing but the results says that it is done */
	assert_int_equal(s->nfound, 0);
	stage_wait_stats(s, stats_recycled, 1);
	spool_results_close(&r);
	stage_restart(s);
	assert_int_equal(s->nfound, 0);
}

static void all_that_waits_is_found_again(void **state)
{
	struct stage *s = *state;
	uint64_t small = stage_store(s, 100, 1), large = stage_store(s, 100000, 3),
		 deferred = stage_store(s, 200, 2);
	assert_int_equal(s->nfound, 3);
	assert_true(stage_update(s, deferred, 1, RCPT_DEFERRED, 12345));
	struct keeper_stats stats;
	keeper_stats(s->keeper, &stats);
	assert_int_equal(stats.files_moved, 1);
	for (int round = 0; round < 2; round++) {
		stage_restart(s);
		assert_int_equal(s->nfound, 3);
		assert_int_equal(stage_found(s, small)->open_rcpts, 1);
		assert_int_equal(stage_found(s, large)->open_rcpts, 3);
		assert_int_equal(stage_found(s, deferred)->open_rcpts, 2);
		assert_int_equal(stage_found(s, deferred)->next_try, 0); /* one was never tried */
		stage_check_content(s, small, 100);
		stage_check_content(s, large, 100000);
		stage_check_content(s, deferred, 200);
		struct spool_envelope *e = stage_load(s, deferred);
		assert_int_equal(e->rcpts[1].status, RCPT_DEFERRED);
		assert_int_equal(e->rcpts[1].next_try, 12345);
		assert_string_equal(e->rcpts[1].reason, "no answer");
		assert_int_equal(e->rcpts[1].attempts, 1);
		assert_int_equal(e->rcpts[0].status, RCPT_PENDING);
	}
	assert_true(stage_update(s, deferred, 0, RCPT_DEFERRED, 999));
	stage_restart(s);
	assert_int_equal(stage_found(s, deferred)->next_try, 999);
}

static void results_survive_everything_but_their_message(void **state)
{
	struct stage *s = *state;
	uint64_t one = stage_store(s, 100, 3), two = stage_store(s, 100000, 3);
	struct spool_results *r = open_log(s);
	log_results(s, r, one, 0, 1, RCPT_SENT);
	log_results(s, r, two, 1, 2, RCPT_FAILED);
	for (int round = 0; round < 2; round++) {
		stage_restart(s);
		assert_int_equal(stage_found(s, one)->open_rcpts, 2);
		assert_int_equal(stage_found(s, one)->owed, 0);
		assert_int_equal(stage_found(s, two)->open_rcpts, 2);
		assert_int_equal(stage_found(s, two)->owed, 1);
		assert_int_equal(stage_load(s, one)->rcpts[0].status, RCPT_SENT);
		assert_string_equal(stage_load(s, one)->rcpts[0].mta, "dns; mx");
		assert_int_equal(stage_load(s, two)->rcpts[1].status, RCPT_FAILED);
	}
	assert_true(stage_update(s, one, 1, RCPT_DEFERRED, 5)); /* to a file, the result with it */
	spool_results_close(&r);
	stage_restart(s);
	assert_int_equal(stage_load(s, one)->rcpts[0].status, RCPT_SENT);
	assert_int_equal(stage_load(s, one)->rcpts[1].status, RCPT_DEFERRED);
}

static void a_living_agents_results_are_read_again(void **state)
{
	struct stage *s = *state;
	uint64_t serial = stage_store(s, 100, 3);
	struct spool_results *r = open_log(s);
	stage_restart(s);
	log_results(s, r, serial, 2, 3, RCPT_SENT);
	keeper_reread(s->keeper, s);
	stage_wait(s, &s->reread, 1);
	assert_int_equal(s->results, 1);
	assert_int_equal(s->last_result.rcpt, 2);
	assert_int_equal(s->last_result.status, RCPT_SENT);
	keeper_reread(s->keeper, s);
	stage_wait(s, &s->reread, 2);
	assert_int_equal(s->results, 1);
	assert_int_equal(stage_load(s, serial)->rcpts[2].status, RCPT_SENT);
	spool_results_close(&r);
}

static void a_lost_hint_is_made_up_for(void **state)
{
	struct stage *s = *state;
	stage_store(s, 100, 1);
	s->lose_hints = true;
	uint64_t lost = stage_store(s, 100, 1), also = stage_store(s, 300, 1);
	s->lose_hints = false;
	assert_int_equal(s->nfound, 1);
	uint64_t next = stage_store(s, 100, 1); /* its hint shows that something is missing */
	stage_wait(s, &s->nfound, 4);
	assert_non_null(stage_found(s, lost));
	assert_non_null(stage_found(s, also));
	assert_non_null(stage_found(s, next));
	s->lose_hints = true;
	uint64_t last = stage_store(s, 100, 1), file = stage_store(s, 100000, 1);
	s->lose_hints = false;
	keeper_look(s->keeper);
	stage_wait(s, &s->nfound, 6);
	stage_check_content(s, last, 100);
	stage_check_content(s, file, 100000);
	s->lose_hints = true;
	uint64_t reported = stage_store(s, 100, 1);
	s->lose_hints = false;
	struct buf report = BUF_INIT;
	spool_writer_report(s->writer, &report);
	keeper_hint(s->keeper, report.data, report.len);
	stage_wait(s, &s->nfound, 7);
	stage_check_content(s, reported, 100);
	keeper_hint(s->keeper, s->hints.hints.data, s->hints.hints.len); /* the lost hints come late */
	stage_run(s, 0.2);
	assert_int_equal(s->nfound, 7);
	buf_free(&report);
}

static void a_keeper_that_comes_back_reads_what_a_living_writer_wrote(void **state)
{
	struct stage *s = *state;
	uint64_t before = stage_store(s, 100, 1);
	stage_close_keeper(s);
	uint64_t between = stage_store(s, 100, 1);
	stage_open_keeper(s);
	assert_int_equal(s->nfound, 2);
	uint64_t after = stage_store(s, 100, 1);
	assert_int_equal(s->nfound, 3);
	stage_check_content(s, before, 100);
	stage_check_content(s, between, 100);
	stage_check_content(s, after, 100);
}

static void new_mail_does_not_wait_for_the_scan(void **state)
{
	struct stage *s = *state;
	enum { OLD = 1500, NEW = 40 };
	uint64_t old[OLD], fresh[NEW];
	s->spool->options.file_threshold = 50;
	for (size_t i = 0; i < OLD; i++)
		old[i] = stage_store(s, 100, 1); /* files */
	s->spool->options.file_threshold = 60000;
	uint64_t journal = stage_store(s, 100, 1);
	stage_close_keeper(s);
	stage_start_keeper(s);
	size_t finished = 0, during = 0;
	for (size_t i = 0; i < NEW; i++) { /* while it scans, if it is not too fast */
		during += !s->scanned;
		fresh[i] = stage_store(s, 200, 1);
		stage_wait(s, &s->nfound, 1);
		if (i % 4 == 0 && stage_found(s, fresh[i])) {
			assert_true(stage_update(s, fresh[i], 0, RCPT_DEFERRED, 5)); /* to a file */
			assert_true(stage_update(s, fresh[i], 0, RCPT_DONE, 0));
			keeper_finish(s->keeper, fresh[i]);
			finished++;
		}
	}
	assert_true(during > 0);
	while (!s->scanned)
		stage_run(s, 0.01);
	stage_wait(s, &s->nfound, OLD + NEW + 1);
	stage_wait_stats(s, stats_messages, OLD + NEW + 1 - finished);
	assert_non_null(stage_found(s, journal));
	for (size_t i = 0; i < OLD; i++)
		assert_non_null(stage_found(s, old[i]));
	stage_restart(s);
	assert_int_equal(s->nfound, OLD + NEW + 1 - finished);
}

static void only_one_keeper_has_a_spool(void **state)
{
	struct stage *s = *state;
	struct ost_why why;
	static const struct keeper_events none;
	struct keeper *other = keeper_open(s->spool, &none, NULL, &why);
	assert_null(other);
	assert_non_null(strstr(why.text, "in use"));
	char pid[16];
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	assert_non_null(strstr(why.text, pid));
}

static void the_journal_empties_itself_when_it_fills(void **state)
{
	struct stage *s = *state;
	uint64_t serials[60];
	for (size_t i = 0; i < 60; i++)
		serials[i] = stage_store(s, 30000, 1); /* seven to a segment: all 8 segments, and files */
	assert_int_equal(s->nfound, 60);
	stage_wait_stats(s, stats_recycled, 1);
	for (size_t i = 0; i < 60; i++)
		stage_check_content(s, serials[i], 30000);
	struct keeper_stats stats;
	keeper_stats(s->keeper, &stats);
	assert_true(stats.files_moved >= 7);
	stage_restart(s);
	assert_int_equal(s->nfound, 60);
	for (size_t i = 0; i < 60; i++)
		stage_check_content(s, serials[i], 30000);
	for (size_t i = 0; i < 60; i++) {
		assert_true(stage_update(s, serials[i], 0, RCPT_DONE, 0));
		keeper_finish(s->keeper, serials[i]);
	}
	stage_wait_stats(s, stats_messages, 0);
	stage_close_writer(s);
	stage_wait_stats(s, stats_recycled, 5);
	stage_restart(s);
	assert_int_equal(s->nfound, 0);
}

static void a_long_tail_of_updates_is_folded(void **state)
{
	struct stage *s = *state;
	uint64_t serial = stage_store(s, 5000, 2);
	char path[FILENAME_MAX], id[QUEUE_ID_SIZE];
	off_t largest = 0;
	s->spool->options.update_limit = 20000;
	for (int64_t i = 1; i <= 400; i++) {
		struct stat st;
		assert_true(stage_update(s, serial, (uint32_t)(i % 2), RCPT_DEFERRED, i));
		snprintf(path, sizeof path, "%s/message/%.2s/%s", s->path,
			 queue_id_text(id, serial, false) + 2, id);
		assert_int_equal(stat(path, &st), 0);
		largest = st.st_size > largest ? st.st_size : largest;
	}
	assert_in_range(largest, 25000, FILE_STREAM_AT + 40000);
	for (int round = 0; round < 2; round++) {
		struct spool_envelope *e = stage_load(s, serial);
		assert_int_equal(e->rcpts[0].next_try, 400);
		assert_int_equal(e->rcpts[1].next_try, 399);
		assert_int_equal(e->rcpts[1].attempts, 200);
		assert_string_equal(e->rcpts[1].reason, "no answer");
		stage_check_content(s, serial, 5000);
		stage_restart(s);
		assert_int_equal(s->nfound, 1);
	}
}

static void what_is_deleted_stays_so(void **state)
{
	struct stage *s = *state;
	uint64_t journal = stage_store(s, 100, 1), file = stage_store(s, 100000, 1),
		 kept = stage_store(s, 100, 1);
	keeper_delete(s->keeper, journal, s);
	keeper_delete(s->keeper, file, s);
	keeper_delete(s->keeper, 999999, s); /* there is none */
	stage_wait(s, &s->updated, 3);
	assert_true(s->ok);
	assert_null(stage_load(s, journal));
	assert_null(stage_load(s, file));
	stage_restart(s);
	assert_int_equal(s->nfound, 1);
	assert_non_null(stage_found(s, kept));
}

static void hold_and_flags_are_kept(void **state)
{
	struct stage *s = *state;
	uint64_t serial = stage_store(s, 100, 1);
	struct keeper_change hold = { .set_flags = MSG_HOLD, .warn_at = 77, .notice_round = 2 };
	keeper_update(s->keeper, serial, &hold, s);
	stage_wait(s, &s->updated, 1);
	stage_restart(s);
	assert_int_equal(stage_found(s, serial)->flags, MSG_HOLD);
	assert_int_equal(stage_load(s, serial)->warn_at, 77);
	assert_int_equal(s->env->rounds, 2);
	struct keeper_change release = { .clear_flags = MSG_HOLD, .warn_at = -1 };
	keeper_update(s->keeper, serial, &release, s);
	stage_wait(s, &s->updated, 1);
	stage_restart(s);
	assert_int_equal(stage_found(s, serial)->flags, 0);
	assert_int_equal(stage_load(s, serial)->warn_at, 0);
	assert_int_equal(s->env->rounds, 2);
}

/* ---- notices --------------------------------------------------------------------------------- */

static uint64_t store_notice(struct stage *s, uint64_t of, uint32_t round)
{
	struct spool_envelope *e = plain_envelope(s->arena, "", "a@example.com");
	e->flags = MSG_NOTICE;
	e->notice_of = of;
	e->notice_round = round;
	return stage_store_env(s, 500, e);
}

static void a_notice_is_stored_once(void **state)
{
	struct stage *s = *state;
	uint64_t about = stage_store(s, 100, 2);
	assert_false(keeper_notice_known(s->keeper, about, 1));
	uint64_t notice = store_notice(s, about, 1);
	assert_int_equal(s->nfound, 2);
	assert_true(keeper_notice_known(s->keeper, about, 1));
	assert_false(keeper_notice_known(s->keeper, about, 2));
	uint64_t twice = store_notice(s, about, 1);
	stage_run(s, 0.2);
	assert_int_equal(s->nfound, 2);
	assert_null(stage_found(s, twice));
	stage_restart(s);
	assert_int_equal(s->nfound, 2);
	assert_true(keeper_notice_known(s->keeper, about, 1));
	assert_non_null(stage_found(s, notice));
}

static void a_notice_stays_until_its_message_knows(void **state)
{
	struct stage *s = *state;
	uint64_t about = stage_store(s, 100, 2), notice = store_notice(s, about, 1);
	struct spool_results *r = open_log(s);
	log_results(s, r, notice, 0, 1, RCPT_SENT);
	keeper_finish(s->keeper, notice);
	stage_run(s, 0.2);
	for (int round = 0; round < 2; round++) { /* it is done, and yet it is known */
		stage_restart(s);
		assert_int_equal(s->nfound, 1);
		assert_true(keeper_notice_known(s->keeper, about, 1));
	}
	struct keeper_change told = { .notice_round = 1 };
	keeper_update(s->keeper, about, &told, s);
	stage_wait(s, &s->updated, 1);
	stage_wait_stats(s, stats_messages, 1);
	assert_true(keeper_notice_known(s->keeper, about, 1));
	assert_false(keeper_notice_known(s->keeper, about, NOTICES_PER_ROUND + 1));
	spool_results_close(&r);
	stage_restart(s);
	assert_int_equal(s->nfound, 1);
	assert_true(keeper_notice_known(s->keeper, about, 1));
	uint64_t second = store_notice(s, about, NOTICES_PER_ROUND + 1);
	r = open_log(s);
	log_results(s, r, second, 0, 1, RCPT_SENT);
	keeper_finish(s->keeper, second);
	stage_run(s, 0.1);
	stage_wait_stats(s, stats_messages, 2);
	keeper_delete(s->keeper, about, s);
	stage_wait_stats(s, stats_messages, 0);
	spool_results_close(&r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_message_goes_its_way),
		TEST(all_that_waits_is_found_again),
		TEST(results_survive_everything_but_their_message),
		TEST(a_living_agents_results_are_read_again),
		TEST(a_lost_hint_is_made_up_for),
		TEST(a_keeper_that_comes_back_reads_what_a_living_writer_wrote),
		TEST(new_mail_does_not_wait_for_the_scan),
		TEST(only_one_keeper_has_a_spool),
		TEST(the_journal_empties_itself_when_it_fills),
		TEST(a_long_tail_of_updates_is_folded),
		TEST(what_is_deleted_stays_so),
		TEST(hold_and_flags_are_kept),
		TEST(a_notice_is_stored_once),
		TEST(a_notice_stays_until_its_message_knows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
