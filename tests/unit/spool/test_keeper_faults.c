/* SPDX-License-Identifier: Apache-2.0
 * The keeper when steps fail or things come in an unlucky order. */
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "spool/file.h"

/* Fails syncs while `failing`, and counts what is written. */
struct faults {
	_Atomic bool failing;
	_Atomic int writes;
};

static int fail_syncs(void *ctx, const struct sys_call *call)
{
	struct faults *x = ctx;
	x->writes += call->step == SYS_WRITE;
	return x->failing && call->step == SYS_SYNC ? EIO : 0;
}

static void a_failed_sync_of_an_update_is_not_believed_later(void **state)
{
	struct stage *s = *state;
	struct faults x = { false, 0 };
	uint64_t serial = stage_store(s, 100, 2);
	assert_true(stage_update(s, serial, 0, RCPT_DEFERRED, 5)); /* to its file */
	s->spool->sys = (struct sys){ fail_syncs, &x };
	struct spool_result r = {
		.serial = serial, .rcpt = 1, .status = RCPT_FAILED, .when = clock_utc(), .dsn = "5.0.0"
	};
	struct keeper_change c = { .results = &r, .nresults = 1 };
	x.failing = true;
	keeper_update(s->keeper, serial, &c, s);
	stage_wait(s, &s->updated, 2);
	assert_false(s->ok);
	x.failing = false;
	x.writes = 0;
	keeper_update(s->keeper, serial, &c, s);
	stage_wait(s, &s->updated, 3);
	assert_true(s->ok);
	assert_int_equal(x.writes, 1); /* what the failed sync may have thrown away is written again */
	s->spool->sys = (struct sys){ 0 };
	stage_restart(s);
	assert_int_equal(stage_load(s, serial)->rcpts[1].status, RCPT_FAILED);
}

static void a_message_found_while_an_answer_about_it_waits_stays(void **state)
{
	struct stage *s = *state;
	stage_store(s, 100, 1); /* the segment's life is known: the next hint is believed at once */
	struct spool_draft *d = spool_draft_new(s->writer);
	uint64_t serial = spool_draft_serial(d);
	keeper_delete(s->keeper, serial,
		      s); /* of something that is not known: answered by the next dispatch */
	spool_draft_write(d, "x", 1);
	assert_int_equal(spool_draft_commit_wait(&d, plain_envelope(s->arena, "a@x", "b@x")), SPOOL_STORED);
	assert_non_null(stage_found(s, serial));
	stage_wait(s, &s->updated, 1);
	assert_true(s->ok);
	assert_non_null(stage_load(s, serial));
}

/* A message's folder in message/, out of the way and back. */
static void move_folder(const struct stage *s, uint64_t serial, bool away)
{
	char name[FILE_NAME];
	*strchr(file_name(name, serial), '/') = '\0';
	assert_int_equal(away ? renameat(s->spool->message, name, s->spool->root, "away")
			      : renameat(s->spool->root, "away", s->spool->message, name),
			 0);
}

static void results_outlast_a_scan_that_could_not_see_everything(void **state)
{
	struct stage *s = *state;
	struct ost_why why;
	uint64_t serial = stage_store(s, 100000, 2);
	struct spool_results *log = spool_results_open(s->spool, &why);
	struct spool_result r = { .serial = serial, .rcpt = 0, .status = RCPT_SENT, .when = clock_utc() };
	stage_close_writer(s);
	stage_close_keeper(s);
	assert_true(spool_results_append(log, &r, 1, NULL, &why));
	spool_results_close(&log);
	move_folder(s, serial, true);
	stage_open_keeper(s);
	assert_int_equal(s->nfound, 0);
	stage_run(s, 2.5); /* logs that nobody needs would be recycled now */
	move_folder(s, serial, false);
	keeper_look(s->keeper);
	stage_wait(s, &s->nfound, 1);
	assert_int_equal(stage_found(s, serial)->open_rcpts, 1); /* and not two: one has it */
	assert_int_equal(stage_load(s, serial)->rcpts[0].status, RCPT_SENT);
	stage_close_keeper(s);
	stage_open_keeper(s);
	assert_int_equal(stage_found(s, serial)->open_rcpts, 1);
}

static void what_is_asked_before_the_scan_is_not_lost(void **state)
{
	struct stage *s = *state;
	struct ost_why why;
	uint64_t serial = stage_store(s, 100000, 2);
	struct spool_results *log = spool_results_open(s->spool, &why);
	struct spool_result r = { .serial = serial, .rcpt = 0, .status = RCPT_SENT, .when = clock_utc() };
	stage_close_keeper(s);
	assert_true(spool_results_append(log, &r, 1, NULL, &why));
	stage_make_keeper(s);
	keeper_look(s->keeper);
	keeper_reread(s->keeper, s);
	keeper_scan(s->keeper);
	stage_wait(s, &s->reread, 1);
	stage_wait(s, &s->nfound, 1);
	assert_int_equal(stage_found(s, serial)->open_rcpts, 1);
	assert_int_equal(stage_load(s, serial)->rcpts[0].status, RCPT_SENT);
	spool_results_close(&log);
}

static void result_logs_that_nobody_needs_are_removed(void **state)
{
	enum { LOGS = 24, KEPT = 16 };
	struct stage *s = *state;
	struct ost_why why;
	struct spool_results *logs[LOGS];
	uint64_t serials[LOGS];
	for (int i = 0; i < LOGS; i++) {
		serials[i] = stage_store(s, 100, 1);
		struct spool_result r = { .serial = serials[i], .status = RCPT_SENT, .when = clock_utc() };
		logs[i] = spool_results_open(s->spool, &why);
		assert_non_null(logs[i]);
		assert_true(spool_results_append(logs[i], &r, 1, NULL, &why));
	}
	assert_in_range(stage_count_files(s, "results"), LOGS, LOGS + 1); /* one is the keeper's own */
	for (int i = 0; i < LOGS; i++) {
		spool_results_close(&logs[i]);
		keeper_finish(s->keeper, serials[i]);
	}
	stage_close_writer(s); /* its segment is recycled, and no log is needed any more */
	for (int seconds = 0; seconds < 20 && stage_count_files(s, "results") > KEPT; seconds++)
		stage_run(s, 1);
	assert_int_equal(stage_count_files(s, "results"), KEPT);
	logs[0] = spool_results_open(s->spool, &why); /* and numbers have no holes that matter */
	assert_non_null(logs[0]);
	stage_open_writer(s);
	uint64_t serial = stage_store(s, 100, 1);
	struct spool_result r = { .serial = serial, .status = RCPT_SENT, .when = clock_utc() };
	assert_true(spool_results_append(logs[0], &r, 1, NULL, &why));
	spool_results_close(&logs[0]);
	stage_restart(s);
	assert_int_equal(s->nfound, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_failed_sync_of_an_update_is_not_believed_later),
		TEST(a_message_found_while_an_answer_about_it_waits_stays),
		TEST(what_is_asked_before_the_scan_is_not_lost),
		TEST(result_logs_that_nobody_needs_are_removed),
		TEST(results_outlast_a_scan_that_could_not_see_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
