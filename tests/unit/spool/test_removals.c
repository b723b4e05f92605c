/* SPDX-License-Identifier: Apache-2.0
 * How the mover makes durable that message files are gone: many together, and by one sync where that is as
 * good. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "spool/mover.h"

enum { MANY = 20, FEW = 3 };

struct scene {
	struct fixture *f;
	struct mover mover;
	unsigned folders, wholes; /* syncs */
	bool whole_fails, folders_fail;
};

static int count_syncs(void *ctx, const struct sys_call *call)
{
	struct scene *x = ctx;
	x->folders += call->step == SYS_SYNC_FOLDER;
	x->wholes += call->step == SYS_SYNC_WHOLE;
	return (call->step == SYS_SYNC_WHOLE && x->whole_fails) ||
			       (call->step == SYS_SYNC_FOLDER && x->folders_fail)
		       ? EIO
		       : 0;
}

/* whole: as if the folder were on a file system of which all may be synced at once; otherwise it is on none.
 */
static void begin(struct scene *x, struct fixture *f, bool whole)
{
	struct stat st;
	*x = (struct scene){ .f = f, .mover = { .spool = f->spool, .post = post_new() } };
	assert_int_equal(fstat(f->spool->message, &st), 0);
	f->spool->whole = (struct syncwhole){ .device = whole ? st.st_dev : 0 };
	f->spool->sys = (struct sys){ count_syncs, x };
}

static void end(struct scene *x)
{
	x->f->spool->sys = (struct sys){ 0 };
	assert_null(x->mover.removed);
	post_free(&x->mover.post);
}

/* Removes n message files. Answers in how many folders they were. */
static unsigned remove_files(struct scene *x, size_t n)
{
	struct job *jobs = NULL, **last = &jobs;
	bool seen[256] = { false };
	unsigned folders = 0;
	for (size_t i = 0; i < n; i++) {
		char name[FILE_NAME];
		struct message_file file;
		struct job *j = job_new(JOB_REMOVE);
		assert_true(serial_draw(x->f->spool, &j->serial, NULL));
		assert_true(file_create(x->f->spool, j->serial, -1, NULL, &file));
		assert_int_equal(faccessat(x->f->spool->message, file_name(name, j->serial), F_OK, 0), 0);
		file_close(&file);
		unsigned folder = (unsigned)strtoul(name, NULL, 16) & 0xff;
		folders += !seen[folder];
		seen[folder] = true;
		j->in_file = true;
		*last = j;
		last = &j->next;
	}
	mover_remove(&x->mover, jobs);
	for (const struct job *j = x->mover.removed; j; j = j->next) {
		char name[FILE_NAME];
		assert_int_equal(faccessat(x->f->spool->message, file_name(name, j->serial), F_OK, 0), -1);
	}
	return folders;
}

/* How many have been answered, all of them with this. */
static size_t answers(struct scene *x, bool ok)
{
	size_t count = 0;
	for (struct news *n = post_take_news(x->mover.post, 10 * MANY), *next; n; n = next) {
		next = n->next;
		assert_int_equal(n->kind, NEWS_JOB);
		if (n->job->kind == JOB_REMOVE) {
			assert_int_equal(n->job->ok, ok);
			count++;
		}
		job_free(n->job);
		n->job = NULL;
		news_free(n);
	}
	return count;
}

static void many_are_one_sync(void **state)
{
	struct scene x;
	begin(&x, *state, true);
	assert_in_range(remove_files(&x, MANY), 10, MANY);
	remove_files(&x, MANY);
	assert_int_equal(answers(&x, true), 0); /* not durable, so nobody is told */
	assert_int_equal(x.folders + x.wholes, 0);
	int64_t before = clock_mono();
	mover_sync_removed(&x.mover);
	assert_int_equal(answers(&x, true), 2 * MANY);
	assert_int_equal(x.wholes, 1);
	assert_int_equal(x.folders, 0);
	assert_true(x.mover.sync_at > before); /* others have the disk first */
	mover_sync_removed(&x.mover);
	assert_int_equal(x.wholes, 1);
	end(&x);
}

static void few_are_synced_by_folder(void **state)
{
	struct scene x;
	begin(&x, *state, true);
	unsigned folders = remove_files(&x, FEW);
	mover_sync_removed(&x.mover);
	assert_int_equal(answers(&x, true), FEW);
	assert_int_equal(x.wholes, 0);
	assert_int_equal(x.folders, folders);
	end(&x);
}

static void elsewhere_each_folder_is_synced(void **state)
{
	struct scene x;
	begin(&x, *state, false);
	unsigned folders = remove_files(&x, MANY);
	mover_sync_removed(&x.mover);
	assert_int_equal(answers(&x, true), MANY);
	assert_int_equal(x.wholes, 0);
	assert_int_equal(x.folders, folders);
	end(&x);
}

static void a_failure_is_looked_for_in_each_folder(void **state)
{
	struct scene x;
	begin(&x, *state, true);
	x.whole_fails = true;
	unsigned folders = remove_files(&x, MANY);
	mover_sync_removed(&x.mover);
	assert_int_equal(answers(&x, true), MANY);
	assert_int_equal(x.wholes, 1);
	assert_int_equal(x.folders, folders);
	x.folders_fail = true;
	remove_files(&x, MANY);
	mover_sync_removed(&x.mover);
	assert_int_equal(answers(&x, false), MANY);
	end(&x);
}

static void at_the_end_nothing_is_left(void **state)
{
	struct scene x;
	begin(&x, *state, true);
	remove_files(&x, MANY);
	x.mover.sync_at = CLOCK_NEVER;
	post_job(x.mover.post, job_new(JOB_STOP));
	assert_null(mover_run(&x.mover));
	assert_int_equal(x.wholes, 1);
	assert_int_equal(answers(&x, true), MANY);
	end(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_are_one_sync, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(few_are_synced_by_folder, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(elsewhere_each_folder_is_synced, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_failure_is_looked_for_in_each_folder, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(at_the_end_nothing_is_left, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
