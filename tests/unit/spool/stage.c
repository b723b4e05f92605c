/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

static void on_found(void *ctx, const struct keeper_summary *summary, const struct spool_envelope *env)
{
	struct stage *s = ctx;
	assert_null(stage_found(s, summary->serial)); /* once per serial */
	assert_true(s->nfound < STAGE_MAX);
	if (env)
		assert_int_equal(env->serial, summary->serial);
	s->found[s->nfound++] = *summary;
}

static void on_scanned(void *ctx)
{
	struct stage *s = ctx;
	s->scanned = true;
}

static void on_loaded(void *ctx, uint64_t serial, void *token, const struct spool_envelope *env)
{
	struct stage *s = ctx;
	assert_ptr_equal(token, s);
	s->last_serial = serial;
	s->env = env ? envelope_copy(s->arena, env) : NULL;
	s->loaded++;
}

static void on_updated(void *ctx, uint64_t serial, void *token, bool ok)
{
	struct stage *s = ctx;
	assert_ptr_equal(token, s);
	s->last_serial = serial;
	s->ok = ok;
	s->updated++;
}

static void on_reread(void *ctx, void *token)
{
	struct stage *s = ctx;
	assert_ptr_equal(token, s);
	s->reread++;
}

static void on_result(void *ctx, const struct spool_result *r)
{
	struct stage *s = ctx;
	s->last_result = *r;
	s->results++;
}

static const struct keeper_events events = {
	.found = on_found,
	.scanned = on_scanned,
	.loaded = on_loaded,
	.updated = on_updated,
	.reread = on_reread,
	.result = on_result,
};

struct stage *stage_new(uint64_t segment_size, uint64_t segment_count)
{
	return stage_at(scratch_spool(), segment_size, segment_count);
}

struct stage *stage_at(char *path, uint64_t segment_size, uint64_t segment_count)
{
	struct stage *s = MEM_NEW(struct stage);
	struct ost_why why;
	pthread_mutex_init(&s->hints.lock, NULL);
	s->path = path;
	s->arena = arena_new();
	s->options = (struct spool_options){ .segment_size = segment_size, .segment_count = segment_count };
	s->spool = spool_open(s->path, &s->options, &why);
	if (!s->spool)
		fail_msg("%s", why.text);
	return s;
}

void stage_free(struct stage *s)
{
	stage_close_writer(s);
	stage_close_keeper(s);
	spool_close(&s->spool);
	scratch_remove(s->path);
	arena_destroy(&s->arena);
	buf_free(&s->hints.tickets);
	buf_free(&s->hints.hints);
	pthread_mutex_destroy(&s->hints.lock);
	free(s);
}

/* Called in the storing thread, which is the keeper's here. */
static void pass_hint(void *ctx, const void *hint, size_t len)
{
	struct stage *s = ctx;
	if (s->keeper && !s->lose_hints)
		keeper_hint(s->keeper, hint, len);
	else
		catch_hint(&s->hints, hint, len);
}

void stage_open_writer(struct stage *s)
{
	struct ost_why why;
	s->writer = spool_writer_open(s->spool, pass_hint, s, &why);
	if (!s->writer)
		fail_msg("%s", why.text);
}

void stage_close_writer(struct stage *s)
{
	spool_writer_close(&s->writer);
}

/* Waits for something to do, for a short while, and does it. */
static void turn(struct stage *s)
{
	struct pollfd p = { .fd = keeper_fd(s->keeper), .events = POLLIN };
	poll(&p, 1, 10);
	keeper_dispatch(s->keeper);
}

void stage_wait(struct stage *s, const size_t *count, size_t want)
{
	int64_t end = clock_mono() + 20 * CLOCK_SECOND;
	while (*count < want) {
		assert_true(clock_mono() < end);
		turn(s);
	}
}

void stage_run(struct stage *s, double seconds)
{
	int64_t end = clock_mono() + (int64_t)(seconds * (double)CLOCK_SECOND);
	while (clock_mono() < end)
		turn(s);
}

void stage_wait_stats(struct stage *s, bool (*good)(const struct keeper_stats *, uint64_t), uint64_t n)
{
	int64_t end = clock_mono() + 20 * CLOCK_SECOND;
	struct keeper_stats stats;
	for (;;) {
		keeper_stats(s->keeper, &stats);
		if (good(&stats, n))
			return;
		assert_true(clock_mono() < end);
		turn(s);
	}
}

void stage_make_keeper(struct stage *s)
{
	struct ost_why why;
	s->nfound = s->loaded = s->updated = s->reread = s->results = 0;
	s->scanned = false;
	s->keeper = keeper_open(s->spool, &events, s, &why);
	if (!s->keeper)
		fail_msg("%s", why.text);
}

void stage_start_keeper(struct stage *s)
{
	stage_make_keeper(s);
	keeper_scan(s->keeper);
}

void stage_open_keeper(struct stage *s)
{
	stage_start_keeper(s);
	int64_t end = clock_mono() + 20 * CLOCK_SECOND;
	while (!s->scanned) {
		assert_true(clock_mono() < end);
		turn(s);
	}
}

void stage_close_keeper(struct stage *s)
{
	keeper_close(&s->keeper);
}

uint64_t stage_store_env(struct stage *s, size_t size, const struct spool_envelope *env)
{
	struct spool_draft *d = spool_draft_new(s->writer);
	uint64_t serial = spool_draft_serial(d);
	char *content = mem_alloc(size);
	fill_content(content, size, (unsigned)serial);
	spool_draft_write(d, content, size);
	free(content);
	assert_int_equal(spool_draft_commit_wait(&d, env), SPOOL_STORED);
	for (int i = 0; s->keeper && !s->lose_hints && !stage_found(s, serial) && i < 20; i++)
		turn(s); /* the first hint of a segment's life makes the keeper look for itself */
	return serial;
}

uint64_t stage_store(struct stage *s, size_t size, size_t nrcpts)
{
	struct spool_envelope *e = plain_envelope(s->arena, "a@example.com", "b@example.com");
	e->nrcpts = nrcpts;
	e->rcpts = arena_alloc(s->arena, nrcpts * sizeof *e->rcpts);
	for (size_t i = 0; i < nrcpts; i++)
		e->rcpts[i].address = arena_printf(s->arena, "r%zu@example.com", i);
	return stage_store_env(s, size, e);
}

const struct keeper_summary *stage_found(const struct stage *s, uint64_t serial)
{
	for (size_t i = 0; i < s->nfound; i++)
		if (s->found[i].serial == serial)
			return &s->found[i];
	return NULL;
}

struct spool_envelope *stage_load(struct stage *s, uint64_t serial)
{
	size_t want = s->loaded + 1;
	keeper_load(s->keeper, serial, s);
	stage_wait(s, &s->loaded, want);
	assert_int_equal(s->last_serial, serial);
	return s->env;
}

bool stage_update(struct stage *s, uint64_t serial, uint32_t rcpt, enum rcpt_status status, int64_t next_try)
{
	size_t want = s->updated + 1;
	struct spool_result r = { .serial = serial,
				  .rcpt = rcpt,
				  .status = status,
				  .when = clock_utc(),
				  .dsn = "4.4.1",
				  .reason = "no answer" };
	struct keeper_change c = { .results = &r, .next_try = &next_try, .nresults = 1 };
	keeper_update(s->keeper, serial, &c, s);
	stage_wait(s, &s->updated, want);
	assert_int_equal(s->last_serial, serial);
	return s->ok;
}

void stage_check_content(struct stage *s, uint64_t serial, size_t size)
{
	struct buf ticket = BUF_INIT;
	struct spool_stored m;
	struct ost_why why = { "" };
	char *want = mem_alloc(size), *got = mem_alloc(size);
	keeper_ticket(s->keeper, serial, &ticket);
	if (spool_fetch(s->spool, ticket.data, ticket.len, &m, &why) != FETCH_OK)
		fail_msg("%s", why.text);
	fill_content(want, size, (unsigned)serial);
	assert_int_equal(m.size, size);
	assert_int_equal(m.env->serial, serial);
	assert_int_equal(spool_stored_read(&m, 0, got, size), size);
	assert_memory_equal(got, want, size);
	spool_stored_free(&m);
	buf_free(&ticket);
	free(want);
	free(got);
}

size_t stage_count_files(const struct stage *s, const char *folder)
{
	char *path = mem_printf("%s/%s", s->path, folder);
	DIR *d = opendir(path);
	size_t n = 0;
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	free(path);
	return n;
}

int stage_setup(void **state)
{
	struct stage *s = stage_new(256 * 1024, 8);
	stage_open_writer(s);
	stage_open_keeper(s);
	*state = s;
	return 0;
}

int stage_teardown(void **state)
{
	stage_free(*state);
	return 0;
}

void stage_restart(struct stage *s)
{
	stage_close_writer(s);
	stage_close_keeper(s);
	stage_open_keeper(s);
	stage_open_writer(s);
}

bool stats_recycled(const struct keeper_stats *k, uint64_t n)
{
	return k->recycled >= n;
}

bool stats_messages(const struct keeper_stats *k, uint64_t n)
{
	return k->messages == n;
}
