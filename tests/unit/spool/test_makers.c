/* SPDX-License-Identifier: Apache-2.0
 * Two processes make a segment at the same time, and what one of them has made so far is taken for a dead
 * writer's: each must end up with a segment that has a name, or its messages are never found. */
#include "stage.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "helper.h"
#include "spool/home.h"

enum { SEGMENT_BYTES = 256 * 1024, SEGMENTS = 8 };
enum step { AT_FIRST, ONE_WAS_ROBBED, BOTH_ARE_THERE, ONE_IS_THROUGH };

struct race {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	enum step step;
	const char *path;
};

struct maker {
	struct race *race;
	bool first; /* the one that is robbed of its file */
	struct spool *spool;
	struct spool_writer *writer;
};

static void go_on(struct race *r, enum step step)
{
	pthread_mutex_lock(&r->lock);
	if (r->step < step)
		r->step = step;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void wait_for(struct race *r, enum step step)
{
	pthread_mutex_lock(&r->lock);
	while (r->step < step)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* As a keeper does that saw the file in the moment before its maker had the lock. */
static void remove_unfinished(const struct race *r)
{
	char *path = mem_printf("%s/journal", r->path);
	DIR *d = opendir(path);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (strstr(e->d_name, ".new"))
			assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
	closedir(d);
	free(path);
}

/* The first loses its file while it fills it, and wants to give it its name when the second is as far. */
static int on_step(void *ctx, const struct sys_call *call)
{
	struct maker *m = ctx;
	struct race *r = m->race;
	if (m->first && call->step == SYS_WRITE && r->step == AT_FIRST) {
		remove_unfinished(r);
		go_on(r, ONE_WAS_ROBBED);
	} else if (m->first && call->step == SYS_LINK) {
		wait_for(r, BOTH_ARE_THERE);
	} else if (!m->first && call->step == SYS_LINK) {
		go_on(r, BOTH_ARE_THERE);
		wait_for(r, ONE_IS_THROUGH);
	}
	return 0;
}

static void *make(void *arg)
{
	struct maker *m = arg;
	struct ost_why why;
	if (!m->first)
		wait_for(m->race, ONE_WAS_ROBBED);
	m->writer = spool_writer_open(m->spool, NULL, NULL, &why);
	if (m->first)
		go_on(m->race, ONE_IS_THROUGH);
	return NULL;
}

static void store_one(struct maker *m, struct arena *a)
{
	struct spool_draft *d = spool_draft_new(m->writer);
	spool_draft_write(d, "Subject: x\n\nx\n", 14);
	assert_int_equal(spool_draft_commit_wait(&d, plain_envelope(a, "me@x.test", "you@x.test")),
			 SPOOL_STORED);
}

static void each_maker_has_a_segment_with_a_name(void **state)
{
	struct race race = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct maker makers[2] = { { .race = &race, .first = true }, { .race = &race } };
	char *path = scratch_spool();
	struct ost_why why;
	pthread_t threads[2];
	struct arena *a = arena_new();
	(void)state;
	race.path = path;
	assert_true(spool_create(path, &why));
	for (int i = 0; i < 2; i++) {
		const struct spool_options o = { .segment_size = SEGMENT_BYTES,
						 .segment_count = SEGMENTS,
						 .hook = on_step,
						 .hook_ctx = &makers[i] };
		makers[i].spool = spool_open(path, &o, &why);
		assert_non_null(makers[i].spool);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make, &makers[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		assert_non_null(makers[i].writer);
		store_one(&makers[i], a);
	}
	struct stage *s = stage_at(path, SEGMENT_BYTES, SEGMENTS);
	stage_open_keeper(s);
	assert_int_equal(s->nfound, 2);
	for (int i = 0; i < 2; i++) {
		spool_writer_close(&makers[i].writer);
		spool_close(&makers[i].spool);
	}
	stage_free(s);
	arena_destroy(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_maker_has_a_segment_with_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
